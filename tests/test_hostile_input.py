"""Test that arbitrary input raises documented errors: no crash, no hang, no silent NaN."""

import base64
import json
from pathlib import Path

import pytest
from fuzz_targets import SEEDS, TARGETS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# Inputs with a code path of their own, found by coverage-guided fuzzing, by target.
CORPUS = json.loads((Path(__file__).parent / "data" / "fuzz_corpus.json").read_text())

CHARACTERS = "ABCDHNOFKaleilr0123456789.()[]{}·*+-^ ,\n\"'{}:eE\x00µ２"


def mutations(seeds):
    """Draw seeds with a part removed, repeated or replaced."""

    @st.composite
    def mutated(draw):
        data = draw(st.sampled_from(seeds))
        start = draw(st.integers(0, len(data)))
        stop = draw(st.integers(start, min(len(data), start + 20)))
        between = draw(
            st.one_of(
                st.binary(max_size=10),
                st.text(CHARACTERS, max_size=10).map(str.encode),
                st.integers(2, 50).map(lambda times: data[start:stop] * times),
                st.sampled_from([b"1e999", b"NaN", b"-1", b"999999999999", b"null", b"[]", b"{}"]),
            )
        )
        return data[:start] + between + data[stop:]

    return mutated()


@pytest.mark.parametrize("name", TARGETS)
def test_arbitrary_input(name):
    inputs = st.one_of(
        mutations(SEEDS[name]), st.text(CHARACTERS).map(str.encode), st.binary(max_size=200)
    )

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(inputs)
    def run(data):
        TARGETS[name](data)

    run()


@pytest.mark.parametrize("name", TARGETS)
def test_what_fuzzing_found(name):
    cases = [base64.b85decode(case) for case in CORPUS[name]]
    assert cases
    for data in cases:
        TARGETS[name](data)
