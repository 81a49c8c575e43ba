"""datatrove 0.10.1 with FineWeb-2's filters and thresholds on documents of `unspaced_corpus.py`.

  unspaced.py CORPUS [--language zh …]

Prints for each kind and language how many documents are kept, and the reasons of the others. The
thresholds are those of huggingface/fineweb-2 (configs/LANGUAGE_SCRIPT.yml, May 2026); the language
score, which depends on another model, is left out, and so are the stop words, so that the same
rules decide as with `filters.gopher_quality.min_stop_words = 0`. Needs the word tokenizers that
datatrove asks for: jieba, spacy[ja], pythainlp, khmer-nltk, laonlp, pyidaungsu-numpy2, botok.
"""
import argparse
import collections
import gzip
import json
import warnings
from pathlib import Path

GRAMS = range(5, 11)
# language: its name in datatrove, duplicate lines, top 2, 3, 4-grams, duplicate 5 … 10-grams,
# terminal lines, newlines per word, mean word from, to, words with a letter.
CONFIGS = {
    "zh": ("cmn_Hani", .287, (.256, .201, .171), (.198, .182, .167, .154, .14, .127),
           .106, .178, 1, 5, .735),
    "ja": ("jpn_Jpan", .375, (.121, .129, .145), (.307, .283, .264, .248, .234, .223),
           .167, .162, 1, 5, .759),
    "th": ("tha_Thai", .349, (.221, .197, .162), (.185, .168, .152, .137, .124, .111),
           0, .153, 2, 10, .9),
    "km": ("khm_Khmr", .92, (.165, .225, .242), (.197, .168, .148, .126, .107, .094),
           .077, .667, 2, 13, .905),
    "lo": ("lao_Laoo", .327, (.198, .175, .143), (.187, .175, .163, .149, .135, .123),
           0, .2, 2, 9, .85),
    "my": ("mya_Mymr", .308, (.074, .097, .115), (.161, .132, .118, .101, .09, .079),
           0, .125, 2, 21, .75),
    "bo": ("bod_Tibt", .261, (.206, .205, .175), (.174, .153, .14, .129, .115, .102),
           0, .417, 1, 23, .824),
    "dz": ("dzo_Tibt", .318, (.332, .327, .286), (.223, .203, .189, .177, .164, .15),
           0, .462, 2, 14, .87),
}


def chain(language):
    from datatrove.pipeline.filters import (
        FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter)
    name, lines, top, duplicate, marks, newlines, low, high, letters = CONFIGS[language]
    return [
        GopherRepetitionFilter(
            language=name, dup_para_frac=0, dup_line_char_frac=0, dup_para_char_frac=0,
            dup_line_frac=lines, top_n_grams=tuple(zip((2, 3, 4), top)),
            dup_n_grams=tuple(zip(GRAMS, duplicate))),
        FineWebQualityFilter(
            language=name, short_line_thr=999, char_duplicates_ratio=0.1, line_punct_thr=marks,
            new_line_ratio=newlines),
        GopherQualityFilter(
            language=name, max_avg_word_length=high, min_avg_word_length=low, min_stop_words=0,
            max_non_alpha_words_ratio=letters),
    ]


def reason(filters, document):
    for each in filters:
        verdict = each.filter(document)
        if isinstance(verdict, tuple):
            verdict, why = verdict
        else:
            why = "dropped"
        if not verdict:
            return why
    return None


def main():
    from datatrove.data import Document
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--language", nargs="*", default=list(CONFIGS))
    opt = parser.parse_args()
    warnings.simplefilter("ignore")
    for language in opt.language:
        filters = chain(language)
        for path in sorted(opt.corpus.glob("*-%s.json.gz" % language)):
            reasons = collections.Counter()
            with gzip.open(path, "rt", encoding="utf-8") as rows:
                for number, row in enumerate(rows):
                    document = Document(text=json.loads(row)["text"], id=str(number))
                    reasons[reason(filters, document)] += 1
            kept = reasons.pop(None, 0)
            print("%-24s %4d of %4d kept  %s" % (
                path.name, kept, kept + sum(reasons.values()), dict(reasons)), flush=True)


if __name__ == "__main__":
    main()
