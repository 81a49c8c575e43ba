"""Loads one output with each library, and compares what it finds with the manifest."""
import csv
import glob
import gzip
import json
import struct
import sys
import tempfile
from pathlib import Path

import datasets
import duckdb
import mlcroissant
import numpy
import pandas
import polars
import pyarrow.dataset
import pyarrow.parquet
from huggingface_hub import DatasetCard
from lm_dataformat import Reader

datasets.disable_progress_bars()
corpus = Path(sys.argv[1])
manifest = json.loads((corpus / "manifest.json").read_text())
documents = manifest["accounting"]["published"]
parquet = sorted(glob.glob(f"{corpus}/parquet/**/*.parquet", recursive=True))
lines = sorted(glob.glob(f"{corpus}/documents/**/*.jsonl.zst", recursive=True))
assert documents > 100, documents


def expect(name, found, expected):
    assert found == expected, f"{name}: {found}, not {expected}"
    print(f"{corpus.name}: {name} ok ({found})")


def load(place, config=None, **more):
    with tempfile.TemporaryDirectory() as cache:
        return {
            side: rows.num_rows
            for side, rows in datasets.load_dataset(str(place), config, cache_dir=cache, **more).items()
        }


def counts(key, **fixed):
    sums = {}
    for count in manifest["counts"]:
        if all(count[name] == value for name, value in fixed.items()):
            side = count.get(key) or "train"
            sums[side] = sums.get(side, 0) + count["documents"]
    return sums


# The whole, without options; each source; the Parquet by itself; streaming.
expect("datasets", load(corpus), counts("split"))
sources = {count["source"] for count in manifest["counts"]}
expect("configs", set(datasets.get_dataset_config_names(str(corpus))), sources | {"all"})
for source in sorted(sources):
    expect(f"datasets {source}", load(corpus, source), counts("split", source=source))
if parquet:
    expect("datasets parquet/", load(corpus / "parquet"), counts("split"))
streamed = datasets.load_dataset(str(corpus), streaming=True)
expect("streaming", sum(1 for side in streamed.values() for _ in side), documents)

if parquet:
    count = duckdb.sql(f"select count(*) from read_parquet({parquet!r}, union_by_name=false)")
    expect("duckdb", count.fetchall()[0][0], documents)
    expect("polars", polars.scan_parquet(parquet).select(polars.len()).collect().item(), documents)
    expect("pandas", sum(len(pandas.read_parquet(path)) for path in parquet), documents)
    table = pyarrow.dataset.dataset(parquet).to_table()
    expect("pyarrow", table.num_rows, documents)
    schemas = {pyarrow.parquet.read_schema(path).remove_metadata().to_string() for path in parquet}
    expect("schemas", len(schemas), 1)
    footer = pyarrow.parquet.ParquetFile(parquet[0]).metadata
    column = footer.row_group(0).column(0)
    assert column.has_offset_index and column.has_column_index and column.is_stats_set, column
    assert b"content_defined_chunking" in footer.metadata, footer.metadata
    for row in table.select(["date", "licence", "meta"]).to_pylist():
        assert row["date"] != "" and row["licence"] != "" and row["meta"] != "", row
        assert row["meta"] is None or isinstance(json.loads(row["meta"]), dict), row

if lines:
    rows = duckdb.sql(f"select source, count(*) from read_json({lines!r}, union_by_name=true) group by 1")
    by_source = {source: sum(counts("split", source=source).values()) for source in sources}
    expect("duckdb json", dict(rows.fetchall()), by_source)
    expect("polars json", polars.scan_ndjson(lines).select(polars.len()).collect().item(), documents)
    expect("pandas json", sum(len(pandas.read_json(path, lines=True)) for path in lines), documents)
    read = sum(1 for path in lines for _ in Reader(path).stream_data())
    expect("lm_dataformat", read, documents)

card = DatasetCard.load(corpus / "README.md")
expect("card", card.data.pretty_name, "readers")
described = mlcroissant.Dataset(jsonld=str(corpus / "croissant.json"))
# Not every document has a licence, so the whole has none.
absent = ["citeAs", "datePublished", "license"]
unexpected = [warning for warning in described.metadata.issues.warnings
              if not any(name in warning for name in absent)]
expect("croissant warnings", unexpected, [])
if parquet:
    expect("croissant", sum(1 for _ in described.records("documents")), documents)


def megatron(prefix):
    """Reads a pair by the rules of Megatron-LM's `indexed_dataset.py`."""
    index = Path(f"{prefix}.idx").read_bytes()
    assert index[:9] == b"MMIDIDX\x00\x00"
    version, dtype, sequences, ends = struct.unpack_from("<QBQQ", index, 9)
    assert (version, dtype) == (1, 8)
    lengths = numpy.frombuffer(index, numpy.int32, sequences, 34)
    pointers = numpy.frombuffer(index, numpy.int64, sequences, 34 + lengths.nbytes)
    places = numpy.frombuffer(index, numpy.int64, ends, 34 + lengths.nbytes + pointers.nbytes)
    assert len(index) == 34 + lengths.nbytes + pointers.nbytes + places.nbytes
    assert len(lengths) == len(pointers) == places[-1]
    tokens = numpy.fromfile(f"{prefix}.bin", numpy.uint16)
    assert pointers[-1] // 2 + lengths[-1] == len(tokens)
    return [tokens[start // 2 : start // 2 + length] for start, length in zip(pointers, lengths)]


tokens = {}
for entry in manifest.get("tokens", []):
    path = corpus / entry["path"]
    if path.suffix == ".bin":
        found = megatron(path.with_suffix(""))
        assert all(document[-1] == 0 for document in found)
        tokens["megatron"] = tokens.get("megatron", 0) + len(found)
    elif path.suffix == ".npy":
        stored = numpy.memmap(path, numpy.uint16, "r")
        with gzip.open(f"{path.with_suffix('')}.csv.gz", "rt", newline="") as rows:
            rows = list(csv.reader(rows))
        assert all(stored[int(row[1]) - 1] == 0 for row in rows)
        assert int(rows[-1][1]) == len(stored)
        tokens["olmo"] = tokens.get("olmo", 0) + len(rows)
if manifest.get("tokens"):
    expect("tokens", tokens, {"megatron": documents, "olmo": documents})
