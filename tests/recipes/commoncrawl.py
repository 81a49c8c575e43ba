"""Compares the slice `commoncrawl` with cc_net 1.0.0: lines of WET files and their removal.

  commoncrawl.py FILE.warc.wet[.gz] …

All files are one shard. Languages and perplexity are left out.
"""
import argparse
import logging
import tempfile
from pathlib import Path

from compare import published, report

MIN_CHARS = 300  # cc_net's own default


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wet", nargs="+", type=Path)
    parser.add_argument("--min-chars", type=int, default=MIN_CHARS)
    opt = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder, "in")
        base.mkdir()
        for path in opt.wet:
            (base / path.name).symlink_to(path.resolve(strict=True))
        more = 'dump = "2023-06"\nsteps = ["lines"]\n[dedup.lines]\nshards = 1\n[commoncrawl]\n' \
               f'min_chars = {opt.min_chars}'
        original = dict(kept(base, opt.min_chars, Path(folder)))
        rows = published("commoncrawl", base, "*", more, schema="uniform")
        ours = {row["url"]: row["text"] for row in rows}
    report(original, ours)


def kept(base, min_chars, work):
    """The address and the text of each document that cc_net keeps."""
    from cc_net import dedup, jsonql, process_wet_file

    # cc_net finds Content-Length by position. Since 2020 a header comes before it that was not there
    # when cc_net was written: hide that header.
    parse = process_wet_file.parse_doc
    process_wet_file.parse_doc = lambda headers, doc: parse(
        [h for h in headers if not h.startswith("WARC-Identified-Content-Language:")], doc)
    names = sorted(path.name for path in base.iterdir())
    documents = process_wet_file.CCSegmentsReader(names, min_len=min_chars, cache_dir=base)
    hashes = work / "hashes.bin"
    collector = dedup.HashesCollector("raw_content", output=hashes)
    jsonql.run_pipes(collector, inputs=documents, output=work / "nothing")
    remover = dedup.DuplicatesRemover("raw_content", [hashes])
    with remover:
        for document in remover.map(documents):
            if document and document["raw_content"]:
                yield document["url"], document["raw_content"]


if __name__ == "__main__":
    main()
