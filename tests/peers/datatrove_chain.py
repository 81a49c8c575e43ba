"""datatrove 0.10.1 on WET files: FineWeb's filters in their order, JSONL.gz out, one task.

  datatrove_chain.py WET… --model lid.176.ftz [--filters lid,gopher_rep,gopher_q,c4,fineweb]

datatrove loses some documents in its reader: libmagic takes their prose for program text. So
`documents_read` may be below the number of conversion records; compare per input document.
"""
import argparse
import os
import sys
import tempfile
from pathlib import Path

from measure import cpu_seconds, report

FILTERS = "lid gopher_rep gopher_q c4 fineweb".split()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wet", nargs="+", type=Path)
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--filters", default=",".join(FILTERS), help="those to run, in order")
    parser.add_argument("--language", default="en", help="what the language filter keeps")
    opt = parser.parse_args()
    chosen = opt.filters.split(",")
    unknown = set(chosen) - set(FILTERS)
    if unknown:
        parser.error("no filter `%s`; there are %s" % ("`, `".join(unknown), ", ".join(FILTERS)))
    with tempfile.TemporaryDirectory() as work:
        # It keeps a copy of the model by path, which would outlive a change of the file.
        os.environ.update(HF_HOME=work + "/home", HF_HUB_OFFLINE="1")
        run(opt, chosen, Path(work))


def run(opt, chosen, work):
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.filters import (
        C4QualityFilter, FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter,
        LanguageFilter)
    from datatrove.pipeline.readers import WarcReader
    from datatrove.pipeline.writers.jsonl import JsonlWriter
    from datatrove.utils.lid import FT176LID
    from loguru import logger

    logger.disable("datatrove")  # a page of statistics; what goes wrong is raised all the same
    # Else it would download lid.176.bin.
    FT176LID.MODEL_URL = str(opt.model.resolve(strict=True))
    make = {
        "lid": lambda: LanguageFilter(opt.language),
        "gopher_rep": GopherRepetitionFilter,
        "gopher_q": GopherQualityFilter,
        "c4": lambda: C4QualityFilter(filter_no_terminal_punct=False),  # as FineWeb does
        "fineweb": FineWebQualityFilter,
    }
    folder = work / "in"
    folder.mkdir()
    for i, path in enumerate(opt.wet):
        (folder / ("%05d.warc.wet.gz" % i)).symlink_to(path.resolve(strict=True))
    imported = cpu_seconds()
    executor = LocalPipelineExecutor(
        pipeline=[
            WarcReader(str(folder), glob_pattern="*.gz"),
            *(make[name]() for name in chosen),
            JsonlWriter(str(work / "out"))],
        tasks=1, workers=1, logging_dir=str(work / "logs"))
    stats = executor.run().stats
    read = stats[0].stats["documents"].total
    if not read:
        sys.exit("datatrove_chain: no document read; is libmagic installed?")
    report(
        peer="datatrove 0.10.1",
        stages={"import": round(imported, 3), "run": round(cpu_seconds() - imported, 3)},
        documents_read=read,
        documents_kept={
            name: step.stats["forwarded"].total for name, step in zip(chosen, stats[1:])},
        output_bytes=sum(f.stat().st_size for f in (work / "out").iterdir()))


if __name__ == "__main__":
    main()
