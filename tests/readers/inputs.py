"""Makes inputs of the slices of which the repository has none: code, books and papers."""
import gzip
import io
import json
import sys
import tarfile
from pathlib import Path

root, out = Path(sys.argv[1]), Path(sys.argv[2])

rows = [
    {"id": "", "repo_name": "a/b", "ref": "refs/heads/main", "path": str(path.relative_to(root)),
     "license": "apache-2.0", "content": path.read_text()}
    for path in sorted((root / "worker/filters/src").glob("*.rs"))
]
(out / "code_000000000000.json").write_text("".join(json.dumps(row) + "\n" for row in rows))

licence = (root / "LICENSE").read_text()
(out / "1.txt").write_text(
    "Title: Terms\nRelease Date: June 1, 2010 [eBook #7]\n"
    f"*** START OF THE PROJECT GUTENBERG EBOOK TERMS ***\n{licence}\n"
    "*** END OF THE PROJECT GUTENBERG EBOOK TERMS ***\nmore")

with tarfile.open(out / "arXiv_src_2303_001.tar", "w") as papers:
    for number in range(20):
        tex = f"\\documentclass{{article}}\\begin{{document}}\\section{{A}} Result {number} caf\u00e9\\end{{document}}"
        paper = gzip.compress(tex.encode(), mtime=0)
        member = tarfile.TarInfo(f"2303/2303.{number:05}.gz")
        member.size = len(paper)
        papers.addfile(member, io.BytesIO(paper))
