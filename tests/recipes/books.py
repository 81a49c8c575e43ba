"""Compares the slice `books` with `dedup.py` of RedPajama-Data, by the package simhash 2.1.2.

  books.py TEXT …

The texts are cut into books of 40 kB, and most books get copies of which a part of the words is
changed, so that the distances of their hashes lie on both sides of the limit of 5 bits. They are
written as PG-19's JSON lines. A row of the original is one that it keeps.
"""
import json
import random
import re
import sys
import tempfile
from pathlib import Path

from simhash import Simhash, SimhashIndex

from compare import published, report

BOOK_CHARS = 40_000
# Shares of the words that a copy has changed.
CHANGED = [0, 0.0005, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5]
WIDTH = 6
BITS = 5


def main():
    rows = list(books(map(Path, sys.argv[1:])))
    kept = original(rows)
    with tempfile.TemporaryDirectory() as folder:
        lines = [json.dumps(row) for row in rows]
        Path(folder, "pg19.jsonl").write_text("\n".join(lines) + "\n")
        ours = {row["meta"]["url"]: row["text"] for row in published("books", folder, "*.jsonl")}
    print(f"books {len(rows)}, of which the original drops {len(rows) - len(kept)}")
    report(kept, ours)


def books(paths):
    """Rows of PG-19: books, each followed by its copies, then shuffled."""
    chance = random.Random(1)
    rows = []
    for path in paths:
        text = path.read_text(encoding="utf-8", errors="replace")
        for at in range(0, len(text) - BOOK_CHARS, BOOK_CHARS):
            book = text[at:at + BOOK_CHARS]
            for share in chance.sample(CHANGED, 3):
                rows.append(changed(book, share, chance))
    chance.shuffle(rows)
    for number, text in enumerate(rows):
        yield {"short_book_title": f"Book {number}", "publication_date": 1900 + number % 50,
               "url": f"http://www.gutenberg.org/ebooks/{number}", "text": text}


def changed(text, share, chance):
    words = re.split(r"(\s+)", text)
    for at in range(0, len(words), 2):
        if chance.random() < share:
            words[at] = "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=5))
    return "".join(words)


def original(rows):
    """The texts that dedup.py keeps, by address."""
    hashes = [(str(number), Simhash(features(row["text"]))) for number, row in enumerate(rows)]
    index = SimhashIndex(hashes, k=BITS)
    kept = {}
    for number, found in hashes:
        if not any(int(near) < int(number) for near in index.get_near_dups(found)):
            kept[rows[int(number)]["url"]] = rows[int(number)]["text"]
    return kept


def features(text):
    text = re.sub(r"[^\w]+", "", text.lower())
    return [text[at:at + WIDTH] for at in range(max(len(text) - WIDTH + 1, 1))]


if __name__ == "__main__":
    main()
