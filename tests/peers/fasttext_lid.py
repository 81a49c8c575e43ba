"""fastText's language id over texts, without reading and loading time.

  fasttext_lid.py TEXTS --model lid.176.ftz [--labels K]

TEXTS: JSON lines with a `text` (or `raw_content`), or plain text with one document a line; `.gz`
may follow.
"""
import argparse
import gzip
import json
import sys

from measure import cpu_seconds, report


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts")
    parser.add_argument("--model", required=True)
    parser.add_argument("--labels", type=int, default=1, help="labels a document; -1: all")
    opt = parser.parse_args()
    import fasttext

    fasttext.FastText.eprint = lambda _: None  # a warning on standard error at every load
    model = fasttext.load_model(opt.model)
    texts = [text.replace("\n", " ") for text in read(opt.texts)]
    if not texts:
        sys.exit("fasttext_lid: no text in `%s`" % opt.texts)
    start = cpu_seconds()
    accepted = 0
    for text in texts:
        _, scores = model.predict(text, k=opt.labels)
        accepted += len(scores) > 0 and scores[0] >= 0.5
    report(
        peer="fasttext-numpy2-wheel 0.9.2",
        stages={"predict": round(cpu_seconds() - start, 3)},
        documents=len(texts),
        text_bytes=sum(len(text.encode()) for text in texts),
        documents_accepted=int(accepted))


def read(path):
    name = path.removesuffix(".gz")
    with (gzip.open if path != name else open)(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            if name.endswith((".json", ".jsonl")):
                row = json.loads(line)
                yield row["text"] if "text" in row else row["raw_content"]
            else:
                yield line.rstrip("\n")


if __name__ == "__main__":
    main()
