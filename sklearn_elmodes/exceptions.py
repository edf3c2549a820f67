"""Exceptions of the package."""

from __future__ import annotations


class RowError(ValueError):
    """Raised if a row of X cannot be read or used.

    Attributes
    ----------
    row : int
        Position of the row, counted from 0.
    reason : str
        Why it cannot be used, without the position.

    Examples
    --------
    >>> from sklearn_elmodes.exceptions import RowError
    >>> from sklearn_elmodes.formulas import parse_formulas
    >>> try:
    ...     parse_formulas(["NaCl", "Xx"])
    ... except RowError as error:
    ...     print(error.row, error.reason)
    1 Cannot read the formula 'Xx': unknown element 'Xx' at position 0.
    """

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(row, reason)
        self.row = row
        self.reason = reason

    def __str__(self) -> str:
        return f"Row {self.row}: {self.reason}"
