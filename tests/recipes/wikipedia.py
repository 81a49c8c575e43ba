"""Compares the slice `wikipedia` with the Wikipedia script of the library datasets.

  wikipedia.py LANGUAGEwiki-DATE-pages-articles.xml.bz2 …
"""
import sys
from pathlib import Path

from compare import published, report

sys.path.append(str(Path(__file__).parents[2] / "worker/testdata/wikipedia"))
from make_golden import pages, text_of  # noqa: E402


def main():
    original, ours = {}, {}
    for path in map(Path, sys.argv[1:]):
        for title, wikitext in pages(path):
            text = text_of(wikitext).rstrip()
            if text.strip():
                original[path.name, title] = text
        more = "[wikipedia]\nlanguages = []"
        for row in published("wikipedia", path.parent.resolve(), path.name, more):
            ours[path.name, row["meta"]["title"]] = row["text"]
    report(original, ours)


if __name__ == "__main__":
    main()
