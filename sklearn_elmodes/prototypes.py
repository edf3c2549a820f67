"""Crystal prototypes: the sites of a structure, and the assignment of elements to them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_elmodes._inputs import read
from sklearn_elmodes._prototype_formulas import KNOWN, read_orders, read_site_sets, read_sites
from sklearn_elmodes._rows import Reasons, raise_first
from sklearn_elmodes._symmetry import (
    canonical_order,
    equivalent_sets,
    permutation_group,
)
from sklearn_elmodes._validation import shown
from sklearn_elmodes.candidates import SiteCandidates
from sklearn_elmodes.compositions import Compositions, format_composition
from sklearn_elmodes.elements import ATOMIC_NUMBERS, SYMBOLS
from sklearn_elmodes.occupations import _reasons_by_site

_TOLERANCE = 1e-6  # relative, for amounts such as 0.3333333


class Prototype:
    """Structure type: sites, multiplicities, and symmetries that exchange sites.

    Parameters
    ----------
    formula : str
        A name, ``"elpasolite"`` (ABC2D6), ``"perovskite"`` (ABX3) or
        ``"rock-salt"`` (AB); or a formula with a capital letter for each site,
        followed by its multiplicity, the number of its atoms in the formula unit:
        ``"ABC2D6"``. A formula implies no equivalent sites.
    equivalent_sites : sequence of sequences of str, default=None
        Sets of sites that symmetries of the structure exchange freely, such as
        ``[("A", "B")]``: swapping the elements on A and B gives the same crystal.
        None means those of the named structure, and no set for a formula; ``()``
        means no set.
    permutations : sequence of sequences of str, default=None
        Symmetries as permutations of the sites, instead of ``equivalent_sites``, for
        structures in which some sites are exchanged only together with others. Each
        lists, in the order of ``sites``, the site whose element moves there:
        ``["BADC"]`` exchanges A with B and, at the same time, C with D. They must form
        a group; the identity may be left out.

    Attributes
    ----------
    name : str or None
        Name of the structure; None if it was not given by name, or if its
        symmetries differ from those of the named structure.
    formula : str
        Formula of the sites, such as ``"ABC2D6"``.
    sites : tuple of str
    multiplicities : tuple of int
        Atoms on each site in the formula unit.
    equivalent_sites : tuple of tuples of str
        Sets of sites that are exchanged freely; empty if some sites are exchanged only
        together with others.
    permutations : tuple of tuples of int
        All symmetries as indices into ``sites``, the identity first.

    Raises
    ------
    ValueError
        If the formula cannot be read or has more than 12 sites; if equivalent sites are
        unknown, listed twice or of different multiplicity; or if permutations do not
        form a group or are more than 24.

    Notes
    -----
    Two prototypes are equal if their names, formulas and symmetries are equal.
    ``Prototype("ABX3")`` differs from ``Prototype("perovskite")``, since other
    structures have the same formula.

    Examples
    --------
    >>> from sklearn_elmodes import Prototype
    >>> elpasolite = Prototype("elpasolite")
    >>> elpasolite.sites, elpasolite.multiplicities, elpasolite.equivalent_sites
    (('A', 'B', 'C', 'D'), (1, 1, 2, 6), (('A', 'B'),))
    >>> elpasolite.assign({"K": 2, "Na": 1, "Al": 1, "F": 6})
    ('Na', 'Al', 'K', 'F')
    >>> Prototype("ABC2D2", permutations=["BADC"]).permutations
    ((0, 1, 2, 3), (1, 0, 3, 2))
    """

    def __init__(
        self,
        formula: str,
        equivalent_sites: Sequence[Sequence[str]] | None = None,
        *,
        permutations: Sequence[Sequence[str]] | None = None,
    ) -> None:
        if not isinstance(formula, str):
            raise ValueError(f"A prototype is a string such as 'elpasolite', got {shown(formula)}.")
        self.formula, known = KNOWN.get(formula, (formula, ()))
        self.sites, self.multiplicities = read_sites(formula, self.formula)
        self.name = formula if formula in KNOWN else None
        if permutations is not None:
            if equivalent_sites is not None:
                raise ValueError("Give either equivalent_sites or permutations, not both.")
            orders = read_orders(self.sites, self.formula, permutations)
            self.permutations = permutation_group(len(self.sites), permutations=orders)
            sets = equivalent_sets(self.permutations) or ()
            self.equivalent_sites = tuple(tuple(self.sites[i] for i in sites) for sites in sets)
        else:
            listed = known if equivalent_sites is None else equivalent_sites
            self.equivalent_sites = read_site_sets(self.sites, self.formula, listed)
            self.permutations = permutation_group(len(self.sites), self.equivalent_site_indices)
        for order in self.permutations:
            for site, source in enumerate(order):
                if self.multiplicities[site] != self.multiplicities[source]:
                    raise ValueError(
                        f"Sites {self.sites[min(site, source)]}, {self.sites[max(site, source)]} "
                        f"of {self.formula!r} cannot be equivalent: their multiplicities differ."
                    )
        if self.name and set(self.permutations) != set(
            permutation_group(
                len(self.sites), [tuple(map(self.sites.index, sites)) for sites in known]
            )
        ):
            self.name = None  # the structure of that name has other symmetries

    @classmethod
    def of(cls, prototype: str | Prototype) -> Prototype:
        """Return a prototype unchanged, or create it from a string."""
        return prototype if isinstance(prototype, cls) else cls(prototype)  # type: ignore[arg-type]

    @property
    def n_sites(self) -> int:
        """Number of sites, not counting multiplicities."""
        return len(self.sites)

    @property
    def equivalent_site_indices(self) -> tuple[tuple[int, ...], ...]:
        """Equivalent sites as indices into ``sites``, each set in increasing order."""
        return tuple(tuple(sorted(map(self.sites.index, sites))) for sites in self.equivalent_sites)

    @property
    def _is_coupled(self) -> bool:
        """Whether some sites are exchanged only together with others."""
        return equivalent_sets(self.permutations) is None

    @property
    def _symmetry_parameters(self) -> dict[str, Any]:
        """Return the parameters of an estimator for the symmetry of this structure."""
        if self._is_coupled:
            return {"permutations": self.permutations}
        return {"equivalent_sites": self.equivalent_site_indices or None}

    def _arguments(self) -> dict[str, Any]:
        """Return the arguments that create this prototype."""
        if self.name:
            return {"formula": self.name}
        if self._is_coupled:
            orders = ["".join(self.sites[i] for i in order) for order in self.permutations]
            return {"formula": self.formula, "permutations": orders}
        if self.equivalent_sites:
            return {"formula": self.formula, "equivalent_sites": self.equivalent_sites}
        return {"formula": self.formula}

    def __repr__(self) -> str:
        formula, *others = self._arguments().items()
        return f"Prototype({', '.join([repr(formula[1]), *(f'{k}={v!r}' for k, v in others)])})"

    def __str__(self) -> str:
        return f"{self.name} ({self.formula})" if self.name else self.formula

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Prototype):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[str | None, str, frozenset[tuple[int, ...]]]:
        return self.name, self.formula, frozenset(self.permutations)

    def assign(self, composition: Mapping[str, float]) -> tuple[str, ...]:
        """Assign the elements of a composition to the sites.

        The amounts may be any multiple of the multiplicities. An element may occupy
        several sites only if symmetries exchange these: Si may fill rock salt, but Al2O3 does
        not become an elpasolite because its amounts add up. Equivalent sites are filled in
        order of atomic number.

        Parameters
        ----------
        composition : mapping of str to float
            Amounts by element symbol, as :func:`~sklearn_elmodes.formulas.parse_formula`
            returns them.

        Returns
        -------
        tuple of str
            Element symbols in the order of ``sites``.

        Raises
        ------
        ValueError
            If no assignment fits, if several fit that are not related by a symmetry, or if
            an element would occupy inequivalent sites. Pass species per site for such a
            crystal.
        """
        for symbol in composition:
            if symbol not in ATOMIC_NUMBERS:
                raise ValueError(f"unknown element symbol {shown(symbol)}")
        atoms = math.fsum(composition.values())
        if not 0 < atoms < math.inf:
            raise ValueError(
                f"{shown(dict(composition))} is not a composition: it has {atoms} atoms."
            )
        amounts = {
            symbol: amount / atoms * sum(self.multiplicities)
            for symbol, amount in composition.items()
        }
        whole = {symbol: round(amount) for symbol, amount in amounts.items()}
        formula = format_composition(composition)
        if any(abs(amounts[s] - whole[s]) > _TOLERANCE * max(whole[s], 1) for s in whole):
            raise ValueError(f"{formula} does not fit the prototype {self.formula}.")
        found = self._distinct_assignments(whole)
        if not found:
            raise ValueError(self._misfit(formula, whole))
        if len(found) > 1:
            first, second = (
                " ".join(map("=".join, zip(self.sites, elements, strict=True)))
                for elements in found
            )
            raise ValueError(
                f"{formula} fits the prototype {self.formula} in several ways "
                f"({first} or {second}): pass the element of each site instead, "
                f"in the order {', '.join(self.sites)}, or {self._advice()}."
            )
        return found[0]

    def candidates(
        self,
        elements: Any,
        *,
        distinct: bool = True,
        exclude: Any = None,
        oxidation_states: Any = None,
        constraints: Any = (),
    ) -> SiteCandidates:
        """Enumerate the crystals of this structure with a different element on each site.

        Parameters
        ----------
        elements : iterable of str, or mapping of str to iterable of str
            Symbols to choose from, for all sites or for each site.
        distinct : bool, default=True
            Whether crystals that differ only by a symmetry are counted once.
        exclude : sequence of shape (n_excluded,) or (n_excluded, n_sites), default=None
            Crystals to leave out, for example known ones: formulas, or the symbols
            or atomic numbers on the sites.
        oxidation_states : "common" or mapping of str to sequence of numbers, default=None
            Keep the crystals that are charge-neutral for some choice of one oxidation
            state per element: of the common oxidation states in pymatgen, or of those
            given by symbol. Crystals of an element without oxidation states are dropped.
        constraints : callable or sequence of callables, default=()
            Each is called with a DataFrame of symbols, one column per site, and returns
            one bool per row, True to keep the crystal. Each crystal is passed once,
            in general with the lighter element first on equivalent sites. A constraint
            must therefore treat equivalent sites alike, unless ``elements`` is given by
            site or ``distinct=False``.

        Returns
        -------
        SiteCandidates
            A lazy sequence of crystals; see :class:`~sklearn_elmodes.candidates.Candidates`.

        Raises
        ------
        ValueError
            If an element is unknown, a site has no elements to choose from, or a row
            of ``exclude`` cannot be read or does not fit the prototype.

        Examples
        --------
        >>> from sklearn_elmodes import Prototype
        >>> space = Prototype("elpasolite").candidates(["Na", "K", "Al", "F", "Cl"])
        >>> len(space), space[0]
        (60, ('F', 'Na', 'Al', 'Cl'))
        >>> halides = Prototype("elpasolite").candidates(
        ...     {"A": ["Na"], "B": ["Al", "Ga"], "C": ["K", "Rb"], "D": ["F", "Cl"]},
        ...     exclude=["K2NaAlF6"], constraints=lambda sites: sites["C"] != "Rb")
        >>> list(halides)
        [('Na', 'Al', 'K', 'Cl'), ('Na', 'Ga', 'K', 'F'), ('Na', 'Ga', 'K', 'Cl')]
        """
        return SiteCandidates(
            self.sites,
            self.multiplicities,
            self.permutations if distinct else self.permutations[:1],
            elements,
            exclude=None if exclude is None else self._read_crystals(exclude),
            oxidation_states=oxidation_states,
            constraints=constraints,
        )

    def _read_crystals(self, X: Any) -> NDArray[np.intp]:
        """Read crystals as atomic numbers, shape (n_samples, n_sites)."""
        occupations = read(X, self).complete()
        numbers = np.zeros(len(occupations.species), dtype=np.intp)
        wrong = {}
        for index in occupations.present.tolist():
            symbol, *others = occupations.species[index]
            numbers[index] = ATOMIC_NUMBERS[symbol]
            if others:
                wrong[index] = f"{shown(occupations.species[index])} is a mixture"
        raise_first(_reasons_by_site(occupations, wrong, self.sites))
        return numbers[occupations.sites]

    def _advice(self) -> str:
        """Suggest how to make an assignment unique, for a message."""
        names = [name for name, (formula, _) in KNOWN.items() if formula == self.formula]
        symmetric = [name for name in names if KNOWN[name][1]]
        if self.name is None and symmetric:
            return f"name the structure if it is {symmetric[0]!r}, or declare equivalent_sites"
        return "declare equivalent_sites"

    def _misfit(self, formula: str, whole: dict[str, int]) -> str:
        """Say why a formula has no assignment."""
        for assignment in self._assignments(whole, split=True):
            for symbol in whole:
                sites = [
                    s for s, held in zip(self.sites, assignment, strict=True) if held == symbol
                ]
                if len({self._orbits[self.sites.index(site)] for site in sites}) > 1:
                    return (
                        f"{formula} fits the prototype {self.formula} only with {symbol} on the "
                        f"inequivalent sites {' and '.join(sites)}. If that is what you mean, pass "
                        f"the element of each site, in the order {', '.join(self.sites)}: "
                        f"{list(assignment)}."
                    )
        return f"{formula} does not fit the prototype {self.formula}."

    @property
    def _orbits(self) -> list[int]:
        """For each site, the first one that a symmetry exchanges with it."""
        return [min(order[site] for order in self.permutations) for site in range(self.n_sites)]

    def _distinct_assignments(self, left: dict[str, int]) -> list[tuple[str, ...]]:
        """Find up to two assignments that are not related by a symmetry."""
        distinct: dict[tuple[str, ...], None] = {}
        for assignment in self._assignments(left):
            numbers = np.array([[ATOMIC_NUMBERS[symbol] for symbol in assignment]])
            canonical = canonical_order(numbers, self.permutations)[0]
            distinct[tuple(SYMBOLS[z - 1] for z in canonical.tolist())] = None
            if len(distinct) == 2:
                break
        return list(distinct)

    def _assignments(self, left: dict[str, int], split: bool = False) -> Iterator[tuple[str, ...]]:
        """Yield the assignments with equivalent sites in order of atomic number.

        With ``split``, an element may be on sites that no symmetry exchanges.
        """
        symbols = sorted(left, key=ATOMIC_NUMBERS.__getitem__)
        before = {  # preceding equivalent site; its element must not be heavier
            b: a for group in self.equivalent_site_indices for a, b in itertools.pairwise(group)
        }
        orbits = [0] * self.n_sites if split else self._orbits
        chosen: list[str] = []
        dead_ends: set[Any] = set()  # without these the search is exponential

        def place(site: int) -> Iterator[tuple[str, ...]]:
            if site == self.n_sites:
                yield tuple(chosen)
                return
            binding = tuple(chosen[a] for b, a in before.items() if a < site <= b)
            homes = dict(zip(chosen, orbits, strict=False))
            open_homes = tuple(homes.get(symbol) if left[symbol] else None for symbol in left)
            state = (site, tuple(left.values()), binding, open_homes)
            if state in dead_ends:
                return
            found = False
            multiplicity = self.multiplicities[site]
            lowest = symbols.index(chosen[before[site]]) if site in before else 0
            for symbol in symbols[lowest:]:
                if left[symbol] >= multiplicity and homes.get(symbol, orbits[site]) == orbits[site]:
                    left[symbol] -= multiplicity
                    chosen.append(symbol)
                    for assignment in place(site + 1):
                        found = True
                        yield assignment
                    chosen.pop()
                    left[symbol] += multiplicity
            if not found:
                dead_ends.add(state)

        return place(0)

    def assign_all(self, compositions: Compositions) -> NDArray[np.intp]:
        """Assign the elements of many compositions to the sites.

        Parameters
        ----------
        compositions : Compositions of length n_samples

        Returns
        -------
        ndarray of shape (n_samples, n_sites)
            Atomic numbers in the order of ``sites``.

        Raises
        ------
        RowError
            If :meth:`assign` would raise for a row.
        """
        assigned, rejected = self._assign_rows(compositions)
        raise_first(rejected)
        return assigned

    def _assign_rows(self, compositions: Compositions) -> tuple[NDArray[np.intp], Reasons]:
        """Assign the compositions that fit, and give the reason for each of the others."""
        n_samples, n_sites = len(compositions), self.n_sites
        assigned = np.zeros((n_samples, n_sites), dtype=np.intp)
        done = np.zeros(n_samples, dtype=bool)
        # The common case, a different element on each site, is a sort by amount, then by
        # atomic number.
        simple = np.flatnonzero(np.diff(compositions.starts) == n_sites)
        if len(simple) and self._sorts:
            entries = compositions.starts[simple, None] + np.arange(n_sites)
            numbers = compositions.atomic_numbers[entries]  # (n_simple, n_sites)
            amounts = np.round(
                compositions.fractions[entries] * sum(self.multiplicities), decimals=9
            )
            order = np.lexsort((numbers, amounts))
            sites = np.argsort(self.multiplicities, kind="stable")
            fits = np.all(
                np.take_along_axis(amounts, order, axis=1)
                == np.asarray(self.multiplicities)[sites],
                axis=1,
            )
            assigned[simple[:, None], sites] = np.take_along_axis(numbers, order, axis=1)
            done[simple] = fits
        rejected: Reasons = {}
        for row in np.flatnonzero(~done).tolist():
            try:
                assigned[row] = [ATOMIC_NUMBERS[s] for s in self.assign(compositions[row])]
            except ValueError as error:
                rejected[row] = str(error)
        return np.delete(assigned, list(rejected), axis=0) if rejected else assigned, rejected

    @property
    def _sorts(self) -> bool:
        """Whether sites of equal multiplicity are all equivalent."""
        alike: dict[int, set[int]] = {}
        for site, multiplicity in enumerate(self.multiplicities):
            alike.setdefault(multiplicity, set()).add(site)
        groups = [set(group) for group in self.equivalent_site_indices]
        return all(len(sites) == 1 or sites in groups for sites in alike.values())
