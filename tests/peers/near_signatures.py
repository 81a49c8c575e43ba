"""Signatures of documents by the published formulas in numpy, beside Thresher's.

  near_signatures.py DOCUMENTS.jsonl --program target/release/examples/near_peer [--limit N]

Text rules are written as the published programs have them; hashes come from hashlib and mmh3. For
`slimpajama` and `redpajama-v2` the values are also compared with datasketch's own `MinHash`. Each
line of DOCUMENTS is an object with a `text`. Prints, for each preset, how many signatures differ.
"""
import argparse
import hashlib
import json
import re
import string
import struct
import subprocess
import unicodedata

import mmh3
import numpy as np
from datasketch import MinHash

PRIME = np.uint64((1 << 61) - 1)
NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def pairs(seed, count, high, dtype):
    state = np.random.RandomState(seed)
    drawn = [(state.randint(1, high, dtype=dtype), state.randint(0, high, dtype=dtype))
             for _ in range(count)]
    return np.array(drawn, dtype=dtype).T


def collapsed(text):
    return re.sub(r"\s+", " ", text.strip())


def slimpajama(text):
    text = unicodedata.normalize("NFC", text).lower().translate(NO_PUNCTUATION)
    text = collapsed(text)
    return {text[i:i + 13] for i in range(len(text) - 12)}


def redpajama(text):
    text = collapsed(text.translate(NO_PUNCTUATION).lower())
    words = unicodedata.normalize("NFD", text).split()
    return {" ".join(words[i:i + 13]) for i in range(len(words) - 12)}


def nemotron(text):
    return {text[i:i + 24] for i in range(max(len(text) - 23, 1))} if text else set()


def datasketch(grams, seed):
    """The published formula, held to the library's own values."""
    if not grams:
        return None
    a, b = pairs(seed, 128, PRIME, np.uint64)
    items = [struct.unpack("<I", hashlib.sha1(gram.encode()).digest()[:4])[0] for gram in grams]
    items = np.array(items, dtype=np.uint64).reshape(-1, 1)
    minima = (((items * a + b) % PRIME) & np.uint64(0xFFFFFFFF)).min(axis=0)
    library = MinHash(num_perm=128, seed=seed, scheme="legacy")
    library.update_batch([gram.encode() for gram in grams])
    assert (library.hashvalues == minima).all(), "datasketch has other values than its formula"
    return minima[:117].tolist()


def nemo(grams):
    if not grams:
        return None
    a, b = pairs(42, 260, np.uint32((1 << 31) - 1), np.uint32)
    items = [max(mmh3.hash(gram.encode(), int(a[0]), signed=False), 1) for gram in grams]
    return (np.array(items, dtype=np.uint32).reshape(-1, 1) * a + b).min(axis=0).tolist()


PRESETS = {
    "slimpajama": lambda text: datasketch(slimpajama(text), 1),
    "redpajama-v2": lambda text: datasketch(redpajama(text), 42),
    "nemotron": lambda text: nemo(nemotron(text)),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("documents")
    parser.add_argument("--program", required=True)
    parser.add_argument("--limit", type=int)
    opt = parser.parse_args()
    np.seterr(over="ignore")
    with open(opt.documents) as lines:
        documents = [line for line in lines][: opt.limit]
    for name, sign in PRESETS.items():
        result = subprocess.run(
            [opt.program, "signatures", name], input="".join(documents), capture_output=True,
            text=True, check=True)
        ours = [json.loads(line) for line in result.stdout.splitlines()]
        theirs = [sign(json.loads(line)["text"]) for line in documents]
        differ = [at for at, pair in enumerate(zip(ours, theirs, strict=True)) if pair[0] != pair[1]]
        print(json.dumps({
            "preset": name, "documents": len(documents), "signed": sum(map(bool, ours)),
            "differ": len(differ), "first": differ[:5]}))


if __name__ == "__main__":
    main()
