#!/usr/bin/env python3
"""Write counts.jsonl: how many tokens PyPI's tokenizers 0.23.3 finds in texts with GPT-NeoX-20B's file.

  make_counts.py gpt-neox-20b.json ../lm/reference_scores.jsonl ../lm/pieces.jsonl > counts.jsonl
"""
import json, sys
from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file(sys.argv[1])
texts = {}
for path in sys.argv[2:]:
    for line in open(path, encoding="utf-8"):
        texts[json.loads(line)["text"]] = None
texts["".join(texts)] = None
texts["a <|endoftext|> b"] = None
texts["def f(x):\n    return x  # \t  tabs\r\n\n\n        }" * 20] = None
for text in texts:
    count = len(tokenizer.encode(text, add_special_tokens=False).ids)
    print(json.dumps({"text": text, "tokens": count}, ensure_ascii=False))
