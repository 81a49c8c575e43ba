#!/usr/bin/env python3
"""Converts a corpus of JSON lines to Parquet with pyarrow; prints the bytes of the lines.

  to_parquet.py CORPUS FOLDER

The files have the properties of Thresher's: zstd, a page index, content-defined chunks.
"""
import json
import pathlib
import sys

import pyarrow
import pyarrow.json
import pyarrow.parquet

corpus, folder = map(pathlib.Path, sys.argv[1:])
folder.mkdir(parents=True)
manifest = json.loads((corpus / "manifest.json").read_text())
size = 0
for shard in manifest["shards"]:
    with pyarrow.input_stream(str(corpus / shard["path"]), compression="zstd") as file:
        lines = file.read()
    size += len(lines)
    options = pyarrow.json.ReadOptions(block_size=64 << 20, use_threads=False)
    table = pyarrow.json.read_json(pyarrow.BufferReader(lines), read_options=options)
    pyarrow.parquet.write_table(
        table,
        folder / (pathlib.Path(shard["path"]).stem + ".parquet"),
        compression="zstd",
        compression_level=3,
        use_content_defined_chunking=True,
        write_page_index=True,
        use_dictionary=[name for name in table.column_names if name not in ("text", "meta")],
    )
print(json.dumps({"bytes": size}))
