"""Makes the golden files of CCNet's line normaliser, with CCNet's own functions.

    python3.11 -m venv v && v/bin/pip install 'numpy<3' && v/bin/pip install --no-deps cc-net==1.0.0
    v/bin/python make.py ../lid/reference_udhr2.jsonl

mappings.tsv  every code point whose form between `a` and `b` is not itself: hex, then the hex of
              the UTF-8 that takes its place (empty: deleted)
lines.tsv     real lines of the reference and their uppercase: the SHA-1 hash of each form, as
              CCNet computes it, in two columns
"""

import hashlib
import json
import sys
import unicodedata
from pathlib import Path

from cc_net.text_normalizer import normalize_for_dedup, slow_normalize_for_dedup

HERE = Path(__file__).parent


def line_hash(line: str) -> str:
    form = normalize_for_dedup(line)
    assert form == slow_normalize_for_dedup(line)
    return f"{int.from_bytes(hashlib.sha1(form.encode()).digest()[:8], 'little'):016x}"


with open(HERE / "mappings.tsv", "w") as out:
    print(f"# cc_net 1.0.0, Python {sys.version.split()[0]}, Unicode {unicodedata.unidata_version}", file=out)
    for code in range(0x110000):
        if 0xD800 <= code < 0xE000:
            continue
        form = normalize_for_dedup(f"a{chr(code)}b")
        assert form[0] == "a" and form[-1] == "b"
        if form[1:-1] != chr(code):
            print(f"{code:x}\t{form[1:-1].encode().hex()}", file=out)

with open(HERE / "lines.tsv", "w") as out:
    for row in map(json.loads, open(sys.argv[1])):
        print(line_hash(row["text"]), line_hash(row["text"].upper()), sep="\t", file=out)
