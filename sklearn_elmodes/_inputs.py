"""Reading of X: compositions in one column, or species with one column for each site."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Set
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sklearn_elmodes._formula_grammar import OF_ESTIMATORS, Rules
from sklearn_elmodes._rows import Reading, Reasons
from sklearn_elmodes.compositions import Compositions
from sklearn_elmodes.formulas import _amounts_of, _as_column, _read_formulas
from sklearn_elmodes.occupations import Occupations, _read_occupations


class Structure(Protocol):
    """A structure with named sites that assigns the elements of a formula to them."""

    formula: str
    sites: tuple[str, ...]

    def _assign_rows(self, compositions: Compositions) -> tuple[NDArray[np.intp], Reasons]: ...


def read(X: Any, prototype: Structure | None = None, rules: Rules = OF_ESTIMATORS) -> Reading[Any]:
    """Read X and reject the rows that cannot be read.

    Parameters
    ----------
    X : sequence of shape (n_samples,), (n_samples, 1) or (n_samples, n_sites)
        Compositions; with a prototype, compositions or the species on its sites.
    prototype : Prototype, default=None
        The structure of all rows.
    rules : Rules
        How formulas are read.

    Returns
    -------
    Reading
        Of :class:`Compositions` without a prototype, of :class:`Occupations` with one.

    Raises
    ------
    ValueError
        If X is neither a column of compositions nor a matrix of species.
    """
    if prototype is None:
        return _read_formulas(X, rules)
    sites = prototype.sites
    if len(sites) == 1:
        return _read_occupations([[species] for species in _as_column(X)], sites, rules)
    if n_columns(X) == 1:
        return _read_formulas(X, rules).then(lambda compositions: _assign(prototype, compositions))
    if n_columns(X) != len(sites):
        raise ValueError(
            f"X has {n_columns(X)} columns; the prototype {prototype.formula} has "
            f"{len(sites)} sites: {', '.join(sites)}. Pass one column of formulas, or one column "
            "for each site."
        )
    return _read_occupations(in_order_of(sites, X), sites, rules)


def contained_elements(X: Any) -> NDArray[np.bool_]:
    """Mark the elements of each row of compositions or species.

    Formulas are cleaned where necessary: cleaning changes no element, and whether it is allowed
    is a matter of the estimator.

    Returns
    -------
    ndarray of shape (n_samples, 118)
        Column Z - 1 is True where the element of atomic number Z occurs.

    Raises
    ------
    RowError
        If a row cannot be read.
    """
    return np.asarray(_read_any(X).elements())


def composition_groups(X: Any) -> NDArray[np.intp]:
    """Return a number for each row, shape (n_samples,), the same for equal rows.

    Formulas are cleaned where necessary, as by :func:`contained_elements`.
    """
    return np.asarray(_read_any(X).groups())


def _read_any(X: Any) -> Any:
    """Read all rows of compositions, or of species without a prototype."""
    X = as_sequence(X)
    rules = Rules(clean=True, has_options=False)
    reading: Reading[Any] = (
        _read_formulas(X, rules) if n_columns(X) == 1 else _read_occupations(X, rules=rules)
    )
    return reading.complete()


def fingerprint(X: Any, prototype: Structure | None = None) -> str:
    """Hash the rows of X as they are read, the same on every machine and for every notation.

    Raises
    ------
    RowError
        If a row cannot be read.
    """
    matter = read(as_sequence(X), prototype).complete()
    digest = hashlib.sha256(type(matter).__name__.encode())
    for array in matter.content():
        digest.update(f"{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def n_columns(X: Any) -> int:
    """Return the number of columns of compositions or species; 1 for a plain sequence."""
    shape = getattr(X, "shape", None)
    if shape is not None:
        return 1 if len(shape) < 2 else int(shape[1])
    first = next(iter(X), None) if isinstance(X, (list, tuple)) else None
    return len(first) if isinstance(first, (list, tuple, np.ndarray)) else 1


def values_of(X: Any) -> Any:
    """Return the rows of X unparsed, for a table of rejected rows."""
    if n_columns(X) == 1:
        return _as_column(X)
    return X.to_numpy() if hasattr(X, "to_numpy") else X


def as_sequence(X: Any) -> Any:
    """Convert an iterable such as a generator to a list; return other objects unchanged."""
    if hasattr(X, "shape") or isinstance(X, (list, str, bytes, Mapping, Set)):
        return X
    if _amounts_of(X) is not None:  # one composition, such as a Structure
        return X
    return list(X) if isinstance(X, Iterable) else X


def in_order_of(sites: tuple[str, ...], X: Any) -> Any:
    """Reorder the columns of a DataFrame to the order of the sites, if they have their names."""
    return X[list(sites)] if set(getattr(X, "columns", ())) == set(sites) else X


def _assign(prototype: Structure, compositions: Compositions) -> tuple[Occupations, Reasons]:
    atomic_numbers, rejected = prototype._assign_rows(compositions)
    return Occupations.of_elements(atomic_numbers), rejected
