#!/usr/bin/env python3
"""Train a small classifier with Thresher, let fastText itself read it, and compare what both say.

  trained.py path/to/thresher ; from the repository's root

Needs PyPI's fasttext-numpy2-wheel 0.9.2. Fails if fastText cannot read the file, if a second run gives
other bytes, or if the model does not distinguish German from French.
"""
import json, os, subprocess, sys, tempfile

import fasttext

rows = [json.loads(line) for line in open("worker/testdata/lm/reference_scores.jsonl", encoding="utf-8")]
with tempfile.TemporaryDirectory() as folder:
    positive, negative = (os.path.join(folder, name) for name in ("de.jsonl", "fr.txt"))
    with open(positive, "w", encoding="utf-8") as out:
        out.writelines(json.dumps({"text": row["text"]}) + "\n" for row in rows if row["lang"] == "de")
    with open(negative, "w", encoding="utf-8") as out:
        out.writelines(row["text"] + "\n" for row in rows if row["lang"] == "fr")
    models = []
    for name in ("first.bin", "second.bin"):
        models.append(os.path.join(folder, name))
        command = [sys.argv[1], "train", "classifier", "--positive", positive, "--negative", negative]
        subprocess.run([*command, "--epochs", "25", "--seed", "7", "-o", models[-1]], check=True)
    first, second = (open(model, "rb").read() for model in models)
    assert first == second, "two runs gave different bytes"
    asked = fasttext.load_model(models[0])
    right = 0
    for row in rows:
        (label,), (probability,) = asked.predict(row["text"])
        right += (label == "__label__wiki") == (row["lang"] == "de")
    print(f"fastText reads the model and is right on {right} of {len(rows)} texts")
    assert right >= 0.95 * len(rows)
