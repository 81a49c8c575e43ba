"""cc_net 1.0.0 on WET files: line hashes, then dedup, language id and split, in one process.

  ccnet.py WET… --model lid.176.ftz [--out DIR]

These are cc_net's own classes in the order of its pipeline, without the stages that need its
language models (sp, lm, pp_bucket) and with the hash set that it falls back to without getpy.
"""
import argparse
import logging
import sys
import tempfile
from pathlib import Path

from measure import cpu_seconds, report

MIN_CHARS = 300  # cc_net's own defaults, both
LANGUAGE_THRESHOLD = 0.5


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wet", nargs="+", type=Path)
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--out", type=Path, help="keep the documents here")
    opt = parser.parse_args()
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as work:
        run(opt, Path(work))


def run(opt, work):
    from cc_net import dedup, jsonql, split_by_lang

    inputs = reader(opt.wet, work / "cache")
    marks = [cpu_seconds()]

    hashes = work / "hashes.bin"
    collector = dedup.HashesCollector("raw_content", output=hashes)
    jsonql.run_pipes(collector, inputs=inputs, output=work / "nothing")
    marks.append(cpu_seconds())

    remover = dedup.DuplicatesRemover("raw_content", [hashes])
    classifier = split_by_lang.Classifier(
        opt.model, "raw_content", "language", threshold=LANGUAGE_THRESHOLD)
    out = opt.out or work / "out"
    splitter = jsonql.split(pattern=str(out / "{language}_all.json.gz"), mkdir=True)
    jsonql.run_pipes(remover, classifier, splitter, inputs=inputs, output=work / "nothing")
    marks.append(cpu_seconds())

    if not collector.processed:
        sys.exit("ccnet: no document of %d characters or more in the files" % MIN_CHARS)
    report(
        peer="cc_net 1.0.0",
        stages={
            "import": round(marks[0], 3),
            "hashes": round(marks[1] - marks[0], 3),
            "dedup_lid_split": round(marks[2] - marks[1], 3)},
        documents=collector.processed,
        lines=collector.n_lines,
        lines_kept=int(remover.n_lines_kept),
        chars_kept=int(remover.n_chars_kept),
        documents_to_language_id=classifier.n_doc,
        documents_kept=classifier.n_accepted,
        output_bytes=sum(f.stat().st_size for f in out.glob("*.json.gz")))


def reader(paths, cache):
    """cc_net's own reader; it takes from its cache what it would else download."""
    from cc_net import process_wet_file

    cache.mkdir()
    for path in paths:
        (cache / path.name).symlink_to(path.resolve(strict=True))

    # It finds Content-Length by position. Since 2020 a header comes before it that was not there
    # when cc_net was written, so that it would keep no document at all: hide that header.
    parse = process_wet_file.parse_doc
    process_wet_file.parse_doc = lambda headers, doc: parse(
        [h for h in headers if not h.startswith("WARC-Identified-Content-Language:")], doc)
    return process_wet_file.CCSegmentsReader(
        [path.name for path in paths], min_len=MIN_CHARS, cache_dir=cache)


if __name__ == "__main__":
    main()
