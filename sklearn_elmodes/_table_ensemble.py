"""Ensembles that read a table of numbers."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import validate_data

from sklearn_elmodes._ensemble import NetworkEnsemble
from sklearn_elmodes._networks import ARCHITECTURES, NON_NEGATIVE, architecture
from sklearn_elmodes._networks._architecture import Architecture


class TableEnsemble(NetworkEnsemble):
    """An ensemble that reads tables: sites of crystals, or elements of formulas."""

    _parameter_constraints: dict[str, list[Any]] = {
        "n_sites": [Interval(Integral, 1, None, closed="left")],
        "architecture": [StrOptions(set(ARCHITECTURES))],
        "max_elements": [Interval(Integral, 1, None, closed="left")],
        "equivalent_sites": ["array-like", None],
        "permutations": ["array-like", None],
        **NetworkEnsemble._parameter_constraints,
    }

    def __init__(
        self,
        n_sites: int = 1,
        *,
        architecture: str = "sites",
        max_elements: int = 10,
        equivalent_sites: Any = None,
        permutations: Any = None,
        **training: Any,
    ) -> None:
        super().__init__(**training)
        self.n_sites = n_sites
        self.architecture = architecture
        self.max_elements = max_elements
        self.equivalent_sites = equivalent_sites
        self.permutations = permutations

    @property
    def _architecture(self) -> Architecture:
        return architecture(self.architecture)

    def _read(self, X: Any, *y: Any, **checks: Any) -> Any:
        read = validate_data(
            self,
            X,
            *y,
            reset=bool(y),
            dtype=(np.float64, np.float32),
            ensure_all_finite="allow-nan",
            **checks,
        )
        _check_nan(read[0] if y else read, allow_rows=not y)
        return read

    def _outputs(self, X: Any) -> NDArray[np.float64]:
        """Return the networks' outputs; NaN for rows that are entirely NaN."""
        absent = np.isnan(X[:, 0])  # a row with NaN contains nothing else, see _check_nan
        if not absent.any():
            return super()._outputs(X)
        shape = self.net_.module_.n_members, len(X), self._n_outputs
        outputs = np.full(shape, np.nan)
        if not absent.all():
            outputs[:, ~absent] = super()._outputs(X[~absent])
        return outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = self.architecture in NON_NEGATIVE
        return tags


def _check_nan(X: NDArray[Any], *, allow_rows: bool) -> None:
    """Raise a ValueError for NaN in X, except in rows that are entirely NaN if allowed."""
    with np.errstate(over="ignore", invalid="ignore"):
        if not np.isnan(X.sum()):
            return
    missing = np.isnan(X)
    wrong = missing.any(axis=1) & ~(missing.all(axis=1) & allow_rows)
    if not wrong.any():
        return
    row = int(np.flatnonzero(wrong)[0])
    if not missing[row].all():
        column = int(np.flatnonzero(missing[row])[0])
        raise ValueError(f"Input X contains NaN: row {row} has NaN in column {column}.")
    raise ValueError(
        f"Input X contains NaN: all features of row {row} are NaN. Rows that could not be "
        "transformed cannot be used in fit; remove them, see "
        "ElementalModeTransformer.check_rows."
    )
