#!/usr/bin/env python3
"""Counts the tokens of texts twice; prints how many, and the CPU seconds of both passes.

  tokens.py TEXTS.jsonl --tokenizer FILE.json --library tokenizers|gigatoken

The tokenizer is loaded for the first pass, so that it has seen no word before.
"""
import argparse
import importlib.metadata
import json
import time


def counter(library, file):
    """Returns a function from texts to the number of their tokens, without special ones."""
    if library == "gigatoken":
        import gigatoken

        loaded = gigatoken.Tokenizer(file)
        return lambda texts: sum(map(len, loaded.encode_batch_list(texts, parallel=False)))
    import tokenizers

    loaded = tokenizers.Tokenizer.from_file(file)
    return lambda texts: sum(len(loaded.encode(t, add_special_tokens=False).ids) for t in texts)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("texts")
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--library", choices=["tokenizers", "gigatoken"], default="tokenizers")
    arguments = parser.parse_args()
    with open(arguments.texts, encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file]
    count = counter(arguments.library, arguments.tokenizer)
    passes = []
    for _ in range(2):
        began = time.process_time()
        tokens = count(texts)
        passes.append(time.process_time() - began)
    version = importlib.metadata.version(arguments.library)
    print(json.dumps({"tokens": tokens, "cold": passes[0], "warm": passes[1], "version": version}))


main()
