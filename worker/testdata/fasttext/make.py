"""Trains small fastText models of every kind and records fastText's own predictions.

    python3.11 -m venv v && v/bin/pip install fasttext-numpy2-wheel==0.9.2
    v/bin/python make.py ../lid/reference_udhr2.jsonl

The training texts are those of the reference, each labelled with its best language; the
predictions are for every 12th text and a few peculiar ones, k = 3 and all labels. One thread, so
that a second run gives the same files.
"""

import json
import sys
import tempfile
from pathlib import Path

import fasttext

HERE = Path(__file__).parent
rows = [json.loads(line) for line in open(sys.argv[1])]
languages = ["en", "de", "fr", "es", "ru", "pt", "it", "tr", "uk", "ar", "id", "hu"]

# name, training options, quantising options
MODELS = [
    ("hs", dict(loss="hs", dim=5, minn=2, maxn=3, bucket=500), None),
    ("softmax-words", dict(loss="softmax", dim=6, minn=0, maxn=0, wordNgrams=2, bucket=700), None),
    ("softmax-plain", dict(loss="softmax", dim=4, minn=0, maxn=0, wordNgrams=1), None),
    ("ova-trigrams", dict(loss="ova", dim=6, minn=0, maxn=0, wordNgrams=3, bucket=600), None),
    ("ns-chars", dict(loss="ns", dim=9, minn=1, maxn=4, bucket=600), None),
    ("hs-quantised", dict(loss="hs", dim=7, minn=2, maxn=4, bucket=3000), dict(dsub=2)),
    ("softmax-qnorm-pruned", dict(loss="softmax", dim=7, minn=2, maxn=3, wordNgrams=2, bucket=5000),
     dict(dsub=3, qnorm=True, cutoff=900)),
    ("ova-words-pruned", dict(loss="ova", dim=4, minn=0, maxn=0), dict(dsub=2, cutoff=400)),
]
# An output matrix can be quantised only where there are 256 labels or more.
MANY = ("softmax-qout", dict(loss="softmax", dim=5, minn=0, maxn=0), dict(dsub=2, qout=True, qnorm=True))

PECULIAR = [
    "", " ", "x", "qqqq zzzz", "__label__en the people", "the __label__unseen people",
    "the </s> de la et", "a\tb\rc\x0bd\x0ce\x00f", "𝒳 🙂 日本語のテキスト", "the " * 50,
    "naïve café Übermaß " + "ы" * 300,
]


def predictions(model, texts, ks):
    for text in texts:
        for k in ks:
            # The binding's own call; the Python wrapper only appends the line feed.
            found = model.f.predict(text + "\n", k, 0.0, "strict")
            yield {"text": text, "k": k, "labels": [l for _, l in found], "scores": [round(s, 7) for s, _ in found]}


with tempfile.TemporaryDirectory() as folder:
    few = Path(folder) / "few.txt"
    few.write_text("".join(f"__label__{r['labels'][0]} {r['text']}\n" for r in rows if r["labels"][0] in languages))
    many = Path(folder) / "many.txt"
    many.write_text("".join(f"__label__{i % 260} {r['text']}\n" for i, r in enumerate(rows)))
    for name, train, quantise in [*MODELS, MANY]:
        source, min_count = (many, 12) if name == MANY[0] else (few, 8)
        model = fasttext.train_supervised(str(source), thread=1, epoch=25, lr=0.1, minCount=min_count, verbose=0, **train)
        if quantise is not None:
            model.quantize(verbose=0, **quantise)
        path = HERE / f"{name}.{'bin' if quantise is None else 'ftz'}"
        model.save_model(str(path))
        model = fasttext.load_model(str(path))
        texts = PECULIAR + [r["text"][:120] for r in rows[::12]]
        with open(HERE / f"{name}.jsonl", "w") as out:
            for row in predictions(model, texts[:60], [1, 3] if name == MANY[0] else [1, 3, -1]):
                row["scores"] = [float(f"{s:.7g}") for s in row["scores"]]
                print(json.dumps(row, ensure_ascii=False), file=out)
