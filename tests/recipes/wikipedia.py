"""Compares the slice `wikipedia` with the Wikipedia script of the library datasets.

  wikipedia.py LANGUAGEwiki-DATE-pages-articles.xml.bz2 …
"""
import bz2
import sys
import xml.etree.ElementTree as tree
from pathlib import Path

from compare import published, report

sys.path.append(str(Path(__file__).parents[2] / "worker/testdata/wikipedia"))
from make_golden import text_of  # noqa: E402


def main():
    original, ours = {}, {}
    for path in map(Path, sys.argv[1:]):
        for title, wikitext in articles(path):
            text = text_of(wikitext).rstrip()
            if text.strip():
                original[path.name, title] = text
        more = "[wikipedia]\nlanguages = []"
        for row in published("wikipedia", path.parent.resolve(), path.name, more):
            ours[path.name, row["meta"]["title"]] = row["text"]
    report(original, ours)


def articles(path):
    """Title and wikitext of the pages that the original keeps: articles that are not redirects."""
    root = tree.fromstring(bz2.open(path).read())
    name = root.tag.split("}")[0] + "}" if "}" in root.tag else ""
    for page in root.iter(name + "page"):
        if page.findtext(name + "ns") == "0" and page.find(name + "redirect") is None:
            yield page.findtext(name + "title"), page.findtext(f"{name}revision/{name}text") or ""


if __name__ == "__main__":
    main()
