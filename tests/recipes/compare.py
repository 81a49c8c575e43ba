"""Runs `thresher` with the preset of a published recipe, and compares its rows with the original's."""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

SHOWN = 10  # differences that are printed in full


def published(slice_, base, listing, more="", schema="redpajama-v1"):
    """The published rows of a job over the files `listing` in `base`, which are lines of `schema`."""
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder, "job.toml")
        job.write_text(f"""
[job]
name = "compare"
preset = "redpajama-v1"
[[source]]
slice = "{slice_}"
base = {json.dumps(str(base))}
listing = {json.dumps(listing)}
{more}
[language]
model = "none"
[perplexity]
models = "none"
[classifier]
model = "none"
[output]
path = "corpus"
schema = "{schema}"
""")
        program = os.environ.get("THRESHER", "thresher")
        subprocess.run([program, "run", str(job)], cwd=folder, check=True, stdout=sys.stderr)
        for file in sorted(Path(folder, "corpus").rglob("documents/**/*.jsonl.zst")):
            unpacked = subprocess.run(["zstd", "-dcq", str(file)], check=True, stdout=subprocess.PIPE)
            for line in unpacked.stdout.split(b"\n")[:-1]:
                yield json.loads(line)


def report(original, ours):
    """Prints how many rows are equal, given the texts of both sides by key."""
    equal = sum(ours.get(key) == text for key, text in original.items())
    different = [key for key in original if key in ours and ours[key] != original[key]]
    missing = [key for key in original if key not in ours]
    surplus = [key for key in ours if key not in original]
    for key in different[:SHOWN]:
        print(f"{key}\n  original {original[key]!r:.400}\n  thresher {ours[key]!r:.400}")
    for name, keys in (("missing", missing), ("surplus", surplus)):
        if keys:
            print(f"{name}: {keys[:SHOWN]}")
    print(f"rows of the original {len(original)}, equal {equal}, different {len(different)}, "
          f"missing {len(missing)}, surplus {len(surplus)}")
    sys.exit(equal != len(original) or bool(surplus))
