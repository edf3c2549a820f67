"""Stability: the phases that a compound competes with, and what it decomposes into."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from sklearn_elmodes import _model_files
from sklearn_elmodes._chemical_systems import STABLE, ChemicalSystems
from sklearn_elmodes._inputs import as_sequence
from sklearn_elmodes._screening_store import part_of
from sklearn_elmodes._validation import own_parameters, shown, strings
from sklearn_elmodes.compositions import Compositions, write_formula
from sklearn_elmodes.elements import SYMBOLS
from sklearn_elmodes.exceptions import RowError
from sklearn_elmodes.formulas import _as_column, parse_formulas
from sklearn_elmodes.typing import InputLike

Floats = NDArray[np.float64]

_ROWS = 2**15  # compositions processed together
_LEAST_SHARE = 1e-9  # of the atoms, in a product of decomposition


class CompetingPhases(BaseEstimator):
    """The convex hull of formation energies: the phases that a compound competes with.

    A compound is stable if no mixture of other phases of the same composition has a lower
    energy. The lowest energy of all such mixtures is the energy of the convex hull, and the
    energy of the compound relative to it is its decomposition energy. The elements, with
    the energy 0, are always among the phases.

    Parameters
    ----------
    source : str, default=None
        Where the energies come from, such as "OQMD". Never mix energies of different
        sources in one hull: they differ systematically by as much as decomposition energies.
    n_jobs : int, default=None
        Number of processes, as in scikit-learn.

    Attributes
    ----------
    formulas_ : ndarray of shape (n_phases,)
        Formula of each composition, as in X. Elements are left out. Phases are in the order
        of their chemical systems, those of few elements first.
    energies_ : ndarray of shape (n_phases,)
        Lowest energy of each composition, in eV/atom.
    decomposition_energies_ : ndarray of shape (n_phases,)
        Energy of each phase relative to the best mixture of all others, in eV/atom: negative
        for a phase without which the hull would be higher.
    stable_ : ndarray of bool of shape (n_phases,)
        Which phases are on the hull.

    Notes
    -----
    For each composition, a linear program minimises the energy of a mixture over the shares
    of its phases [1]_. Only phases within the elements of a compound compete with it, and of
    those that lack one of its elements only the stable ones matter. The simplex method solves
    many programs together, exactly apart from rounding.

    ``clone`` keeps a fitted hull, since it is reference data.

    References
    ----------
    .. [1] A. R. Akbarzadeh, V. Ozoliņš, C. Wolverton, "First-principles determination of
       multicomponent hydride phase diagrams", Adv. Mater. 19, 3233 (2007).

    Examples
    --------
    >>> from sklearn_elmodes import CompetingPhases
    >>> hull = CompetingPhases().fit(["Li2O", "Li2O2", "LiO8"], [-2.05, -1.65, -0.2])
    >>> hull.stable_
    array([ True,  True, False])
    >>> hull.hull_energy(["LiO2"]).round(3)
    array([-1.1])
    >>> products, = hull.decompose(["Li3O2"])
    >>> {product: round(share, 2) for product, share in products.items()}
    {'Li2O': 0.6, 'Li2O2': 0.4}
    """

    def __init__(self, source: str | None = None, *, n_jobs: int | None = None) -> None:
        self.source = source
        self.n_jobs = n_jobs

    def __sklearn_clone__(self) -> Self:
        return self if hasattr(self, "energies_") else type(self)(**self.get_params())

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        return tags

    def fit(self, X: Any, y: Any = None) -> Self:
        """Keep the lowest energy of each composition, and find the stable phases.

        Parameters
        ----------
        X : sequence of shape (n_samples,) or (n_samples, 1)
            Compositions, as for :func:`~sklearn_elmodes.formulas.parse_formulas`; or entries
            of pymatgen such as ``ComputedEntry``.
        y : array-like of shape (n_samples,), default=None
            Formation energies in eV/atom. None for entries: their formation energies are
            computed from their total energies, relative to the lowest entry of each element.

        Returns
        -------
        self : object

        Raises
        ------
        RowError
            If a row cannot be read, its energy is not a finite number, or an element has a
            negative formation energy.
        ValueError
            If there are no rows, ``y`` has another length, or there is no entry of an element.
        """
        column = _as_column(as_sequence(X))
        compositions = parse_formulas(column)
        if not len(compositions):
            raise ValueError("X is empty; a hull needs at least one phase.")
        if y is None:
            energies = _formation_energies(column, compositions)
        else:
            energies = _energies(y, len(compositions))
        sizes = np.diff(compositions.starts)
        for row in np.flatnonzero((sizes == 1) & (energies < -STABLE)).tolist():
            raise RowError(
                row,
                f"The element {compositions.describe(row)} has the energy {energies[row]:g} "
                "eV/atom; formation energies are relative to the stable elements, so that no "
                "element has a negative one.",
            )
        groups = compositions.groups()
        order = np.lexsort([energies, groups])  # of equal energies, the first row
        rows = np.sort(order[np.diff(groups[order], prepend=-1) > 0])
        rows = rows[sizes[rows] > 1]
        self._systems, order, self.decomposition_energies_ = ChemicalSystems.of(
            compositions.take(rows), energies[rows]
        )
        self._set_formulas([_text(column[row], compositions[row]) for row in rows[order].tolist()])
        return self

    def _set_formulas(self, formulas: list[str]) -> None:
        self.formulas_ = np.array(formulas, dtype=object)
        self.energies_ = self._systems.energies
        self.stable_ = self.decomposition_energies_ <= STABLE

    def hull_energy(self, X: InputLike, *, exclude_self: bool = False) -> Floats:
        """Return the energy of the hull at some compositions.

        Parameters
        ----------
        X : sequence of shape (n_samples,) or (n_samples, 1)
            Compositions.
        exclude_self : bool, default=False
            Leave the phases of the same composition out of the hull. The elements stay.

        Returns
        -------
        ndarray of shape (n_samples,)
            In eV/atom, at most 0.

        Raises
        ------
        RowError
            If a row cannot be read.

        Notes
        -----
        Elements that no phase contains are not an error: their compounds compete with the
        elements and with phases of their other elements.
        """
        parts = [energies for energies, *_ in self._mixtures(X, exclude_self)]
        return np.concatenate(parts) if parts else np.zeros(0)

    def decomposition_energy(
        self, X: InputLike, energy: Any, *, exclude_self: bool = True
    ) -> Floats:
        """Return the energies of compounds relative to the hull.

        Parameters
        ----------
        X : sequence of shape (n_samples,) or (n_samples, 1)
            Compositions.
        energy : array-like of shape (n_samples,)
            Their formation energies in eV/atom.
        exclude_self : bool, default=True
            Compare with phases of other compositions only. Then a stable compound has a
            negative energy: by so much it is below the best mixture of others. With False
            the energy above the hull results, which is 0 for phases on the hull.

        Returns
        -------
        ndarray of shape (n_samples,)
            In eV/atom.

        Raises
        ------
        RowError
            If a row cannot be read, or its energy is not a finite number.
        ValueError
            If ``energy`` has another length than X.
        """
        X = as_sequence(X)
        hull = self.hull_energy(X, exclude_self=exclude_self)
        return _energies(energy, len(hull)) - hull

    def decompose(self, X: InputLike, *, exclude_self: bool = False) -> list[dict[str, float]]:
        """Return the mixture of lowest energy for each composition.

        Parameters
        ----------
        X : sequence of shape (n_samples,) or (n_samples, 1)
            Compositions.
        exclude_self : bool, default=False
            Leave the phases of the same composition out of the mixture.

        Returns
        -------
        list of dict of {str: float}
            Share of the atoms in each product, from large to small.
        """
        names: dict[int, str] = dict(enumerate(self.formulas_.tolist()))
        names |= {-number: symbol for number, symbol in enumerate(SYMBOLS, start=1)}
        mixtures = []
        for _, products, shares in self._mixtures(X, exclude_self):
            for mixed, parts in zip(products.tolist(), shares.tolist(), strict=True):
                pairs = sorted(zip(parts, mixed, strict=True), reverse=True)
                mixtures.append({names[p]: share for share, p in pairs if share > _LEAST_SHARE})
        return mixtures

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted hull to one file, without pickle.

        Parameters
        ----------
        path : str or path-like
            File to write, by convention ``*.safetensors``. It is written atomically.
        """
        check_is_fitted(self)
        settings = {"parameters": self.get_params(), "formulas": self.formulas_.tolist()}
        arrays = {"energies": self.energies_, "above": self.decomposition_energies_}
        step = _model_files.Step("hull", type(self).__name__, settings, arrays)
        _model_files.write(path, [step], "", check=self.load)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a hull that :meth:`save` wrote. Nothing in the file is executed.

        Parameters
        ----------
        path : str or path-like

        Returns
        -------
        CompetingPhases
            Fitted.

        Raises
        ------
        OSError
            If the file does not exist or cannot be read.
        ValueError
            If the file does not contain a hull or is corrupted.
        """
        steps = _model_files.read(path).steps
        if [step.kind for step in steps] != [cls.__name__]:
            raise ValueError(f"{path} contains a model, not a hull; read it with load_model.")
        step = steps[0]
        with _model_files.describing(path):
            hull = cls(**own_parameters(cls, step.settings["parameters"]))
            formulas = strings(step.settings["formulas"])
            energies, above = step.arrays["energies"], step.arrays["above"]
            compositions = parse_formulas(formulas)
            if not len(formulas) == len(energies) == len(above):
                raise ValueError("its formulas and energies differ in number")
            hull._systems = ChemicalSystems.sorted(compositions, energies, above <= STABLE)
            hull.decomposition_energies_ = above
            hull._set_formulas(formulas)
        return hull

    def _check_source(self, model: Any) -> None:
        """Raise an error if the hull is not fitted, or a model has energies of another source."""
        check_is_fitted(self)
        source = getattr(model, "model_source_", None)
        if source and self.source and source.casefold() != self.source.casefold():
            raise ValueError(
                f"The model predicts energies of the source {source!r}, the hull has those of "
                f"{self.source!r}; they differ systematically. Fine-tune the model on energies of "
                "the hull's source, or build the hull from energies of the model's source."
            )

    def _fingerprint(self) -> str:
        """Hash all that energies of the hull depend on."""
        systems = self._systems
        digest = hashlib.sha256(systems.numbers.astype("<i8").tobytes())
        for array in (systems.fractions, systems.energies):
            digest.update(array.astype("<f8").tobytes())
        return digest.hexdigest()

    def _mixtures(
        self, X: Any, exclude_self: bool
    ) -> Iterator[tuple[Floats, NDArray[np.intp], Floats]]:
        """Yield energies, products and shares of the best mixtures for parts of X."""
        check_is_fitted(self)
        X = as_sequence(X)
        if not hasattr(X, "shape"):
            X = _as_column(X)
        return Parallel(n_jobs=self.n_jobs, return_as="generator")(
            delayed(_lowest)(self._systems, part_of(X, start, start + _ROWS), start, exclude_self)
            for start in range(0, len(X), _ROWS)
        )


def write_mixture(mixture: dict[str, float]) -> str:
    """Write the products of a decomposition as text.

    Parameters
    ----------
    mixture : dict of {str: float}
        Share of the atoms in each product, as from
        :meth:`~sklearn_elmodes.CompetingPhases.decompose`.

    Returns
    -------
    str

    Examples
    --------
    >>> from sklearn_elmodes.stability import write_mixture
    >>> write_mixture({"Li2O2": 2 / 3, "O": 1 / 3})
    '0.667 Li2O2 + 0.333 O'
    """
    return " + ".join(f"{share:.3g} {product}" for product, share in mixture.items())


def _lowest(
    systems: ChemicalSystems, X: Any, start: int, exclude_self: bool
) -> tuple[Floats, NDArray[np.intp], Floats]:
    """Read a part of X, which starts at row ``start``, and find the best mixtures."""
    try:
        compositions = parse_formulas(X)
    except RowError as error:
        raise RowError(start + error.row, error.args[1]) from None
    return systems.lowest_of(compositions, exclude_self=exclude_self)


def _text(value: Any, composition: dict[str, float]) -> str:
    """Return a formula as it was written; write that of another object."""
    return value if isinstance(value, str) else write_formula(composition)


def _energies(values: Any, n_rows: int) -> Floats:
    """Convert energies to floats, or name the first that is not a finite number."""
    energies = np.asarray(values, dtype=np.float64)
    if energies.shape == (n_rows, 1):
        energies = energies[:, 0]
    if energies.shape != (n_rows,):
        raise ValueError(f"There are {n_rows} formulas and energies of shape {energies.shape}.")
    for row in np.flatnonzero(~np.isfinite(energies)).tolist():
        raise RowError(row, f"The energy is {energies[row]}; it must be a finite number.")
    return energies


def _formation_energies(entries: list[Any], compositions: Compositions) -> Floats:
    """Convert the total energies of entries of pymatgen to formation energies, eV/atom."""
    for row, entry in enumerate(entries):
        if not hasattr(entry, "energy_per_atom"):
            raise RowError(
                row,
                f"{shown(entry)} has no energy; pass formation energies as y, or entries of "
                "pymatgen.",
            )
    totals = _energies([entry.energy_per_atom for entry in entries], len(entries))
    first, sizes = compositions.starts[:-1], np.diff(compositions.starts)
    references = np.full(len(SYMBOLS) + 1, np.inf)
    elements = np.flatnonzero(sizes == 1)
    np.minimum.at(references, compositions.atomic_numbers[first[elements]], totals[elements])
    used = references[compositions.atomic_numbers]
    missing = np.unique(compositions.atomic_numbers[np.isinf(used)])
    if len(missing):
        symbols = ", ".join(SYMBOLS[number - 1] for number in missing)
        raise ValueError(
            f"Formation energies need the energies of the elements; there is no entry of {symbols}."
        )
    return np.asarray(totals - np.add.reduceat(used * compositions.fractions, first))
