"""The periodic table as data: symbols, atomic numbers and property tables."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from sklearn_elmodes._validation import shown

if TYPE_CHECKING:
    import pandas as pd

SYMBOLS: tuple[str, ...] = tuple(
    """
    H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br
    Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho
    Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es
    Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og
    """.split()
)
"""Symbols of the 118 elements; ``SYMBOLS[Z - 1]`` has atomic number Z."""

ATOMIC_NUMBERS: dict[str, int] = {symbol: z for z, symbol in enumerate(SYMBOLS, start=1)}
"""Atomic number of each symbol."""

HERR2019_COLUMNS = (
    "atomic_number",
    "mass_u",
    "valence_s",
    "valence_p",
    "valence_d",
    "electronegativity_allen",
    "atomic_radius_calculated_pm",
    "first_ionization_energy_kj_mol",
    "electron_affinity_ev",
    "polarizability_au",
)
_HERR2019_SYMBOLS = SYMBOLS[:56] + SYMBOLS[70:83]  # Z = 1-56 and 71-83

_NOBLE_GASES = (0, 2, 10, 18, 36, 54, 86, 118)

PROPERTY_TABLES = ("herr2019", "extended")
"""Names that :func:`property_table` and ``properties=`` accept."""


@cache
def _all_properties() -> pd.DataFrame:
    import pandas as pd

    with files("sklearn_elmodes.tables").joinpath("elements.csv").open(encoding="utf-8") as file:
        # "NaN" is no missing value here, and "Na" must stay sodium.
        table = pd.read_csv(file, index_col="symbol", keep_default_na=False, na_values=[""])
    return table.astype(float)


def property_table(name: str) -> pd.DataFrame:
    """Return a named table of element properties.

    Units stand at the end of the column names; sources are listed in
    ``sklearn_elmodes/tables/README.md``.

    Parameters
    ----------
    name : {"herr2019", "extended"}
        "herr2019" holds the ten properties of Herr et al. (2019) for the 69
        elements with Z = 1-56 and 71-83, without gaps. "extended" adds 15
        columns and covers Z = 1-103; unknown values are NaN.

    Returns
    -------
    pandas.DataFrame of shape (n_elements, n_properties)
        Indexed by element symbol, in order of atomic number.

    Raises
    ------
    ValueError
        If there is no table of that name.

    Examples
    --------
    >>> from sklearn_elmodes.elements import property_table
    >>> property_table("herr2019").loc[["Na", "K"], "electronegativity_allen"].round(2).tolist()
    [0.87, 0.73]
    """
    if name == "herr2019":
        return _all_properties().loc[list(_HERR2019_SYMBOLS), list(HERR2019_COLUMNS)].copy()
    if name == "extended":
        return _all_properties().copy()
    raise ValueError(f"No property table {name!r}; choose one of {', '.join(PROPERTY_TABLES)}.")


def atomic_number(species: Any) -> int:
    """Return the atomic number of a symbol or of an integer from 1 to 118.

    Examples
    --------
    >>> from sklearn_elmodes.elements import atomic_number
    >>> atomic_number("Cl"), atomic_number(17)
    (17, 17)
    """
    if isinstance(species, str):
        if species in ATOMIC_NUMBERS:
            return ATOMIC_NUMBERS[species]
        raise ValueError(f"unknown element symbol {shown(species)}")
    try:
        number = int(species)
    except (TypeError, ValueError, OverflowError):
        number = 0
    if isinstance(species, bool) or number != species or not 1 <= number <= len(SYMBOLS):
        raise ValueError(
            f"{shown(species)} is neither an element symbol nor an atomic number (1 to 118)"
        )
    return number


def table_position(symbol: str) -> tuple[int, int]:
    """Return row and column of an element in the usual layout of 18 columns.

    The lanthanides and actinides stand in rows 9 and 10.

    Examples
    --------
    >>> from sklearn_elmodes.elements import table_position
    >>> table_position("H"), table_position("Fe"), table_position("U")
    ((1, 1), (4, 8), (10, 7))
    """
    z = ATOMIC_NUMBERS[symbol]
    period = next(p for p in range(1, 8) if z <= _NOBLE_GASES[p])
    place = z - _NOBLE_GASES[period - 1]  # 1 for the alkali metal
    length = _NOBLE_GASES[period] - _NOBLE_GASES[period - 1]
    if place <= 2 and period > 1:
        return period, place
    if length == 32 and 3 <= place <= 16:
        return period + 3, place + 1
    return (period, 1) if z == 1 else (period, place + 18 - length)


def block_of(symbol: str) -> str:
    """Return the block of an element: s, p, d or f.

    Examples
    --------
    >>> from sklearn_elmodes.elements import block_of
    >>> [block_of(symbol) for symbol in ("Na", "Cl", "Fe", "U", "He")]
    ['s', 'p', 'd', 'f', 's']
    """
    row, column = table_position(symbol)
    if row > 8:
        return "f"
    if column <= 2 or symbol == "He":
        return "s"
    return "d" if column <= 12 else "p"
