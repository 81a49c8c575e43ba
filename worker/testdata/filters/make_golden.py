#!/usr/bin/env python3
"""Write golden.jsonl: small texts with datatrove's verdicts, under this project's reason names.

  pip install datatrove==0.10.1 spacy==3.8.18
  ./make_golden.py C4_SAMPLE.json.gz... > golden.jsonl

The samples are files of allenai/c4 (ODC-BY); see SOURCE.md. The same files give the same bytes.
"""
import gzip
import json
import random
import sys

from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter, FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter)

FILTERS = {
    "gopher_repetition": GopherRepetitionFilter(),
    "gopher_quality": GopherQualityFilter(),
    "c4_quality": C4QualityFilter(filter_no_terminal_punct=False),
    "c4_quality_end_marks": C4QualityFilter(),
    "fineweb_quality": FineWebQualityFilter(),
}
REASONS = {
    "dup_para_frac": "duplicate_paragraphs", "dup_para_char_frac": "duplicate_paragraph_chars",
    "dup_line_frac": "duplicate_lines", "dup_line_char_frac": "duplicate_line_chars",
    "gopher_short_doc": "too_few_words", "gopher_long_doc": "too_many_words",
    "gopher_below_avg_threshold": "short_mean_word",
    "gopher_above_avg_threshold": "long_mean_word",
    "gopher_too_many_hashes": "too_many_hashes", "gopher_too_many_ellipsis": "too_many_ellipses",
    "gopher_too_many_bullets": "too_many_bullet_lines",
    "gopher_too_many_end_ellipsis": "too_many_ellipsis_lines",
    "gopher_below_alpha_threshold": "too_few_alphabetic_words",
    "gopher_enough_stop_words": "too_few_stop_words",
    "line_punct_ratio": "too_few_terminal_lines", "short_line_ratio": "too_many_short_lines",
    "char_dup_ratio": "duplicate_line_chars", "list_ratio": "too_many_newlines",
    **{f"duplicated_{n}_n_grams": f"duplicate_{n}_grams" for n in range(5, 11)},
}
SENTENCES = [
    "The ferry to the island leaves at 7:45 and takes half an hour.",
    "Nobody had told them that the bridge would be closed all week!",
    "Do you have a map of the old town, Mr. Baker?",
    "It's a well-known fact that goats can't resist wet paint.",
    "With 3.5% of the votes, the party didn't win a seat in the U.S. Senate.",
    "She said: \"We'll be back to look at the roof and the chimney.\"",
    "The recipe asks for 200g of flour, two eggs (beaten) and a pinch of salt.",
    "See https://example.org/path?x=1 or write to someone@example.org for details.",
    "Nothing that they have built since then has lasted half as long.",
    "Rain is expected on the coast, e.g. at Port Ellis, and snow in the hills.",
]


def own_cases():
    prose = "\n".join(SENTENCES)
    half = SENTENCES[:6]
    yield "prose", prose
    yield "empty line ends", "\n\n" + prose.replace("\n", " \r\n") + "\n\n"
    yield "six sentences", "\n".join(half)
    yield "short", SENTENCES[0]
    yield "paragraph twice", "\n\n".join([prose, prose])
    yield "one paragraph of three twice", "\n\n".join(half[:3] + [half[0]])
    yield "lines twice", "\n".join(half + half[:4])
    yield "line often", "\n".join(SENTENCES + [SENTENCES[0]] * 3)
    yield "phrase often", " ".join(s + " Buy the best boots here now." for s in SENTENCES)
    yield "pair often", " ".join("to be" for _ in range(40)) + " that is the question of them all."
    yield "triple often", " ".join(f"in the end {w}" for w in prose.split()[:40])
    yield "four often", " ".join(f"as far as we {w} know" for w in prose.split()[:40])
    yield "long repeats", " ".join([" ".join(half), "and", " ".join(half[:3])])
    yield "hashes", prose.replace(" the ", " #the #").replace(" a ", " #a #").replace(" to ", " # to #")
    yield "ellipses in text", prose.replace(" ", "... ", 40)
    yield "ellipsis lines", "\n".join(s + "..." if i % 2 else s for i, s in enumerate(SENTENCES))
    yield "bullets", "\n".join(("• " if i % 2 else " - ") + s for i, s in enumerate(SENTENCES))
    yield "numbers", "\n".join(s + " 12 44 98 3 71 1.5 200 - = 7" for s in SENTENCES)
    yield "no stop words", "\n".join(["Cats chase small grey mice around several old houses daily."] * 1
                                     + ["Dogs bark loudly near my garden gate every single morning."]
                                     + [f"Farmer number {n} grows onions, carrots, beans, peas." for n in range(9)])
    yield "short words", " ".join("a b c d e f g to the of".split() * 8)
    yield "long words", " ".join(f"internationalisation{n}counterrevolutionary the of" for n in range(30))
    yield "javascript", prose + "\nPlease enable JavaScript in the browser."
    yield "policy", "Read our Privacy Policy before you go on.\n" + prose + "\nThis site uses cookies for all of you."
    yield "lorem", prose + "\nLorem ipsum dolor sit amet."
    yield "bracket", prose + "\nfunction run() { return to the start; }"
    yield "bracket in a short line", "a {\n" + prose
    yield "citations", prose.replace(" the ", " the[1] ").replace("!", "![citation needed]")
    yield "long word", prose + "\nlook at " + "x" * 1001 + " now."
    yield "word of 1000", prose + "\nlook at " + "x" * 1000 + " now."
    yield "no end marks", "\n".join(s.rstrip('.?!"') for s in SENTENCES)
    yield "short lines", "\n".join(" ".join(prose.split()[i:i + 4]) for i in range(0, 90, 4))
    yield "list", "\n".join(prose.split())
    yield "other scripts", prose + "\nВсе люди рождаются свободными. Ἐν ἀρχῇ ἦν ὁ λόγος; ¿Qué tal?"
    yield "separators", prose.replace("\n", "\x1c", 2).replace("\n", "\u2028", 2).replace("\n", "\x85", 2)


def c4_cases(paths):
    rng = random.Random(11)
    for path in paths:
        for number, line in enumerate(gzip.open(path, "rt", encoding="utf-8")):
            text = json.loads(line)["text"]
            if len(text) > 3000:
                text = text[:3000]
            name = f"{path.rsplit('/', 1)[-1]}:{number}"
            yield name, text
            words = text.split(" ")
            start = rng.randrange(len(words))
            yield name + " again", text + "\n" + " ".join(words[start:start + rng.randrange(10, 120)])


def judge(text):
    verdicts = {}
    for name, chosen in FILTERS.items():
        document = Document(text=text, id="golden")
        result = chosen.filter(document)
        keep, reason = result if isinstance(result, tuple) else (result, None)
        verdicts[name] = {"reason": None if keep else REASONS.get(reason, reason)}
        if keep and document.text != text:
            verdicts[name]["text"] = document.text
    return verdicts


for name, text in [*own_cases(), *c4_cases(sys.argv[1:])]:
    print(json.dumps({"id": name, "text": text, "verdicts": judge(text)}, ensure_ascii=False))
