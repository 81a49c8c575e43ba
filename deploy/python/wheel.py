#!/usr/bin/env python3
"""Puts a program that is built already into a Python wheel: pip installs it beside `python`.

    deploy/python/wheel.py PROGRAM VERSION ARCH MOMENT FOLDER

MOMENT, in seconds since 1970, is the time of all members, so that the same program makes the same
wheel. maturin would do this too, but compiles the program a second time with flags of its own.
The layout is that of the binary distribution format of PyPA.
"""

import base64
import hashlib
import pathlib
import sys
import time
import zipfile

METADATA = """Metadata-Version: 2.1
Name: thresher
Version: {version}
Summary: Prepares training data for language models, on one machine or a cluster
License: Apache-2.0
Requires-Python: >=3.7
"""
# 2_17 is the version of glibc that the program needs at least.
WHEEL = """Wheel-Version: 1.0
Generator: thresher deploy/package
Root-Is-Purelib: false
Tag: py3-none-{platform}
"""


def main(program, version, arch, moment, folder):
    platform = f"manylinux_2_17_{arch}"
    name = f"thresher-{version}"
    members = {
        f"{name}.data/scripts/thresher": (pathlib.Path(program).read_bytes(), 0o755),
        f"{name}.dist-info/METADATA": (METADATA.format(version=version).encode(), 0o644),
        f"{name}.dist-info/WHEEL": (WHEEL.format(platform=platform).encode(), 0o644),
    }
    record = f"{name}.dist-info/RECORD"
    lines = [f"{path},{digest(content)},{len(content)}" for path, (content, _) in members.items()]
    members[record] = ("\n".join([*lines, f"{record},,"]).encode() + b"\n", 0o644)
    path = pathlib.Path(folder) / f"{name}-py3-none-{platform}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as wheel:
        for member, (content, mode) in members.items():
            entry = zipfile.ZipInfo(member, time.gmtime(int(moment))[:6])
            entry.external_attr = (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            wheel.writestr(entry, content)
    print(path.name)


def digest(content):
    value = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
    return "sha256=" + value.decode().rstrip("=")


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    main(*sys.argv[1:])
