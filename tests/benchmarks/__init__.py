"""How long things take beside docker's BuildKit and buildah, measured in the same run; started by hand.

    python -m tests.benchmarks.cached_rebuild
    python -m tests.benchmarks.run_overhead
    python -m tests.benchmarks.copy_files
    python -m tests.benchmarks.apt_layer
    python -m tests.benchmarks.transfer
    python -m tests.benchmarks.language
    python -m tests.benchmarks.copy_snapshots
    python -m tests.benchmarks.ladder
    python -m tests.benchmarks.clients

Each prints medians and ratios. They need root, docker.io and buildah; what is not installed is left out of the table.
Three measure dockersim alone: the parser, the word expansion and the checks; root file systems that are copied,
beside overlays; and the rungs that work here, beside the best of them. The last one measures the practice registry
under a class of 200, beside Debian's docker-registry.
"""
