"""Real TeX documents beside a plain count of their letters: is the body of any document lost?

  tex_documents.py THRESHER WORK FOLDER…

FOLDERs contain unpacked packages, such as Debian's texlive-science-doc and texlive-publishers-doc
and the sources of hol88, coq, pari and hevea. Each file with `\\begin{document}` becomes a paper
with the other files of its folder, except other such files. The papers are packed as arXiv packs
them into WORK, and read by one `thresher run`. For each document of at least 2,000 letters, the
letters of the published text are compared with those of the files that can be reached from its
root by `\\input`, without appendix and bibliography.
"""
import gzip
import io
import json
import re
import statistics
import subprocess
import sys
import tarfile
from pathlib import Path

TEX = {".tex", ".ltx", ".latex"}
DOCUMENT = re.compile(rb"^[^%\n]*\\begin\{document\}", re.M)
INPUT = re.compile(r"\\(?:input|include|subfile)\s*\{([^}]*)\}|\\input\s+([^\s\\{}]+)")
LEAST_LETTERS = 2000
JOB = """[job]
name = "tex-documents"
[[source]]
slice = "arxiv"
base = "{work}"
listing = "arXiv_src_2601_001.tar"
steps = []
[language]
model = "none"
[output]
path = "{work}/out"
"""


def main():
    thresher, work, *folders = sys.argv[1:]
    work = Path(work)
    work.mkdir(parents=True, exist_ok=True)
    documents = pack(work / "arXiv_src_2601_001.tar", [Path(folder) for folder in folders])
    (work / "job.toml").write_text(JOB.format(work=work))
    subprocess.run([thresher, "run", work / "job.toml", "--state", work / "state"], check=True)
    published = {}
    for shard in sorted((work / "out" / "documents").glob("*.zst")):
        for line in subprocess.run(["zstd", "-dcq", shard], capture_output=True).stdout.splitlines():
            row = json.loads(line)
            published[row["meta"]["arxiv_id"]] = row["text"]
    compare(documents, published)


def pack(path, folders):
    """Writes the tar, and returns the root and the files of each paper by its id."""
    documents = {}
    with tarfile.open(path, "w") as tar:
        for folder in sorted({file.parent for root in folders for file in root.rglob("*")}):
            files = [f for f in folder.rglob("*") if f.is_file() and f.suffix.lower() in TEX]
            roots = [f for f in files if f.parent == folder and DOCUMENT.search(f.read_bytes())]
            for root in sorted(roots):
                name = f"2601.{len(documents) + 1:05}"
                mine = [f for f in files if f == root or f not in roots]
                inner = io.BytesIO()
                with tarfile.open(fileobj=inner, mode="w") as paper:
                    for file in sorted(mine):
                        paper.add(file, file.relative_to(folder).as_posix(), recursive=False)
                packed = gzip.compress(inner.getvalue(), 1)
                info = tarfile.TarInfo(f"2601/{name}.gz")
                info.size = len(packed)
                tar.addfile(info, io.BytesIO(packed))
                texts = {f.relative_to(folder).as_posix(): decoded(f.read_bytes()) for f in mine}
                documents[name] = (root, texts)
    return documents


def decoded(raw):
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def reachable(files, name, seen):
    """Returns the text of a file with the files that it inputs, each once."""
    seen.add(name)

    def insert(found):
        wanted = (found[1] or found[2]).strip().strip('"').removeprefix("./")
        for path in (wanted + ".tex", wanted):
            if path in files and path not in seen:
                return reachable(files, path, seen)
        return ""

    return INPUT.sub(insert, re.sub(r"(?<!\\)%.*", "", files[name]))


def letters(text):
    return sum(c.isalpha() for c in re.sub(r"\\[a-zA-Z@]+", " ", text))


def compare(documents, published):
    shares, several = [], 0
    for name, (root, files) in documents.items():
        seen = set()
        body = reachable(files, root.name, seen).split("\\begin{document}", 1)[-1]
        body = body.split("\\end{document}", 1)[0]
        body = re.split(r"\\appendix\b|\\begin\{appendi", body)[0]
        body = re.sub(r"(?s)\\begin\{thebibliography\}.*?\\end\{thebibliography\}", "", body)
        expected = letters(body)
        if expected >= LEAST_LETTERS:
            several += len(seen) > 1
            shares.append((letters(published.get(name, "")) / expected, str(root)))
    shares.sort()
    for share, root in shares[:10]:
        print(f"{share:6.2f}  {root}")
    median = statistics.median(share for share, _ in shares)
    lost = sum(share < 0.5 for share, _ in shares)
    print(f"{len(shares)} documents, {several} of several files: median {median:.3f}, {lost} below a half")


if __name__ == "__main__":
    main()
