#!/usr/bin/env python3
"""Megabytes of text a second of CPU time of SentencePiece and tokenizers, as `cargo bench --bench models` has ours.

  models.py [FILE.jsonl] ; from the repository's root

Needs PyPI's sentencepiece and tokenizers; with kenlm, which is built from source, its score is added.
"""
import gzip, json, sys, time

import sentencepiece, tokenizers

data = "worker/testdata/"
rows = open(sys.argv[1] if len(sys.argv) > 1 else data + "lm/reference_scores.jsonl", encoding="utf-8")
texts = [json.loads(line)["text"] for line in rows]
size = sum(len(text.encode()) for text in texts)

def report(name, work):
    best = float("inf")
    for _ in range(5):
        began, repeats = time.thread_time(), 0
        while time.thread_time() - began < 0.2:
            for text in texts:
                work(text)
            repeats += 1
        best = min(best, (time.thread_time() - began) / repeats)
    print(f"{name:<28} {size / best / 1e6:>8.1f} MB/s")

pieces = sentencepiece.SentencePieceProcessor(model_file=data + "lm/fr.sp.model")
report("SentencePiece", lambda text: pieces.encode(text, out_type=str))
try:
    import kenlm
    language = kenlm.Model(data + "lm/fr.arpa.bin")
    report("SentencePiece and KenLM", lambda text: language.score(" ".join(pieces.encode(text, out_type=str))))
except ImportError:
    print("kenlm is not installed")
tokenizer = tokenizers.Tokenizer.from_str(gzip.open(data + "tokens/gpt-neox-20b.json.gz", "rt").read())
report("tokens", lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids))
