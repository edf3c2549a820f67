"""Time and memory of the general model when predicting many formulas."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from _worker import answer, measure

from sklearn_elmodes import load_pretrained

ELEMENT = re.compile("[A-Z][a-z]?")


def other_formulas(formulas: list[str], n_rows: int, random_state: Any) -> list[str]:
    """Exchange the elements of the formulas at random until there are n_rows."""
    text = "\n".join(formulas[:n_rows])
    elements = sorted(set(ELEMENT.findall(text)))
    found: list[str] = []
    while len(found) < n_rows:
        others = dict(zip(elements, random_state.permutation(elements).tolist(), strict=True))
        found += ELEMENT.sub(lambda match, others=others: others[match[0]], text).split("\n")
    return found[:n_rows]


def main(n_calls: int, n_rows: int) -> list[dict[str, float]]:
    """Measure several calls with n_rows new formulas each."""
    formulas, model = np.load("formulas.npy").tolist(), load_pretrained("oqmd")
    random_state = np.random.RandomState(0)
    return [
        measure(model.predict, other_formulas(formulas, n_rows, random_state), 0.0)
        for _ in range(n_calls)
    ]


if __name__ == "__main__":
    answer(main)
