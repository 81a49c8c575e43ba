#!/usr/bin/env python3
"""What mwparserfromhell makes of wikitext by RedPajama's steps: the golden texts of the tests.

  pip install mwparserfromhell==0.7.2
  make_golden.py cases.json *.xml.bz2 > golden.jsonl

The steps of the Wikipedia script of the datasets library: flat sections, files out,
categories to their names, references and tables out, strip_code, magic words out, joined.
"""
import bz2
import json
import re
import sys
import xml.etree.ElementTree as tree

import mwparserfromhell

FILES = "file|image|media|datei|bild|fichier|soubor|plik|grafika|файл|изображение|зображення|ファイル|画像|датотека|slika|слика|datoteka"
CATEGORIES = "category|kategorie|catégorie|kategoria|категория|категорія|カテゴリ|категорија|kategorija"


def text_of(wikitext):
    page = mwparserfromhell.parse(wikitext)
    is_file = re.compile("^(?:%s):" % FILES, re.I)
    is_category = re.compile("^(?:%s):" % CATEGORIES, re.I)
    texts = []
    for section in page.get_sections(flat=True, include_lead=True, include_headings=True):
        for link in section.ifilter_wikilinks(recursive=True):
            if is_file.match(str(link.title)):
                remove(section, link)
            elif is_category.match(str(link.title)):
                link.text = is_category.sub("", str(link.__strip__(normalize=True, collapse=True)))
        for tag in section.ifilter_tags(matches=lambda tag: str(tag.tag) in {"ref", "table"}, recursive=True):
            remove(section, tag)
        texts.append(re.sub("__[A-Z]*__", "", section.strip_code().strip()))
    return "\n\n".join(texts)


def remove(section, node):
    try:
        section.remove(node)
    except ValueError:
        pass  # gone with what held it


def pages(path):
    root = tree.fromstring(bz2.open(path).read())
    name = root.tag.split("}")[0] + "}" if "}" in root.tag else ""
    for page in root.iter(name + "page"):
        yield page.findtext(name + "title"), page.findtext("%srevision/%stext" % (name, name)) or ""


def main():
    cases, *dumps = sys.argv[1:]
    for wikitext in json.load(open(cases)):
        print(json.dumps({"wikitext": wikitext, "text": text_of(wikitext)}, ensure_ascii=False))
    for path in dumps:
        for title, wikitext in pages(path):
            row = {"dump": path.split("/")[-1], "title": title, "text": text_of(wikitext)}
            print(json.dumps(row, ensure_ascii=False))


if __name__ == "__main__":
    main()
