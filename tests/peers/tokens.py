#!/usr/bin/env python3
"""Counts the tokens of texts with the library `tokenizers`; prints how many, and CPU seconds.

  tokens.py TEXTS.jsonl --tokenizer FILE.json
"""
import argparse, json, time

import tokenizers

parser = argparse.ArgumentParser()
parser.add_argument("texts")
parser.add_argument("--tokenizer", required=True)
arguments = parser.parse_args()
texts = [json.loads(line)["text"] for line in open(arguments.texts, encoding="utf-8")]
tokenizer = tokenizers.Tokenizer.from_file(arguments.tokenizer)
began = time.process_time()
tokens = sum(len(tokenizer.encode(text, add_special_tokens=False).ids) for text in texts)
seconds = time.process_time() - began
print(json.dumps({"tokens": tokens, "seconds": seconds, "version": tokenizers.__version__}))
