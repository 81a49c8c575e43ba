"""datatrove 0.10.1's own MinHash pipeline on documents, beside Thresher's preset `fineweb`.

  near_datatrove.py DOCUMENTS.jsonl --program target/release/examples/near_peer [--edited SHARE]

Each line of DOCUMENTS is an object with a `text`. With `--edited`, for this share of the documents
a copy with some words changed is added, so that there are near-duplicates of every similarity.

Compared is the partition into clusters, so also the number of removed documents. Which member of a
cluster survives differs: datatrove keeps one chosen by size.
"""
import argparse
import json
import random
import subprocess
import tempfile
import time
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.dedup import (
    MinhashConfig, MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupSignature)
from datatrove.utils.hashing import HashConfig


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("documents", type=Path)
    parser.add_argument("--program", required=True)
    parser.add_argument("--edited", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", type=int)
    opt = parser.parse_args()
    texts = [json.loads(line)["text"] for line in opt.documents.open()][: opt.limit]
    texts += list(edited(texts, opt.edited, random.Random(opt.seed)))

    started = time.process_time()
    theirs = datatrove_clusters(texts)
    their_seconds = time.process_time() - started
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    started = time.process_time()
    before = children_seconds()
    result = subprocess.run(
        [opt.program, "clusters", "fineweb"], input=lines, capture_output=True, text=True,
        check=True)
    ours = [int(line) for line in result.stdout.split()]
    our_seconds = children_seconds() - before

    theirs, ours = partition(theirs), partition(ours)
    sizes = [len(cluster) for cluster in ours]
    print(json.dumps({
        "documents": len(texts), "bytes": sum(len(text.encode()) for text in texts),
        "clusters_of_several": len(ours), "largest": max(sizes, default=0),
        "removed": sum(sizes) - len(sizes),
        "datatrove_clusters": len(theirs),
        "datatrove_removed": sum(map(len, theirs)) - len(theirs),
        "only_ours": len(ours - theirs), "only_datatrove": len(theirs - ours),
        "equal": ours == theirs, "datatrove_cpu_seconds": round(their_seconds, 2),
        "thresher_cpu_seconds": round(our_seconds, 2),
    }))


def children_seconds():
    import resource
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def edited(texts, share, rng):
    words = [word for text in texts[:200] for word in text.split()]
    for text in texts:
        if words and rng.random() < share:
            parts = text.split(" ")
            rate = rng.choice((0.0, 0.005, 0.01, 0.02, 0.05, 0.1))
            yield " ".join(rng.choice(words) if rng.random() < rate else part for part in parts)


def datatrove_clusters(texts):
    """The label of each document: one of those in its cluster."""
    config = MinhashConfig(hash_config=HashConfig(precision=64, hash_fc="sha1"))
    documents = (Document(text=text, id=str(at)) for at, text in enumerate(texts))
    with tempfile.TemporaryDirectory() as work:
        MinhashDedupSignature(f"{work}/signatures", config=config).run(documents, 0, 1)
        for bucket in range(config.num_buckets):
            step = MinhashDedupBuckets(f"{work}/signatures", f"{work}/buckets", config=config)
            step.run(None, bucket, config.num_buckets)
        step = MinhashDedupCluster(
            f"{work}/buckets", f"{work}/clusters", config=config, save_cluster_id=True,
            ignore_index_matches=True)
        step.run(None, 0, 1)
        labels = list(range(len(texts)))
        found = {}
        import struct
        data = Path(f"{work}/clusters/000000.clusters").read_bytes()
        for document, cluster in struct.iter_unpack("<II", data):
            found.setdefault(cluster, []).append(document)
        for members in found.values():
            for member in members:
                labels[member] = min(members)
    return labels


def partition(labels):
    clusters = {}
    for document, label in enumerate(labels):
        clusters.setdefault(label, []).append(document)
    return {frozenset(members) for members in clusters.values() if len(members) > 1}


if __name__ == "__main__":
    main()
