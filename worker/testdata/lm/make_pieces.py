#!/usr/bin/env python3
"""Write pieces.jsonl: what SentencePiece 0.2.3 (PyPI) makes of spaces, foreign letters and rubbish.

  make_pieces.py FOLDER > pieces.jsonl
"""
import json, os, random, sys
import sentencepiece

folder = sys.argv[1]
random.seed(7)
words = "der Mensch l'homme École straße ﬁn ① Ⅷ ｆｕｌｌ ｶﾞ 한국어 日本語 русский 😀 e\u0301 \u00a0 \u3000 \t \n ▁ ▁▁ <unk> <s> </s> aaaa ---- ½ … \u200b \ufeff 0000 xyzzyqq ÿþ".split(" ")
texts = ["", " ", "  a  b  ", "▁", "a▁b", "\ta\n\nb "]
texts += ["".join(random.choice(words) + random.choice(["", " ", "  "]) for _ in range(random.randint(1, 40))) for _ in range(60)]
for lang in ("de", "fr"):
    model = sentencepiece.SentencePieceProcessor(model_file=os.path.join(folder, lang + ".sp.model"))
    for text in texts:
        print(json.dumps({"lang": lang, "text": text, "pieces": " ".join(model.encode(text, out_type=str))}, ensure_ascii=False))
