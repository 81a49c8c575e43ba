"""Compares the slice `github` with the steps of RedPajama-Data (branch `rp_v1`): the local cleaning,
the removal of equal contents, and the filter without its tokenizer.

  github.py FOLDER …

The files of the folders, such as installed packages of Python, become rows as BigQuery exports
them. Rows are compared by the hash of their content, with everything in `meta`.
"""
import gzip
import hashlib
import json
import re
import sys
import tempfile
from pathlib import Path

from compare import published, report

COMMENT = re.compile(r"/\*[^*]*\*+(?:[^/*][^*]*\*+)*/")
ENDINGS = tuple("""
    .asm .bat .cmd .c .h .cs .cpp .hpp .c++ .h++ .cc .hh .C .H .cmake .css .dockerfile .f90 .f .f03
    .f08 .f77 .f95 .for .fpp .go .hs .html .java .js .jl .lua .md .markdown .php .php3 .php4 .php5
    .phps .phpt .pl .pm .pod .perl .ps1 .psd1 .psm1 .py .rb .rs .sql .scala .sh .bash .command .zsh
    .ts .tsx .tex .vb Dockerfile Makefile .xml .rst .m .smali""".split())


def main():
    rows = list(exported(map(Path, sys.argv[1:])))
    with tempfile.TemporaryDirectory() as folder:
        with gzip.open(Path(folder, "github_0.json.gz"), "wt") as out:
            out.writelines(json.dumps(row) + "\n" for row in rows)
        tokens = '[tokens]\ntokenizer = "none"'
        ours = published("github", folder, "*.json.gz", tokens)
        ours = {row["meta"]["content_hash"]: compared(row) for row in ours}
    print(f"rows in {len(rows)}")
    report(original(rows), ours)


def exported(folders):
    """Files as rows of BigQuery's `github_repos`."""
    for folder in folders:
        for path in sorted(it for it in folder.rglob("*") if it.is_file()):
            try:
                content = path.read_bytes().decode()
            except (UnicodeDecodeError, OSError):
                continue
            if "\0" in content:
                continue
            yield {"id": hashlib.sha1(content.encode()).hexdigest(), "size": str(len(content)),
                   "content": content, "binary": False, "copies": "1",
                   "repo_name": folder.name, "ref": "refs/heads/master",
                   "path": str(path.relative_to(folder)), "mode": "33188", "license": "mit",
                   "language": [{"name": "Python", "bytes": "1"}]}


def original(rows):
    """The rows that the scripts keep, by the hash of their content."""
    seen, kept = set(), {}
    for row in rows:
        if row["path"].endswith(".crt") or row["path"] == "LICENSE":
            continue
        digest = hashlib.md5(row["content"].encode()).hexdigest()
        if digest in seen:
            continue
        seen.add(digest)
        text = cleaned(row["content"])
        lengths = list(map(len, text.splitlines()))
        if not lengths:
            continue
        stats = {"line_count": len(lengths), "max_line_length": max(lengths),
                 "avg_line_length": len(text) / len(lengths),
                 "alnum_prop": sum(map(str.isalnum, text)) / len(text)}
        if (row["path"].endswith(ENDINGS) and stats["max_line_length"] <= 1000
                and stats["avg_line_length"] <= 100 and stats["alnum_prop"] >= 0.25):
            meta = {"content_hash": digest, "timestamp": "", "source": "github", **stats,
                    **{key: value for key, value in row.items() if key != "content"}}
            kept[digest] = compared({"text": text, "meta": meta})
    return kept


def cleaned(content):
    """The text without its copyright comment."""
    found = COMMENT.search(content)
    if found:
        if re.search("copyright", found[0], re.IGNORECASE):
            content = content[:found.start()] + content[found.end():]
        return content
    lines = content.split("\n")
    skip = 0
    while skip < len(lines) and (not lines[skip] or lines[skip].startswith(("//", "#", "--"))):
        skip += 1
    return "\n".join(lines[skip:])


def compared(row):
    return {"text": row["text"], "meta": row["meta"]}


if __name__ == "__main__":
    main()
