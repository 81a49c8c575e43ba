"""Compares the slice `c4` with `c4_reformat.py` of RedPajama-Data (branch `rp_v1`).

  c4.py FOLDER …

The original reads every line as JSON and writes it with other fields. The texts of the folders,
such as installed packages of Python, become rows of C4: with and without escapes, with other
fields, and with a field that is repeated. Rows are compared by their place, with everything in
`meta`.
"""
import gzip
import json
import sys
import tempfile
from pathlib import Path

from compare import published, report
from github import exported

ROWS_A_FILE = 5000


def main():
    lines = [line for number, row in enumerate(exported(map(Path, sys.argv[1:])))
             for line in [written(number, row)] if row["content"]]
    with tempfile.TemporaryDirectory() as folder:
        for at in range(0, len(lines), ROWS_A_FILE):
            name = f"c4-train.{at // ROWS_A_FILE:05}-of-01024.json.gz"
            with gzip.open(Path(folder, name), "wt") as out:
                out.writelines(line + "\n" for line in lines[at:at + ROWS_A_FILE])
        ours = [{"text": row["text"], "meta": row["meta"]}
                for row in published("c4", folder, "*.json.gz")]
    print(f"rows in {len(lines)}")
    report(dict(enumerate(map(original, lines))), dict(enumerate(ours)))


def written(number, row):
    """A line of C4 in one of the ways in which programs write JSON."""
    record = {"text": row["content"], "timestamp": f"2019-04-{number % 30 + 1:02}T10:58:30Z",
              "url": f"https://{row['repo_name']}.example/{number}/{row['path']}"}
    if number % 5 == 1:
        record = {"score": float("nan"), **record, "lines": [1, {"a": None}]}
    line = json.dumps(record, ensure_ascii=number % 2 == 0, indent=None if number % 3 else 0)
    line = line.replace("\n", " ")
    return '{"text": "earlier", ' + line[1:] if number % 7 == 2 else line


def original(line):
    """The row that the script writes."""
    record = json.loads(line)
    return {"text": record["text"],
            "meta": {"timestamp": record["timestamp"], "url": record["url"],
                     "language": "en", "source": "c4"}}


if __name__ == "__main__":
    main()
