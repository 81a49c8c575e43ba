"""Compares the slice `stackexchange` with RedPajama's scripts.

  stackexchange.py SITE/Posts.xml …
  stackexchange.py --generate N [--seed S]

The original's way of reading a site: filter.py collects the answers by their question and then the
questions, and post_processing.py turns the HTML into text. The language is left out.
"""
import argparse
import random
import tempfile
import warnings
import xml.etree.ElementTree as tree
from pathlib import Path
from xml.sax.saxutils import quoteattr

from bs4 import BeautifulSoup

from compare import published, report


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("posts", nargs="*", type=Path)
    parser.add_argument("--generate", type=int, metavar="N", help="make N questions instead")
    parser.add_argument("--seed", type=int, default=1)
    opt = parser.parse_args()
    warnings.filterwarnings("ignore")
    with tempfile.TemporaryDirectory() as folder:
        posts = opt.posts or [generate(Path(folder), opt.generate, opt.seed)]
        original, ours = {}, {}
        for path in posts:
            for url, text in site(path):
                original[numbered(original, url)] = text
            rows = published("stackexchange", path.parent.parent.resolve(),
                             f"{path.parent.name}/{path.name}")
            for row in rows:
                ours[numbered(ours, row["meta"]["url"])] = row["text"]
    report(original, ours)


def numbered(rows, url):
    """The address with a number, since a site can have a question twice."""
    number = 0
    while (url, number) in rows:
        number += 1
    return url, number


def site(path):
    answers, questions = {}, []
    with open(path, encoding="utf-8-sig") as lines:
        for line in lines:
            if not line.strip().startswith("<row"):
                continue
            row = tree.fromstring(line).attrib
            if "ParentId" in row:
                answers.setdefault(row["ParentId"], []).append(row)
            elif "Title" in row:
                questions.append(row)
    for row in questions:
        text = "Q: " + text_of(f"{row['Title']} {row.get('Body', '')}")
        given = sorted(answers.get(row["Id"], []), key=lambda it: it["Score"], reverse=True)
        text += "".join("\nA: " + text_of(answer["Body"]) for answer in given)
        yield f"https://{path.parent.name}/questions/{row['Id']}", text


def text_of(html):
    for tag, sign in (("<li>", "\n*"), ("</li>", ""), ("<ol>", "\n*"), ("</ol>", "")):
        html = html.replace(tag, sign)
    return BeautifulSoup(html, "lxml").get_text()


TAGS = """a b i p pre code ul li ol div span table tr td th tbody thead tfoot caption colgroup col form
h1 h2 dl dt dd blockquote br hr img input textarea select option optgroup title head body html script
style template rt rp ruby noscript iframe frameset frame noframes meta link base center font address
dir menu fieldset legend listing xmp u s tt small big strike svg math T k,v x:y _a .b object embed
param isindex button label""".split()
WORDS = ["a", "text ", " ", "\n", "\n\n", "\t", " \n ", "é", "中文", "&", "&amp;", "&lt;", "&nbsp;",
         "&copy", "&copy;", "&foo;", "&flat;", "&apos;", "&#65;", "&#x41;", "&#65", "&#x4g", "&#0;",
         "&#150;", "&#55357;", "&#x1F600;", "&#99999999;", "<", ">", "< b", "<3", "<=", "\"", "'", "=",
         "/", "<!", "<!x>", "<!-- c -->", "<!---->", "<!-->", "<!-- a --!> b", "<!-- u", "<?php x ?>",
         "<?", "<?= 1 ?>", "<!DOCTYPE html>", "<!DOCTYPE", "<![CDATA[ x ]]>", "</>", "</ p>", "]]>",
         "\r\n", "\r", "\u00a0", "*"]
ATTRIBUTES = ["", " x", " a=b", " a='b'", " href=\"x>y\"", " 'q", " \"r", " a=\"'\"", " /", " =x",
              " <c", " a='&quot;'", " é", " a=b'c", " a='x"]


def generate(folder, count, seed):
    """Writes a site of random markup, most of which is broken."""
    chance = random.Random(seed)
    path = folder / "random.stackexchange.com" / "Posts.xml"
    path.parent.mkdir()
    with open(path, "w", encoding="utf-8") as out:
        print('<?xml version="1.0" encoding="utf-8"?>\n<posts>', file=out)
        for number in range(1, count + 1):
            title, body = (markup(chance) for _ in range(2))
            escapes = {"\n": "&#xA;", "\r": "&#xD;", "\t": "&#x9;"}
            print(f'  <row Id="{number}" PostTypeId="1" Score="1" Title={quoteattr(title, escapes)} '
                  f'Body={quoteattr(body, escapes)} />', file=out)
        print("</posts>", file=out)
    return path


def markup(chance):
    pieces = []
    for _ in range(chance.randint(1, 12)):
        tag = chance.choice(TAGS)
        if chance.random() < 0.45:
            pieces.append(chance.choice(WORDS))
        elif chance.random() < 0.5:
            attribute = chance.choice(ATTRIBUTES) if chance.random() < 0.4 else ""
            pieces.append(f"<{tag}{attribute}{chance.choice(['>'] * 12 + ['/>', ' />', ''])}")
        else:
            pieces.append(f"</{tag}{chance.choice(['>'] * 10 + [' >', ' x>', ''])}")
    return "".join(pieces)


if __name__ == "__main__":
    main()
