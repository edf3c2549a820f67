"""Symbols, atomic numbers and property tables of the elements."""

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
"""Symbols of the 118 elements in order of atomic number: ``SYMBOLS[Z - 1]``."""

ATOMIC_NUMBERS: dict[str, int] = {symbol: z for z, symbol in enumerate(SYMBOLS, start=1)}
"""Atomic numbers by symbol."""

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
        # Only an empty field is a missing value.
        table = pd.read_csv(file, index_col="symbol", keep_default_na=False, na_values=[""])
    return table.astype(float)


def property_table(name: str) -> pd.DataFrame:
    """Return a named table of element properties.

    Column names end in the unit, such as ``electron_affinity_ev``. The source of each
    column is listed in ``sklearn_elmodes/tables/README.md``.

    Parameters
    ----------
    name : {"herr2019", "extended"}
        "herr2019" contains the ten properties of Herr et al. (2019) for the 69
        elements with Z = 1-56 and 71-83, without missing values. "extended" adds 15
        columns and covers Z = 1-103; missing values are NaN.

    Returns
    -------
    pandas.DataFrame of shape (n_elements, n_properties)
        Indexed by element symbol, in order of atomic number.

    Raises
    ------
    ValueError
        If ``name`` is not the name of a table.

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
    """Return the atomic number of an element.

    Parameters
    ----------
    species : str or int
        Symbol, or atomic number from 1 to 118.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If ``species`` is neither.

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
    """Return the row and column of an element in the 18-column periodic table.

    The lanthanides and actinides are in rows 9 and 10.

    Parameters
    ----------
    symbol : str

    Returns
    -------
    row, column : int
        Counted from 1.

    Examples
    --------
    >>> from sklearn_elmodes.elements import table_position
    >>> table_position("H"), table_position("Fe"), table_position("U")
    ((1, 1), (4, 8), (10, 7))
    """
    z = ATOMIC_NUMBERS[symbol]
    period = next(p for p in range(1, 8) if z <= _NOBLE_GASES[p])
    place = z - _NOBLE_GASES[period - 1]  # position in the period, 1 for the alkali metal
    length = _NOBLE_GASES[period] - _NOBLE_GASES[period - 1]
    if place <= 2 and period > 1:
        return period, place
    if length == 32 and 3 <= place <= 16:
        return period + 3, place + 1
    return (period, 1) if z == 1 else (period, place + 18 - length)


def block_of(symbol: str) -> str:
    """Return the block of an element in the periodic table.

    Helium belongs to the s block, lutetium and lawrencium to the d block.

    Parameters
    ----------
    symbol : str

    Returns
    -------
    {"s", "p", "d", "f"}

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
