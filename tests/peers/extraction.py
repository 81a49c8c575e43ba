"""Quality and CPU of main-text extraction: Thresher, trafilatura and resiliparse on the same pages.

  tests/peers/extraction.py [--work DIR] [--bench PROGRAM]      default: target/extraction

Nothing else is needed: the script makes a virtual environment in DIR, and downloads the pages, which
two packages ship with their tests:

* `phrases`: 81 pages of the source package of trafilatura 0.5.1 (PyPI), mostly German, with phrases
  that a person found to be or not to be main text. A page is scored as in trafilatura's own
  evaluation: a phrase of the text that is found is a true positive, one of the rest a false one.
  Phrases from readers' comments are left out: those that trafilatura finds only with comments.
  These are trafilatura's own tests, so it passes nearly all of them.
* `articles`: 19 pages of the crate readable-readability 0.4.0, with the text that Mozilla's
  Readability is expected to give. F1 is that of the words of each page, averaged over the pages.

`none` is the number of pages of whose text nothing was found. CPU is that of the whole process less
that of its start. The program is `cargo bench -p thresher-text --bench html`.
"""
import argparse
import ast
import collections
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = "trafilatura==0.5.1"
CRATE = "readable-readability"
CRATE_VERSION = "0.4.0"
PEERS = ["trafilatura==2.3.1", "lxml_html_clean==0.4.3", "resiliparse"]
# By `html.focus` of the job file.
OURS = {"Thresher": [], "Thresher, `precision`": ["--precision"],
        "Thresher, `recall`": ["--recall"]}
PEER_NAMES = ["trafilatura", "trafilatura with comments", "resiliparse"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=ROOT / "target/extraction")
    parser.add_argument("--bench", help="the built bench `html`; by default cargo builds it")
    parser.add_argument("--peer", choices=PEER_NAMES, help=argparse.SUPPRESS)
    opt = parser.parse_args()
    if opt.peer:
        return run_peer(opt.peer, sys.stdin.read().splitlines())
    opt.work.mkdir(parents=True, exist_ok=True)
    python = setup(opt.work)
    bench = opt.bench or build_bench()
    phrases, articles = phrase_pages(opt.work), article_pages(opt.work)
    paths = [str(path) for path, _ in phrases + articles]
    texts, cpu = {}, {}
    for name, options in OURS.items():
        texts[name], cpu[name] = ours(bench, options, paths)
    for peer in PEER_NAMES:
        texts[peer], cpu[peer] = theirs(python, peer, paths)
    phrases = [(path, without_comments(page, texts, str(path))) for path, page in phrases]
    print("| | phrases: precision | recall | F1 | none | articles: F1 | CPU ms a page |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, found in texts.items():
        row = phrase_scores(phrases, found)
        row += [f"{article_score(articles, found):.3f}", f"{cpu[name] * 1000 / len(paths):.1f}"]
        print(f"| {name} | {' | '.join(row)} |")


def setup(work):
    """Installs the peers into a virtual environment, and returns its Python."""
    python = work / "venv/bin/python"
    if not (work / "venv/.installed").exists():
        subprocess.run([sys.executable, "-m", "venv", work / "venv"], check=True)
        subprocess.run([python, "-m", "pip", "-q", "install", *PEERS], check=True)
        (work / "venv/.installed").touch()
    return python


def build_bench():
    command = ["cargo", "bench", "-p", "thresher-text", "--bench", "html", "--no-run"]
    built = subprocess.run([*command, "--message-format=json"], cwd=ROOT, check=True,
                           stdout=subprocess.PIPE, text=True)
    messages = map(json.loads, built.stdout.splitlines())
    return [found["executable"] for found in messages if found.get("executable")][-1]


def phrase_pages(work):
    """Returns pages with the phrases that trafilatura's tests look for in the text, or must not."""
    folder = work / PAGES.replace("==", "-")
    if not folder.exists():
        subprocess.run([work / "venv/bin/python", "-m", "pip", "-q", "download", "--no-deps",
                        "--no-binary", ":all:", PAGES, "-d", work], check=True)
        subprocess.run(["tar", "xzf", f"{folder}.tar.gz", "-C", work], check=True)
    tests = ast.parse((folder / "tests/unit_tests.py").read_text(encoding="utf-8"))
    names = next(ast.literal_eval(node.value) for node in ast.walk(tests)
                 if isinstance(node, ast.Assign) and node.targets[0].id == "MOCK_PAGES")
    pages = {}
    for function in tests.body:
        page = None
        for line in getattr(function, "body", []):
            if isinstance(line, ast.Assign):
                page = loaded_page(line.value, names)
            elif isinstance(line, ast.Assert) and page:
                note_phrases(line, pages.setdefault(page, ([], [])))
    found = [(folder / "tests/cache" / name, page) for name, page in sorted(pages.items())]
    return [(path, page) for path, page in found if path.exists() and page[0]]


def loaded_page(call, names):
    """Returns the file of `load_mock_page(URL, …)`."""
    if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "load_mock_page":
        return names.get(ast.literal_eval(call.args[0]))
    return None


def note_phrases(line, page):
    """Adds the phrases of `assert 'A' in result and 'B' not in result`."""
    for part in ast.walk(line):
        if (isinstance(part, ast.Compare) and isinstance(part.left, ast.Constant)
                and getattr(part.comparators[0], "id", "") == "result"):
            page[isinstance(part.ops[0], ast.NotIn)].append(part.left.value)


def article_pages(work):
    """Returns pages with the text that Readability is expected to give."""
    project = work / "crate"
    if not project.exists():
        project.mkdir()
        (project / "lib.rs").touch()
        (project / "Cargo.toml").write_text(
            '[package]\nname = "pages"\nversion = "0.0.0"\nedition = "2021"\n[workspace]\n[lib]\n'
            f'path = "lib.rs"\n[dependencies]\n{CRATE} = "={CRATE_VERSION}"\n')
    subprocess.run(["cargo", "fetch", "-q"], cwd=project, check=True)
    cargo = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    samples = f"registry/src/*/{CRATE}-{CRATE_VERSION}/samples/*/source.html"
    pages = sorted(cargo.glob(samples))
    return [(page, words(plain(page.with_name("expected.html")))) for page in pages]


class Plain(HTMLParser):
    """Collects the text of markup."""

    def __init__(self):
        super().__init__()
        self.parts, self.hidden = [], 0

    def handle_starttag(self, tag, attrs):
        self.hidden += tag in ("script", "style")

    def handle_endtag(self, tag):
        self.hidden -= tag in ("script", "style")
        self.parts.append(" " if tag in ("p", "div", "li", "td", "h1", "h2", "h3") else "")

    def handle_data(self, data):
        self.parts.append("" if self.hidden else data)


def plain(path):
    parser = Plain()
    parser.feed(path.read_text(encoding="utf-8", errors="replace"))
    return "".join(parser.parts)


def ours(bench, options, paths):
    def run(files):
        done = subprocess.run([bench, "--jsonl", *options, *files], check=True, capture_output=True, text=True)
        seconds = float(re.search(r"in ([\d.]+) CPU s", done.stderr).group(1))
        return done.stdout.splitlines(), seconds
    lines, seconds = run(paths)
    found = map(json.loads, lines)
    return {page["url"].removeprefix("file://"): page.get("text", "") for page in found}, seconds


def theirs(python, peer, paths):
    command = [python, __file__, "--peer", peer]
    done = subprocess.run(command, input="\n".join(paths), check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True)
    answer = json.loads(done.stdout)
    return answer["texts"], answer["cpu_seconds"]


def run_peer(peer, paths):
    """Runs in the virtual environment: extracts the pages with one peer."""
    from measure import cpu_seconds
    if peer == "resiliparse":
        from resiliparse.extract.html2text import extract_plain_text
        from resiliparse.parse.encoding import bytes_to_str, detect_encoding

        def extract(page):
            return extract_plain_text(bytes_to_str(page, detect_encoding(page)), main_content=True)
    else:
        import trafilatura

        def extract(page):
            return trafilatura.extract(page, include_comments=peer != "trafilatura") or ""
    started = cpu_seconds()
    texts = {path: extract(Path(path).read_bytes()) for path in paths}
    json.dump({"texts": texts, "cpu_seconds": cpu_seconds() - started}, sys.stdout)


def without_comments(page, texts, path):
    """Leaves out phrases of comments."""
    without, with_comments = texts[PEER_NAMES[0]][path], texts[PEER_NAMES[1]][path]
    wanted = [phrase for phrase in page[0]
              if has(without, phrase) or not has(with_comments, phrase)]
    return wanted, page[1]


def has(text, phrase):
    return " ".join(phrase.split()) in " ".join(text.split())


def phrase_scores(pages, found):
    right = wrong = missing = none = 0
    for path, (wanted, unwanted) in pages:
        hits = sum(has(found.get(str(path), ""), phrase) for phrase in wanted)
        right, missing = right + hits, missing + len(wanted) - hits
        wrong += sum(has(found.get(str(path), ""), phrase) for phrase in unwanted)
        none += bool(wanted) and hits == 0
    precision, recall = right / (right + wrong), right / (right + missing)
    f1 = 2 * precision * recall / (precision + recall)
    return [f"{precision:.3f}", f"{recall:.3f}", f"{f1:.3f}", str(none)]


def words(text):
    return collections.Counter(re.findall(r"\w+", text.lower()))


def article_score(pages, found):
    total = 0.0
    for path, expected in pages:
        actual = words(found.get(str(path), ""))
        common = sum((actual & expected).values())
        total += 2 * common / max(1, sum(actual.values()) + sum(expected.values()))
    return total / len(pages)


if __name__ == "__main__":
    main()
