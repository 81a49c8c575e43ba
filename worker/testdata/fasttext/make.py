"""Makes small fastText models of every kind and records fastText's own predictions.

    python3.11 -m venv v && v/bin/pip install fasttext-numpy2-wheel==0.9.2
    v/bin/python make.py ../lid/reference_udhr2.jsonl

The vocabulary comes from the texts of the reference; the weights are random, from a fixed seed.
(Training with the wheel is not repeatable: it leaves a part of its memory uninitialised, and with
few dimensions most trainings end in NaN.) fastText itself loads, quantises, saves and predicts.

texts.json    cut texts of the reference and a few peculiar ones
NAME.jsonl    for each text: the k = 1, 3 and all best labels with their probabilities; of more
              than 12 labels the first and the last 6
"""

import collections
import json
import random
import struct
import sys
import tempfile
from pathlib import Path

import fasttext

HERE = Path(__file__).parent
LOSSES = {"hs": 1, "ns": 2, "softmax": 3, "ova": 4}
DEFAULTS = dict(minn=0, maxn=0, wordNgrams=1, bucket=0, labels=12, words=300, version=12)

# name, settings, quantising options
MODELS = [
    ("hs", dict(loss="hs", dim=5, minn=2, maxn=3, bucket=500), None),
    ("hs-version-11", dict(loss="hs", dim=8, minn=2, maxn=3, bucket=100, version=11), None),
    ("softmax-words", dict(loss="softmax", dim=6, wordNgrams=2, bucket=700), None),
    ("softmax-plain", dict(loss="softmax", dim=4), None),
    ("ova-trigrams", dict(loss="ova", dim=6, wordNgrams=3, bucket=600), None),
    ("ns-chars", dict(loss="ns", dim=9, minn=1, maxn=4, bucket=600), None),
    ("hs-quantised", dict(loss="hs", dim=7, minn=2, maxn=4, bucket=3000), dict(dsub=2)),
    ("softmax-qnorm-pruned", dict(loss="softmax", dim=7, minn=2, maxn=3, wordNgrams=2, bucket=5000),
     dict(dsub=3, qnorm=True, cutoff=900)),
    ("ova-words-pruned", dict(loss="ova", dim=4), dict(dsub=2, cutoff=260)),
    # An output matrix can be quantised only where there are 256 labels or more.
    ("softmax-qout", dict(loss="softmax", dim=5, labels=260), dict(dsub=2, qout=True, qnorm=True)),
    ("hs-qout", dict(loss="hs", dim=5, labels=260, minn=3, maxn=3, bucket=300), dict(dsub=3, qout=True)),
]

PECULIAR = [
    "", " ", "x", "qqqq zzzz", "__label__3 the people", "the __label__unseen people",
    "the </s> de la et", "a\tb\rc\x0bd\x0ce\x00f", "𝒳 🙂 日本語のテキスト", "the " * 50,
    "naïve café Übermaß " + "ы" * 300,
]


def write_model(path, rng, texts, settings):
    s = {**DEFAULTS, **settings}
    counts = collections.Counter(word for text in texts for word in text.split())
    words = ["</s>"] + [word for word, _ in counts.most_common(s["words"] - 1)]
    label_counts = sorted((rng.randrange(1, 500) for _ in range(s["labels"])), reverse=True)
    rows = len(words) + s["bucket"]
    with open(path, "wb") as out:
        out.write(struct.pack("<2i", 793712314, s["version"]))
        out.write(struct.pack("<12id", s["dim"], 5, 5, 1, 5, s["wordNgrams"], LOSSES[s["loss"]], 3,
                              s["bucket"], s["minn"], s["maxn"], 100, 1e-4))
        out.write(struct.pack("<3i2q", len(words) + s["labels"], len(words), s["labels"], 1000, -1))
        for index, word in enumerate(words):
            out.write(word.encode() + b"\0" + struct.pack("<qb", 1000 - index, 0))
        for index, count in enumerate(label_counts):
            out.write(f"__label__{index}".encode() + b"\0" + struct.pack("<qb", count, 1))
        for count, scale in ((rows, 1.0), (s["labels"], 3.0)):
            out.write(struct.pack("<b2q", 0, count, s["dim"]))
            out.write(b"".join(struct.pack("<f", rng.gauss(0, scale)) for _ in range(count * s["dim"])))


def predictions(model, text):
    for k in (1, 3, -1):
        # The binding's own call; the Python wrapper only appends the line feed.
        found = model.f.predict(text + "\n", k, 0.0, "strict")
        # Of all labels, the worst are as telling as the best.
        found = found[:6] + found[-6:] if len(found) > 12 else found
        yield [[int(label.removeprefix("__label__")), float(f"{score:.7g}")] for score, label in found]


rows = [json.loads(line) for line in open(sys.argv[1])]
texts = PECULIAR + [row["text"][: 10 + 5 * (i % 40)] for i, row in enumerate(rows[::30])]
(HERE / "texts.json").write_text(json.dumps(texts, ensure_ascii=False, indent=0) + "\n")
for name, settings, quantise in MODELS:
    path = HERE / f"{name}.{'bin' if quantise is None else 'ftz'}"
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "made.bin"
        write_model(made, random.Random(name), [row["text"] for row in rows], settings)
        if quantise is None:
            path.write_bytes(made.read_bytes())
        else:
            model = fasttext.load_model(str(made))
            model.quantize(verbose=0, **quantise)
            model.save_model(str(path))
    model = fasttext.load_model(str(path))
    with open(HERE / f"{name}.jsonl", "w") as out:
        for text in texts:
            print(json.dumps(list(predictions(model, text)), separators=(",", ":")), file=out)
