"""Fuzz one target with atheris: ``python tests/fuzz.py TARGET CORPUS [libFuzzer options]``."""

import sys
from pathlib import Path


def main(name, corpus, *options):
    import atheris

    with atheris.instrument_imports(include=["sklearn_elmodes"]):
        from fuzz_targets import SEEDS, TARGETS

    folder = Path(corpus)
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS[name]):
        (folder / f"seed{number}").write_bytes(seed)
    limits = ["-timeout=20", "-rss_limit_mb=6000"]
    atheris.Setup([sys.argv[0], corpus, *limits, *options], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
