"""Near-duplicates by another program, of documents as JSON lines with a `text`.

  near_peers.py DOCUMENTS.jsonl --library datatrove|rensa

Prints how many documents are removed. datatrove runs its own MinHash pipeline with FineWeb's
parameters. rensa has FineWeb's number of hashes, bands and words in a shingle, but its words are
split at spaces and its hashes are other ones, so it removes another number.
"""
import argparse
import json
from importlib.metadata import version
from pathlib import Path

BANDS, ROWS, WORDS = 14, 8, 5


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("documents", type=Path)
    parser.add_argument("--library", required=True, choices=("datatrove", "rensa"))
    opt = parser.parse_args()
    with opt.documents.open() as lines:
        texts = [json.loads(line)["text"] for line in lines]
    removed = {"datatrove": datatrove, "rensa": rensa}[opt.library](texts)
    print(json.dumps({
        "documents": len(texts), "removed": removed, "version": version(opt.library)}))


def datatrove(texts):
    from near_datatrove import datatrove_clusters, partition
    clusters = partition(datatrove_clusters(texts))
    return sum(map(len, clusters)) - len(clusters)


def rensa(texts):
    from rensa import RMinHash, RMinHashLSH
    lsh = RMinHashLSH(threshold=0.75, num_perm=BANDS * ROWS, num_bands=BANDS)
    removed = 0
    for number, text in enumerate(texts):
        words = text.split()
        shingles = [" ".join(words[at:at + WORDS]) for at in range(len(words) - WORDS + 1)]
        if not shingles:
            continue
        signature = RMinHash(num_perm=BANDS * ROWS, seed=1)
        signature.update(shingles)
        # As in its own example: a document is removed if any kept one has a band in common.
        if lsh.query(signature):
            removed += 1
        else:
            lsh.insert(number, signature)
    return removed


if __name__ == "__main__":
    main()
