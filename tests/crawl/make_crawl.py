#!/usr/bin/env python3
"""Write a CommonCrawl-shaped crawl (WARC and WET) from HTML pages on disk.

The pages are real; the crawl around them (addresses, dates, HTTP headers) is
made up, under the reserved domain .example.  The layout is CommonCrawl's:

  OUT/crawl-data/CC-MAIN-2024-10/{warc,wet,segment}.paths.gz
  OUT/crawl-data/CC-MAIN-2024-10/segments/ID/{warc,wet}/CC-MAIN-…-NNNNN.warc[.wet].gz
  OUT/truth.tsv.gz    one line a page, for tests to compare with
  OUT/summary.json    counts

Each record is one gzip member; records and headers are in the order of the
crawl CC-MAIN-2024-22.  Equal inputs, options and library versions give equal
bytes: every choice hangs on a hash of the page's name, never on a clock.

A docroot holds one folder a source, such as a Debian package unpacked by
`dpkg-deb -x`; `fetch` beside this file gets them.  Needs warcio, fastwarc and
resiliparse (requirements.txt).

  make_crawl.py --docroot docroot --out crawl --wet-mb 300 --segments 4 --files 6
  make_crawl.py --verify crawl
"""
import argparse
import base64
import csv
import datetime
import gzip
import hashlib
import io
import json
import multiprocessing
import os
import re
import sys
import uuid
import zlib
from collections import Counter, defaultdict
from typing import NamedTuple

CRAWL = "CC-MAIN-2024-10"
EPOCH = datetime.datetime(2024, 2, 20, 21, 10, 55)
SEGMENT_TIME = datetime.timedelta(hours=3)
MAX_BODY_BYTES = 1 << 20  # where CommonCrawl cut bodies until March 2025
# Also names like index.html.ja.utf8 and page.html.gz, which packages ship.
HTML = re.compile(r"\.x?html?(\.[a-z]{2}(-[a-zA-Z]{2})?(\.[\w-]+)?)?(\.gz)?$")
ID_SPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
# WET headers name languages by ISO 639-3, detectors by 639-1.
ISO3 = dict(pair.split("=") for pair in """
af=afr sq=sqi am=amh ar=ara hy=hye az=aze eu=eus be=bel bn=ben bs=bos br=bre bg=bul my=mya ca=cat
ceb=ceb zh=zho hr=hrv cs=ces da=dan nl=nld dz=dzo en=eng eo=epo et=est fi=fin fr=fra gl=glg ka=kat
de=deu el=ell gu=guj ht=hat he=heb hi=hin hu=hun is=isl id=ind ga=gle it=ita ja=jpn jv=jav kn=kan
kk=kaz km=khm ko=kor ku=kur ky=kir lo=lao la=lat lv=lav lt=lit lb=ltz mk=mkd mg=mlg ms=msa ml=mal
mt=mlt mr=mar mn=mon ne=nep no=nor nn=nno oc=oci or=ori om=orm pa=pan fa=fas pl=pol pt=por ro=ron
ru=rus sa=san sr=srp sh=hbs si=sin sk=slk sl=slv so=som es=spa su=sun sw=swa sv=swe tl=tgl tg=tgk
ta=tam tt=tat te=tel th=tha bo=bod tr=tur uk=ukr ur=urd uz=uzb vi=vie cy=cym fy=fry
yi=yid""".split())
DESCRIPTION = "Real pages in a made-up crawl of February/March 2024"


class Page(NamedTuple):
    source: str
    path: str
    rel: str
    url: str
    dup_of: str = ""  # the first address of a page met again at a second one


class Segment(NamedTuple):
    number: int
    id: str


# ------------------------------------------------------------------ the crawl
def build(opt):
    pages = choose(scan(opt.docroot), opt)
    pages += second_addresses(pages, opt)
    shards = defaultdict(list)
    count = opt.segments * opt.files
    for page in pages:
        shards[h64("shard", opt.seed, page.url) % count].append(page)
    segments = [
        Segment(i, "%d.%d" % (1707947473347 + i * 1100 + h64("seg", i) % 900, i % 100))
        for i in range(opt.segments)
    ]
    jobs = [
        (opt, segments[i // opt.files], i % opt.files,
         sorted(shards[i], key=lambda p: h64("order", opt.seed, p.url)))
        for i in range(count)
    ]
    total, warcs, wets = Counter(), [], []
    os.makedirs(opt.out, exist_ok=True)
    truth_path = os.path.join(opt.out, "truth.tsv.gz")
    with multiprocessing.Pool(opt.procs) as pool, gzip.GzipFile(truth_path, "wb", mtime=0) as f:
        text = io.TextIOWrapper(f, write_through=True)
        truth = csv.writer(text, delimiter="\t", lineterminator="\n")
        truth.writerow("wet_path url source html_lang lid_lang charset html_bytes text_bytes "
                       "text_sha1 truncated dup_of".split())
        for warc, wet, rows, counted in pool.imap(write_shard, jobs):
            warcs.append(warc)
            wets.append(wet)
            truth.writerows(rows)
            total += counted
            print("%s: %d pages" % (wet, counted["pages"]), file=sys.stderr)
    folders = ["crawl-data/%s/segments/%s/" % (CRAWL, s.id) for s in segments]
    for kind, paths in (("warc", warcs), ("wet", wets), ("segment", folders)):
        listing = os.path.join(opt.out, "crawl-data", CRAWL, kind + ".paths.gz")
        with gzip.GzipFile(listing, "wb", mtime=0) as f:
            f.write("".join(path + "\n" for path in paths).encode())
    write_summary(opt, pages, total)


def write_summary(opt, pages, total):
    def group(prefix):
        n = len(prefix)
        return {k[n:]: v for k, v in total.most_common() if k.startswith(prefix)}

    summary = {
        "crawl": CRAWL,
        "files": opt.segments * opt.files,
        "sources": len({p.source for p in pages}),
        "second_addresses": sum(1 for p in pages if p.dup_of),
        **{k: v for k, v in total.items() if not k.startswith(("lang_", "enc_"))},
        "languages": group("lang_"),
        "charsets": group("enc_"),
    }
    text = json.dumps(summary, indent=1)
    with open(os.path.join(opt.out, "summary.json"), "w") as f:
        f.write(text + "\n")
    print(text)


def scan(docroots):
    """Every page's (source, path, relative path), in a fixed order."""
    found = []
    for root in docroots:
        for source in sorted(os.listdir(root)):
            top = os.path.join(root, source)
            for folder, dirs, files in os.walk(top):
                dirs.sort()
                for name in sorted(files):
                    path = os.path.join(folder, name)
                    if HTML.search(name) and not os.path.islink(path):
                        found.append((source, path, os.path.relpath(path, top)))
    if not found:
        sys.exit("make_crawl: no HTML page under `%s`\nhint: unpack packages there with dpkg-deb -x"
                 % "`, `".join(docroots))
    return found


def choose(found, opt):
    """Pages up to the wanted size, with one cap for all sources, so that none outweighs the rest."""
    print("%d pages found" % len(found), file=sys.stderr)
    found.sort(key=lambda p: h64(opt.seed, p[0], p[2]))
    with multiprocessing.Pool(opt.procs) as pool:
        sizes = pool.map(text_bytes, [path for _, path, _ in found], chunksize=64)
    total = Counter()
    for (source, _, _), size in zip(found, sizes):
        total[source] += size
    want, low, high = opt.wet_mb * 1e6, 0.0, float(max(total.values()))
    for _ in range(60):
        cap = (low + high) / 2
        if sum(min(cap, size) for size in total.values()) < want:
            low = cap
        else:
            high = cap
    used, chosen = Counter(), []
    for (source, path, rel), size in zip(found, sizes):
        if size and used[source] + size <= high + 1:
            used[source] += size
            chosen.append(Page(source, path, rel, url_of(source, rel)))
    return chosen


def second_addresses(pages, opt):
    """Some pages once more under another address, as every real crawl has."""
    again = []
    for page in pages:
        x = h64("dup", opt.seed, page.url)
        if x % 10000 < opt.dup_rate * 10000:
            others = (page.url + "?print=1",
                      page.url.replace("://", "://mirror."),
                      page.url.split("?")[0] + "?utm_source=feed")
            again.append(page._replace(url=others[x // 10000 % 3], dup_of=page.url))
    return again


def url_of(source, rel):
    rel = re.sub(r"^usr/share/(doc/|libreoffice/help/)?", "", rel).replace(" ", "%20")
    rel = re.sub(r"\.gz$", "", rel)
    scheme = "http" if h64("scheme", source) % 5 == 0 else "https"
    www = "www." if h64("www", source) % 3 == 0 else ""
    return "%s://%s%s.example/%s" % (scheme, www, re.sub("[._]", "-", source), rel)


# ---------------------------------------------------------------- page to text
def read_body(path):
    """The page's bytes, and whether they are more than a crawler keeps."""
    with open(path, "rb") as f:
        data = f.read()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    return data[:MAX_BODY_BYTES], len(data) > MAX_BODY_BYTES


def text_bytes(path):
    try:
        return len(to_text(read_body(path)[0])[0].encode("utf-8", "replace"))
    except Exception as e:  # untrusted bytes: a page that cannot be read is left out and reported
        print("skipped `%s`: %r" % (path, e), file=sys.stderr)
        return 0


def to_text(body):
    """(text as a WET file has it, character set, the page's own lang attribute)"""
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.encoding import bytes_to_str, detect_encoding
    from resiliparse.parse.html import HTMLTree

    encoding = detect_encoding(body, from_html_meta=True, html5_compatible=True) or "utf-8"
    tree = HTMLTree.parse(bytes_to_str(body, encoding))
    root = tree.document.query_selector("html") if tree.document else None
    lang = root.getattr("lang") if root else None
    text = extract_plain_text(
        tree, main_content=False, preserve_formatting=True, list_bullets=False, alt_texts=False,
        links=False, form_fields=False, noscript=False)
    lines = [" ".join(line.split()) for line in [tree.title or ""] + text.splitlines()]
    lines = [line for line in lines if line]
    if len(lines) > 1 and lines[0] == lines[1]:
        lines = lines[1:]
    return "\n".join(lines), encoding, lang or ""


def language_of(text):
    """(639-1 code, score), or None when unsure."""
    from resiliparse.parse.lang import detect_fast

    code, distance = detect_fast(text[:20000])
    return (code, max(0.0, 1 - distance / 1200)) if code in ISO3 else None


# --------------------------------------------------------------------- records
class Output:
    """One gzip file of records, a member each, and its share of the counts."""

    def __init__(self, kind, path, counts):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self.file = open(path, "wb")
        self.kind, self.counts = kind, counts

    def put(self, headers, block):
        head = "WARC/1.0\r\n" + "".join("%s: %s\r\n" % pair for pair in headers)
        data = head.encode() + b"\r\n" + block + b"\r\n\r\n"
        deflate = zlib.compressobj(6, zlib.DEFLATED, 31)
        packed = deflate.compress(data) + deflate.flush()
        self.file.write(packed)
        self.counts[self.kind + "_records"] += 1
        self.counts[self.kind + "_raw"] += len(data)
        self.counts[self.kind + "_gz"] += len(packed)


def write_shard(job):
    """One WARC file and its WET file; gives their paths, the truth rows and counts."""
    opt, segment, number, pages = job
    start = EPOCH + SEGMENT_TIME * segment.number
    end = start + SEGMENT_TIME
    name = "CC-MAIN-%s-%s-%05d" % (start.strftime("%Y%m%d%H%M%S"),
                                   end.strftime("%Y%m%d%H%M%S"), number)
    base = "crawl-data/%s/segments/%s" % (CRAWL, segment.id)
    warc_path = "%s/warc/%s.warc.gz" % (base, name)
    wet_path = "%s/wet/%s.warc.wet.gz" % (base, name)
    rows, counts = [], Counter()
    warc = Output("warc", os.path.join(opt.out, warc_path), counts)
    wet = Output("wet", os.path.join(opt.out, wet_path), counts)
    with warc.file, wet.file:
        info = put_warc_info(warc, warc_path, segment, start)
        put_wet_info(wet, wet_path, end + datetime.timedelta(days=10))
        for i, page in enumerate(pages):
            body, cut = read_body(page.path)
            text, encoding, html_lang = to_text(body)
            raw = text.encode("utf-8", "replace") + b"\n"
            if len(raw) < 2:
                continue
            x = h64(opt.seed, page.url)
            fetched = start + datetime.timedelta(seconds=x % SEGMENT_TIME.seconds)
            found = language_of(text)
            response = record_id(page.url, iso(fetched), "response")
            if opt.warc_pages is None or i < opt.warc_pages:
                put_capture(warc, page, info, response, x, fetched, body, cut, encoding, found,
                            len(raw))
            headers = [
                ("WARC-Type", "conversion"),
                ("WARC-Target-URI", page.url),
                ("WARC-Date", iso(fetched)),
                ("WARC-Record-ID", record_id(page.url, iso(fetched), "conversion")),
                ("WARC-Refers-To", response),
                ("WARC-Block-Digest", sha1(raw))]
            if found:
                headers.append(("WARC-Identified-Content-Language", ISO3[found[0]]))
            headers += [("Content-Type", "text/plain"), ("Content-Length", len(raw))]
            wet.put(headers, raw)
            lang = found[0] if found else ""
            counts.update({"pages": 1, "text": len(raw), "truncated": int(cut),
                           "lang_" + (lang or "?"): 1, "enc_" + encoding: 1})
            rows.append((wet_path, page.url, page.source, html_lang, lang, encoding, len(body),
                         len(raw), hashlib.sha1(raw).hexdigest(), int(cut), page.dup_of))
    return warc_path, wet_path, rows, counts


def put_warc_info(warc, path, segment, start):
    info = record_id(CRAWL, path)
    block = fields([
        ("isPartOf", CRAWL), ("publisher", "make_crawl.py"), ("description", DESCRIPTION),
        ("operator", "nobody (nobody@crawl.example)"),
        ("hostname", "crawl-%d.example" % segment.number), ("software", "make_crawl.py 1"),
        ("robots", "not checked, there was no crawl"), ("format", "WARC File Format 1.1"),
        ("conformsTo",
         "https://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/")])
    warc.put([
        ("WARC-Type", "warcinfo"), ("WARC-Date", iso(start)), ("WARC-Record-ID", info),
        ("Content-Length", len(block)), ("Content-Type", "application/warc-fields"),
        ("WARC-Filename", os.path.basename(path))], block)
    return info


def put_wet_info(wet, path, extracted):
    block = fields([
        ("Software-Info", "make_crawl.py 1"), ("Extracted-Date", http_date(extracted)),
        ("robots", "not checked, there was no crawl"), ("isPartOf", CRAWL),
        ("operator", "nobody (nobody@crawl.example)"), ("description", DESCRIPTION),
        ("publisher", "make_crawl.py")]) + b"\r\n"
    wet.put([
        ("WARC-Type", "warcinfo"), ("WARC-Date", iso(extracted)),
        ("WARC-Filename", os.path.basename(path)), ("WARC-Record-ID", record_id(CRAWL, path)),
        ("Content-Type", "application/warc-fields"), ("Content-Length", len(block))], block)


def put_capture(warc, page, info, response, x, fetched, body, cut, encoding, found, raw_bytes):
    """Request, response and metadata, as one fetch leaves them; `x` varies the headers."""
    date = iso(fetched)
    address = "192.0.2.%d" % (h64("ip", page.source) % 254 + 1)  # TEST-NET-1
    host, target = re.match(r"https?://([^/?#]+)([^#]*)", page.url).groups()
    shared = [("WARC-Warcinfo-ID", info), ("WARC-IP-Address", address),
              ("WARC-Target-URI", page.url)]
    request = record_id(page.url, date, "request")
    block = ("GET %s HTTP/1.1\r\n" % target).encode() + fields([
        ("User-Agent", "CCBot/2.0 (https://commoncrawl.org/faq/)"),
        ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        ("Accept-Language", "en-US,en;q=0.5"), ("Accept-Encoding", "br,gzip"),
        ("Host", host), ("Connection", "Keep-Alive")]) + b"\r\n"
    warc.put([
        ("WARC-Type", "request"), ("WARC-Date", date), ("WARC-Record-ID", request),
        ("Content-Length", len(block)), ("Content-Type", "application/http; msgtype=request"),
        *shared], block)

    media = "application/xhtml+xml" if body[:5] == b"<?xml" else "text/html"
    server = ("Server: nginx/1.22.1", "Server: Apache/2.4.57 (Debian)", "server: cloudflare")[x % 3]
    http = [
        "HTTP/1.1 200 OK", "Date: " + http_date(fetched), server,
        "Content-Type: %s%s" % (media, "; charset=" + charset(encoding) if x % 4 else "")]
    if x % 2:  # CommonCrawl renames what it has undone
        http.append("X-Crawler-Content-Encoding: gzip")
    if x % 5 == 0:
        http.append("X-Crawler-Transfer-Encoding: chunked")
    http += ["Vary: Accept-Encoding", "Content-Length: %d" % len(body), "", ""]
    block = "\r\n".join(http).encode() + body
    warc.put([
        ("WARC-Type", "response"), ("WARC-Date", date), ("WARC-Record-ID", response),
        ("Content-Length", len(block)), ("Content-Type", "application/http; msgtype=response"),
        shared[0], ("WARC-Concurrent-To", request), *shared[1:],
        ("WARC-Payload-Digest", sha1(body)), ("WARC-Block-Digest", sha1(block)),
        ("WARC-Identified-Payload-Type", media),
        *([("WARC-Truncated", "length")] if cut else [])], block)

    meta = [("fetchTimeMs", 40 + x % 900), ("charset-detected", charset(encoding))]
    if found:
        code, score = found
        language = {"code": code, "code-iso-639-3": ISO3[code], "text-covered": round(score, 2)}
        meta.append(("languages-cld2", json.dumps(
            {"reliable": score > 0.8, "text-bytes": raw_bytes, "languages": [language]},
            separators=(",", ":"))))
    block = fields(meta) + b"\r\n"
    warc.put([
        ("WARC-Type", "metadata"), ("WARC-Date", date),
        ("WARC-Record-ID", record_id(page.url, date, "metadata")), ("Content-Length", len(block)),
        ("Content-Type", "application/warc-fields"), shared[0], ("WARC-Concurrent-To", response),
        ("WARC-Target-URI", page.url)], block)


def fields(pairs):
    return "".join("%s: %s\r\n" % pair for pair in pairs).encode()


def iso(t):
    return t.strftime("%Y-%m-%dT%H:%M:%SZ")


def http_date(t):
    return t.strftime("%a, %d %b %Y %H:%M:%S GMT")


def charset(encoding):
    named = {"cp1252": "windows-1252", "cp1251": "windows-1251"}
    return named.get(encoding, encoding.replace("_", "-").upper())


def sha1(data):
    return "sha1:" + base64.b32encode(hashlib.sha1(data).digest()).decode()


def record_id(*parts):
    return "<urn:uuid:%s>" % uuid.uuid5(ID_SPACE, "\0".join(parts))


def h64(*parts):
    text = "\0".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


# ---------------------------------------------------------------------- verify
def verify(out):
    """Read all back with two independent readers, digests checked; gives the number of faults."""
    from fastwarc.warc import ArchiveIterator as FastIterator, WarcRecordType
    from warcio.archiveiterator import ArchiveIterator

    faults = 0
    for kind in ("warc", "wet"):
        total = Counter()
        listing = os.path.join(out, "crawl-data", CRAWL, kind + ".paths.gz")
        with gzip.open(listing, "rt") as f:
            paths = f.read().split()
        for path in paths:
            one, other = Counter(), Counter()
            with open(os.path.join(out, path), "rb") as f:
                for record in ArchiveIterator(f, check_digests=True):
                    one[record.rec_type] += 1
                    record.content_stream().read()
                    if record.digest_checker.passed is False:
                        faults += 1
                        print("%s: %s" % (path, record.digest_checker.problems))
            with open(os.path.join(out, path), "rb") as f:
                for record in FastIterator(f, record_types=WarcRecordType.any_type,
                                           parse_http=False):
                    other[record.headers["WARC-Type"]] += 1
            if one != other:
                faults += 1
                print("%s: warcio finds %s, fastwarc %s" % (path, dict(one), dict(other)))
            total += one
        print(kind, dict(total))
    print("faults: %d" % faults)
    return faults


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--docroot", action="append", default=[], help="folder of unpacked sources; repeatable")
    add("--out", help="where the crawl goes")
    add("--wet-mb", type=float, default=300, help="MB (10^6 bytes) of text to aim for")
    add("--segments", type=int, default=4)
    add("--files", type=int, default=6, help="files a segment")
    add("--warc-pages", type=int, help="only the first N pages of a file also go to its WARC")
    add("--dup-rate", type=float, default=0.02, help="share of pages met at a second address")
    add("--seed", default="1")
    add("--procs", type=int, default=os.cpu_count())
    add("--verify", metavar="CRAWL", help="read a crawl back instead of writing one")
    opt = parser.parse_args()
    if opt.verify:
        sys.exit(1 if verify(opt.verify) else 0)
    if not (opt.docroot and opt.out):
        parser.error("--docroot and --out are needed")
    build(opt)


if __name__ == "__main__":
    main()
