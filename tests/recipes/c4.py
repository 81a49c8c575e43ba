"""Compares the slice `c4` with `c4_reformat.py` of RedPajama-Data (branch `rp_v1`).

  c4.py FILE.json.gz …

The original reads every line as JSON and writes it with other fields. Rows are compared by their
place, with everything in `meta`.
"""
import gzip
import json
import shutil
import sys
import tempfile
from pathlib import Path

from compare import published, report


def main():
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(shutil.copy(path, folder)) for path in sys.argv[1:]]
        rows = [row for file in sorted(files) for row in original(file)]
        ours = list(published("c4", folder, "*.json.gz"))
    report(dict(enumerate(rows)), dict(enumerate(map(without_label, ours))))


def original(file):
    for line in gzip.open(file):
        record = json.loads(line)
        yield {"text": record["text"],
               "meta": {"timestamp": record["timestamp"], "url": record["url"],
                        "language": "en", "source": "c4"}}


def without_label(row):
    return {"text": row["text"], "meta": row["meta"]}


if __name__ == "__main__":
    main()
