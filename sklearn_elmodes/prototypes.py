"""Crystal prototypes: which sites a structure has, and which element sits where."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_elmodes._validation import shown
from sklearn_elmodes.candidates import SiteCandidates
from sklearn_elmodes.elements import ATOMIC_NUMBERS, atomic_number
from sklearn_elmodes.formulas import (
    Compositions,
    RowErrors,
    as_column,
    format_composition,
    parse_formulas,
    readable_rows,
    refuse,
)
from sklearn_elmodes.occupations import count_columns, factorize_sites, read_species

# Formula and equivalent sites of structures that are known by name. In rock salt
# a shift by half a cell exchanges A and B; in elpasolite too, since all C and D
# sites are mapped onto each other. In perovskite A and B differ in coordination.
_KNOWN: dict[str, tuple[str, tuple[tuple[str, ...], ...]]] = {
    "elpasolite": ("ABC2D6", (("A", "B"),)),
    "perovskite": ("ABX3", ()),
    "rock-salt": ("AB", (("A", "B"),)),
}
_SITE = re.compile(r"([A-Z])([0-9]*)")
_MAX_SITES = 12
_TOLERANCE = 1e-6  # relative, for amounts such as 0.3333333


class Prototype:
    """A structure type: its sites, how often each occurs, and which are alike.

    Parameters
    ----------
    formula : str
        A capital letter for each site, with the number of its atoms in the
        formula unit: ``"ABC2D6"``. Or one of the names ``"elpasolite"``
        (ABC2D6), ``"perovskite"`` (ABX3) and ``"rock-salt"`` (AB).
    equivalent_sites : sequence of sequences of str, default=None
        Sets of sites that a symmetry of the structure exchanges, such as
        ``[("A", "B")]``: swapping their elements leaves the crystal as it is.
        None takes those of elpasolite and rock salt where the formula is
        theirs, and none otherwise; pass ``()`` to have none.

    Attributes
    ----------
    sites : tuple of str
    multiplicities : tuple of int
    equivalent_sites : tuple of tuples of str

    Raises
    ------
    ValueError
        If the formula is no prototype, or equivalent sites are unknown, listed
        twice or of different multiplicity.

    Examples
    --------
    >>> from sklearn_elmodes import Prototype
    >>> elpasolite = Prototype("ABC2D6")
    >>> elpasolite.sites, elpasolite.multiplicities, elpasolite.equivalent_sites
    (('A', 'B', 'C', 'D'), (1, 1, 2, 6), (('A', 'B'),))
    >>> elpasolite.assign({"K": 2, "Na": 1, "Al": 1, "F": 6})
    ('Na', 'Al', 'K', 'F')
    """

    def __init__(
        self, formula: str, equivalent_sites: Sequence[Sequence[str]] | None = None
    ) -> None:
        if not isinstance(formula, str):
            raise ValueError(f"A prototype is a string such as 'ABC2D6', got {shown(formula)}.")
        text = _KNOWN[formula][0] if formula in _KNOWN else formula
        found = _SITE.findall(text)
        sites = tuple(letter for letter, _ in found)
        if not found or "".join(map("".join, found)) != text or len(set(sites)) != len(sites):
            raise ValueError(
                f"Cannot read the prototype {shown(formula)}: write each site once, as a capital "
                "letter with its multiplicity, such as 'ABC2D6', or use a name: "
                f"{', '.join(_KNOWN)}."
            )
        multiplicities = tuple(int(digits[:9] or 1) for _, digits in found)
        if len(sites) > _MAX_SITES:
            raise ValueError(f"The prototype {shown(formula)} has more than {_MAX_SITES} sites.")
        if min(multiplicities) < 1 or any(len(digits) > 3 for _, digits in found):
            raise ValueError(
                f"Cannot read the prototype {shown(formula)}: multiplicities lie between 1 and 999."
            )
        if equivalent_sites is None:
            equivalent_sites = dict(_KNOWN.values()).get(text, ())
        self.formula = text
        self.sites = sites
        self.multiplicities = multiplicities
        message = (
            f"equivalent_sites={shown(equivalent_sites)} must be a sequence of sets of two "
            'sites or more: [("A", "B")].'
        )
        try:
            groups = list(equivalent_sites)
            self.equivalent_sites = tuple(tuple(group) for group in groups)
        except TypeError:
            raise ValueError(message) from None
        if (
            isinstance(equivalent_sites, str)
            or any(isinstance(group, str) for group in groups)
            or not all(
                len(group) > 1 and all(isinstance(site, str) for site in group)
                for group in self.equivalent_sites
            )
        ):
            raise ValueError(message)
        listed = [site for sites in self.equivalent_sites for site in sites]
        if len(set(listed)) != len(listed) or not set(listed) <= set(sites):
            raise ValueError(
                f"equivalent_sites={shown(equivalent_sites)} must name sites of {text!r}, "
                "each once."
            )
        for group in self.equivalent_sites:
            if len({multiplicities[sites.index(site)] for site in group}) > 1:
                raise ValueError(
                    f"Sites {', '.join(group)} of {text!r} cannot be equivalent: "
                    "their multiplicities differ."
                )

    @classmethod
    def of(cls, prototype: str | Prototype) -> Prototype:
        """Return a prototype as it is, or read it from a string."""
        return prototype if isinstance(prototype, cls) else cls(prototype)  # type: ignore[arg-type]

    @property
    def n_sites(self) -> int:
        """Number of distinct sites."""
        return len(self.sites)

    @property
    def equivalent_site_indices(self) -> tuple[tuple[int, ...], ...]:
        """Equivalent sites as column indices, each group in increasing order."""
        return tuple(tuple(sorted(map(self.sites.index, group))) for group in self.equivalent_sites)

    def __repr__(self) -> str:
        return f"Prototype({self.formula!r}, equivalent_sites={self.equivalent_sites!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Prototype):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[str, frozenset[tuple[int, ...]]]:
        return self.formula, frozenset(g for g in self.equivalent_site_indices if len(g) > 1)

    def assign(self, composition: Mapping[str, float]) -> tuple[str, ...]:
        """Find the element of each site from the amounts in a formula.

        Amounts need only be proportional to the multiplicities, and one
        element may fill several sites. Among equivalent sites the lighter
        element comes first.

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
            If no assignment fits, or several do that equivalent sites do not
            make the same.
        """
        for symbol in composition:
            if symbol not in ATOMIC_NUMBERS:
                raise ValueError(f"unknown element symbol {shown(symbol)}")
        atoms = math.fsum(composition.values())
        if not 0 < atoms < math.inf:
            raise ValueError(f"{shown(dict(composition))} is no composition: it has {atoms} atoms.")
        amounts = {
            symbol: amount / atoms * sum(self.multiplicities)
            for symbol, amount in composition.items()
        }
        whole = {symbol: round(amount) for symbol, amount in amounts.items()}
        formula = format_composition(composition)
        if any(abs(amounts[s] - whole[s]) > _TOLERANCE * max(whole[s], 1) for s in whole):
            raise ValueError(f"{formula} does not fit the prototype {self.formula}.")
        found = list(itertools.islice(self._assignments(whole), 2))
        if not found:
            raise ValueError(f"{formula} does not fit the prototype {self.formula}.")
        if len(found) > 1:
            first, second = (
                " ".join(map("=".join, zip(self.sites, elements, strict=True)))
                for elements in found
            )
            raise ValueError(
                f"{formula} fits the prototype {self.formula} in several ways "
                f"({first} or {second}): pass the element of each site instead, "
                f"in the order {', '.join(self.sites)}, or declare equivalent_sites."
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
        """Enumerate the crystals of this structure, each site with an element of its own.

        Parameters
        ----------
        elements : iterable of str, or mapping of str to iterable of str
            Symbols to choose from, for all sites or for each site.
        distinct : bool, default=True
            Count crystals once that differ only by an exchange of equivalent sites.
        exclude : sequence of shape (n_excluded,) or (n_excluded, n_sites), default=None
            Crystals to leave out, such as those that are known: formulas, or
            symbols or atomic numbers on the sites.
        oxidation_states : "common" or mapping of str to sequence of numbers, default=None
            Keep the crystals whose charges can add up to zero, with one oxidation
            state for each element: the common ones, as pymatgen lists them, or
            your own by symbol. An element without any is never balanced.
        constraints : callable or sequence of callables, default=()
            Each gets a DataFrame with a column of symbols for every site and
            returns one bool for each row, True for what is kept. It sees a crystal
            once, with the lighter element first on equivalent sites: treat such
            sites alike, give elements by site, or take ``distinct=False``.

        Returns
        -------
        SiteCandidates
            A sized, sliceable space; see :class:`~sklearn_elmodes.candidates.Candidates`.

        Raises
        ------
        ValueError
            If an element is unknown, a site lacks elements, or a row of
            ``exclude`` cannot be read or does not fit the prototype.

        Examples
        --------
        >>> from sklearn_elmodes import Prototype
        >>> space = Prototype("ABC2D6").candidates(["Na", "K", "Al", "F", "Cl"])
        >>> len(space), space[0]
        (60, ('F', 'Na', 'Al', 'Cl'))
        >>> halides = Prototype("ABC2D6").candidates(
        ...     {"A": ["Na"], "B": ["Al", "Ga"], "C": ["K", "Rb"], "D": ["F", "Cl"]},
        ...     exclude=["K2NaAlF6"], constraints=lambda sites: sites["C"] != "Rb")
        >>> list(halides)
        [('Na', 'Al', 'K', 'Cl'), ('Na', 'Ga', 'K', 'F'), ('Na', 'Ga', 'K', 'Cl')]
        """
        return SiteCandidates(
            self.sites,
            self.multiplicities,
            self.equivalent_site_indices if distinct else (),
            elements,
            exclude=None if exclude is None else self._read_crystals(exclude),
            oxidation_states=oxidation_states,
            constraints=constraints,
        )

    def _read_crystals(self, X: Any) -> NDArray[np.intp]:
        """Read formulas or elements per site as atomic numbers, shape (n_samples, n_sites)."""
        if count_columns(X) == 1 and self.n_sites > 1:
            return self.assign_all(parse_formulas(X))
        if self.n_sites == 1:
            X = [[species] for species in as_column(X)]
        sites, species = factorize_sites(X)
        if sites.shape[1] != self.n_sites:
            raise ValueError(
                f"The crystals have {sites.shape[1]} columns; {self.formula} has the "
                f"{self.n_sites} sites {', '.join(self.sites)}."
            )
        numbers = np.zeros(len(species), dtype=np.intp)
        for index, z in read_species(sites, species, atomic_number, self.sites).items():
            numbers[index] = z
        return numbers[sites]

    def _assignments(self, left: dict[str, int]) -> Iterator[tuple[str, ...]]:
        """Yield the assignments that differ by more than equivalent sites."""
        symbols = sorted(left, key=ATOMIC_NUMBERS.__getitem__)
        before = {  # the preceding equivalent site, which must hold no heavier element
            b: a for group in self.equivalent_site_indices for a, b in itertools.pairwise(group)
        }
        chosen: list[str] = []
        dead_ends: set[Any] = set()  # without them the search is exponential

        def place(site: int) -> Iterator[tuple[str, ...]]:
            if site == self.n_sites:
                yield tuple(chosen)
                return
            binding = tuple(chosen[a] for b, a in before.items() if a < site <= b)
            state = (site, tuple(left.values()), binding)
            if state in dead_ends:
                return
            found = False
            multiplicity = self.multiplicities[site]
            lowest = symbols.index(chosen[before[site]]) if site in before else 0
            for symbol in symbols[lowest:]:
                if left[symbol] >= multiplicity:
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

    def assign_all(
        self, compositions: Compositions, errors: RowErrors | None = None
    ) -> NDArray[np.intp]:
        """Assign many formulas at once.

        Parameters
        ----------
        compositions : Compositions of length n_samples
        errors : RowErrors, default=None
            Takes the rows that do not fit, in place of an exception; the result
            lacks them.

        Returns
        -------
        ndarray of shape (n_samples, n_sites)
            Atomic numbers in the order of ``sites``.

        Raises
        ------
        ValueError
            As :meth:`assign`, with the row.
        """
        n_samples, n_sites = len(compositions), self.n_sites
        assigned = np.zeros((n_samples, n_sites), dtype=np.intp)
        done = np.zeros(n_samples, dtype=bool)
        # The common case, one element for each site, is a sort by amount, then by weight.
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
        found: dict[int, str] = {}
        rest = np.flatnonzero(~done).tolist()
        for row, elements in readable_rows(
            rest, lambda row: self.assign(compositions[row]), found, errors
        ):
            assigned[row] = [ATOMIC_NUMBERS[symbol] for symbol in elements]
        refuse(found, errors)
        return np.delete(assigned, list(found), axis=0) if found else assigned

    @property
    def _sorts(self) -> bool:
        """Whether sites of equal multiplicity are all equivalent."""
        alike: dict[int, set[int]] = {}
        for site, multiplicity in enumerate(self.multiplicities):
            alike.setdefault(multiplicity, set()).add(site)
        groups = [set(group) for group in self.equivalent_site_indices]
        return all(len(sites) == 1 or sites in groups for sites in alike.values())


def site_names(prototype: Prototype, names: Iterable[Any]) -> list[str]:
    """Name a column for each site and each of ``names``, such as ``A_mode1``."""
    return [f"{site}_{name}" for site in prototype.sites for name in names]
