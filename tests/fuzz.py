"""Fuzz one target with atheris: ``python tests/fuzz.py TARGET CORPUS [libFuzzer options]``."""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["sklearn_elmodes"]):
    from fuzz_targets import SEEDS, TARGETS

name, corpus = sys.argv[1], Path(sys.argv[2])
corpus.mkdir(parents=True, exist_ok=True)
for number, seed in enumerate(SEEDS[name]):
    (corpus / f"seed{number}").write_bytes(seed)
limits = ["-timeout=20", "-rss_limit_mb=6000"]
atheris.Setup([sys.argv[0], str(corpus), *limits, *sys.argv[3:]], TARGETS[name])
atheris.Fuzz()
