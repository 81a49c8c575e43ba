"""datatrove's text rule and spaCy's words for documents, beside Thresher's.

  near_words.py golden > worker/near/testdata/fineweb_words_spacy-3.8.jsonl
  near_words.py compare DOCUMENTS.jsonl --program target/release/examples/near_peer [--limit N]

`golden` writes the hard cases that the unit tests hold. `compare` prints the share of documents
whose words, and so whose shingles, differ; each line of DOCUMENTS is an object with a `text`.
"""
import argparse
import json
import subprocess
import sys

from datatrove.utils.text import simplify_text
from datatrove.utils.word_tokenizers import load_word_tokenizer

CONTRACTIONS = """i dont think im late, he cant and we wont|Don’t, won't, CAN’T — cannot|y'all yall
theyre thats whats its|ill well shell hell wed id|gonna gotta lemme gimme wanna|id've idve i'd've
wouldntve shouldn’tve|em ol nuff nuthin doin goin|o'clock oclock ma'am maam|thered there'd theres
whos who's hows when's whenll|aint ain't mustnt needn't|im.|(im)|“im”|‘im‘|‘dont’|im°|°im|©dont™
imima ima|cant ve|ive we've weve|howll howllve|hes shes its|notve maynt|dontdont|donts|xdont"""
UNITS = """5km 10 km 3kg 12mm 2m² 1m³|0.5ha 7ft 8in 9lb 3oz|5KM 10GB 3TB 4Mb 5kB|100% 5€ €5 $5 5$ 5£
£5 5¢ ¥5 5¥ 5฿ US$5 5US$|3t 4g 5k 6m 7b|3am 3pm 11a.m. 12p.m.|12th 1st 2nd|5км 6м 7кг 8см² 9тб
5µm 5μm 7°C 20° 5°c 5°.|h2o co2 5x5 3d 4k 1080p|a1b2 1a 2b3c|v1.2.3 1.2.3.4 127.0.0.1|1,000,000.50
1.5km 1,5kg 1.000,5|٣كم ٣٫٥|१२३ ৪৫ ๓๔|½km ²km 5²|0m0km|km5 5mkm|5 €|€|5₿ ₿5 ₿|﷼5 5﷼|2in1 4ft6in"""
MARKS = """© 2024 Foo™ Bar®|“quoted” ‘single’ ‚low‘ „low“|«guillemets» ‹single›|a•b • c ·d· e·f
●bullet ○ ■ ▪item ►go|★★★☆☆|→ a→b ⇒c|✓done ✔ ✗|😀 hi😀there 👍🏽 👨‍👩‍👧|☎ 555-1234|§5 §a a§ 5§
¿que? ¡hola!|، ؟ ؛ ۔ ٪5|।। देवनागरी।|『a』「b」【c】〔d〕〈e〉|a=b a≠b 5≠a ≠ ≠a a≮b a≯5 ≮≯|한국≠a a≠ក ក≠a カ≮カ ჵ≯a|a<b <b> 1<2
™™ ©© °°|a°b 5°b|a©b©c|©a©|…a… a…b|—dash—dash –en–|a_b __init__ #tag @user|http://a.org/b?c=d
me@example.org www.example.com|C++ c# .net|¯\\_(ツ)_/¯ ಠ_ಠ ಠ︵ಠ|:) :-( ;) xD XD o_O 0_0 <3|∀x∈y ∑ √2 ±5 ×3 5×3
a¬b ¦ a¦b|№5 ℃ 5℃ ℉|a\u00a0b a\u2009b a\u200bb a\u3000b|a\u00adb|\ufeffstart|a\u0301 e\u0301te\u0301
x \u0301 y|\u0301|ǅ ß ẞ İ I ı|ΟΔΟΣ ΣΑΣ σς|ﬁ ﬂ ﬀ|ⅷ Ⅷ ① ⑴|日本語 テスト。ガギグ|한국어 조선말|Ελληνικά άέή
Привет, мир! ё й|עברית שָׁלוֹם|العربية مُحَمَّد|ไทย ภาษา|हिन्दी नमस्ते|Ǻ ǖ Å Å|K K Ω Ω|;greek; ·
a`b ` `x` x` a´b|`a´|‘s it‘s ‘s‘ ‘‘s x‘|‘n‘ rock ‘n’ roll|⟦a⟧ ⟨b⟩|〈a〉|؋5 5؋ ৳5 ₨5 5₨|֏5 5֏|₺ a₺ ₺a"""
TEXTS = """|   |The END\n\n'ok'|Café  déjà—vu 12,345.6! The END\n\n'ok'|ÀÉÎ ﬁ ½ １２３ ① Ⅳ naïve
1.|.1|1.1.1|1,|,1|1..2|1.,2|1 . 2|1،2|1،|،1|1٫2|12.34,56|1e10 1E-5 0x1F|+1-2 -3|(555) 123-4567
2024-01-31T10:30:00Z|10:30 a.m.|\t\x0b\x0c\x1c\x1d\x1e\x1f\x85a|a\x00b\x7fc\x9fd|a\r\nb\u2028c\u2029d
well-known state-of-the-art|U.S.A. Ph.D. e.g. i.e.|Mr. Smith’s dog’s|rock'n'roll|O’Neill d’Artagnan
100,000km² of 3.5m|it’s 5 o’clock; I’m gonna go|IS_ALPHA|a/b and/or w/o|$1,000.00/mo|50%off|5%|C°"""


def cases():
    for block in (CONTRACTIONS, UNITS, MARKS, TEXTS):
        for line in block.split("\n") if block is not TEXTS else [block]:
            yield from line.split("|")
    # Single characters of each table, at either end of a word and inside.
    for mark in "‘‚·¿؟¡।،۔؛٪『〕〈⟦§€£₽°©™®•★😀=":
        yield "%sword word%s wo%srd 5%s %s5 %s" % ((mark,) * 6)
        yield "%s%s %sdont im%s 5%skm%s" % ((mark,) * 6)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    modes = parser.add_subparsers(dest="mode", required=True)
    modes.add_parser("golden")
    compare_mode = modes.add_parser("compare")
    compare_mode.add_argument("documents")
    compare_mode.add_argument("--program", required=True)
    compare_mode.add_argument("--limit", type=int)
    opt = parser.parse_args()
    tokenizer = load_word_tokenizer("eng")
    if opt.mode == "golden":
        for text in dict.fromkeys(case for case in cases()):
            rule = simplify_text(text)
            line = {"text": text, "rule": rule, "words": tokenizer.word_tokenize(rule)}
            print(json.dumps(line, ensure_ascii=False))
    else:
        compare(opt, tokenizer)


def compare(opt, tokenizer):
    with open(opt.documents) as lines:
        documents = [line for line in lines][: opt.limit]
    ours = subprocess.run(
        [opt.program, "words"], input="".join(documents), capture_output=True, text=True, check=True
    ).stdout.splitlines()
    rules = words_differ = shingles_differ = shingles = 0
    examples = []
    for document, line in zip(documents, ours, strict=True):
        text = json.loads(document)["text"]
        found = json.loads(line)
        rule = simplify_text(text)
        words = tokenizer.word_tokenize(rule)
        rules += found["rule"] != rule
        grams = {" ".join(words[i:i + 5]) for i in range(len(words) - 4)}
        mine = found["words"]
        other = {" ".join(mine[i:i + 5]) for i in range(len(mine) - 4)}
        shingles += len(grams)
        shingles_differ += len(grams ^ other)
        if words != mine:
            words_differ += 1
            at = next((i for i, (a, b) in enumerate(zip(words, mine)) if a != b), -1)
            examples.append((words[max(at - 1, 0):at + 2], mine[max(at - 1, 0):at + 2]))
    for example in examples[:20]:
        print(*example, file=sys.stderr)
    print(json.dumps({
        "documents": len(documents), "rule_differs": rules, "words_differ": words_differ,
        "share": words_differ / max(len(documents), 1), "shingles": shingles,
        "shingles_differ": shingles_differ,
    }))


if __name__ == "__main__":
    main()
