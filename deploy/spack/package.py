"""Builds Thresher with Spack: copy this folder to `packages/thresher` of a repository of yours.

`url` names the archive that `deploy/package source` makes; it holds every crate, so nothing is
fetched while it is built.
"""

from spack.package import *


class Thresher(Package):
    """Prepares training data for language models, on one machine or a cluster."""

    url = "file:///path/to/thresher-0.1.0-source.tar.gz"
    license("Apache-2.0")

    # The hash is the line of SHA256SUMS beside the archive.
    version("0.1.0", sha256="0" * 64)

    variant("mpi", default=True, description="Builds thresher-gang with the site's MPI")

    depends_on("rust@1.95:", type="build")
    depends_on("c", type="build")
    depends_on("mpi", when="+mpi")
    depends_on("llvm+clang", type="build", when="+mpi")

    def install(self, spec, prefix):
        cargo = which("cargo", required=True)
        cargo("build", "--release", "--locked", "--offline", "-p", "thresher-cli")
        mkdirp(prefix.bin)
        install("target/release/thresher", prefix.bin)
        if "+mpi" in spec:
            env["MPICC"] = spec["mpi"].mpicc
            cargo(
                "build", "--release", "--locked", "--offline",
                "-p", "thresher-worker", "--features", "mpi", "--bin", "thresher-gang",
            )
            install("target/release/thresher-gang", prefix.bin)
        thresher = Executable(prefix.bin.thresher)
        thresher("man", prefix.share.man.man1)
