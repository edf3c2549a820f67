"""The grammar of formulas, read from left to right, and the errors of the strict reader."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sklearn_elmodes._validation import shown
from sklearn_elmodes.elements import ATOMIC_NUMBERS

MAX_AMOUNT = 1e100  # sums of amounts stay finite
ISOTOPES = {"D": "deuterium", "T": "tritium"}

_CLOSING = {"(": ")", "[": "]", "{": "}"}
_TOKEN = re.compile(
    r"(?P<symbol>[A-Z][a-z]?)|(?P<number>[0-9]+(?:\.[0-9]+)?)|(?P<open>[(\[{])|(?P<close>[)\]}])"
)
_DOTS = "·*⋅•"  # middle dot, asterisk, dot operator, bullet
# Crystal water at the end, "CuSO4.5H2O": an integer of at least 2 after an anion or bracket,
# then the number of waters. "WO3.0H2O" and "Li0.5H2O" have decimals.
_WATER = re.compile(
    r"(?:[OFINS]|Cl|Br|[)\]}])(?:[2-9]|[1-9][0-9]+)(?P<dot>\.)"
    r"(?!0+(?:\.0*)?[HD])(?=[0-9]+(?:\.[0-9]+)?[HD]2O\Z)"
)
# After any other number, such as in "Co2.5H2O", the full stop is ambiguous.
_MAYBE_WATER = re.compile(r"[1-9][0-9]*\.(?!0+[HD])[0-9]+[HD]2O\Z")
_CHARGE = re.compile(r"(?:\^[0-9]*[+-]|\^[+-][0-9]+|(?<![0-9+-])[+-]+)\Z")

# Oxidation states, which would otherwise be read as iodine and vanadium: a numeral of several
# letters anywhere, "Fe(III)" or "Fe(II,III)", and one of a single letter after a metal, "Cu(I)".
_STATE = r"(?:VI{0,3}|IV|I{1,3})"
_STATES = re.compile(
    rf"(?:(?P<before>[A-Z][a-z]?)[0-9.]{{0,20}})?"
    rf"(?P<bracketed>[(\[{{](?P<states>{_STATE}(?:[ ,/+]{{1,3}}{_STATE})*)[)\]}}])"
)
_LETTERS = {"I": "iodine", "V": "vanadium"}
_NONMETALS = frozenset("H B C N O F Si P S Cl Se Br I At He Ne Ar Kr Xe Rn".split())
_BARE_STATE = re.compile(r"(?P<before>[A-Z][a-z]?)(?P<states>II{1,2})(?![a-z])")


@dataclass(frozen=True)
class Rules:
    """What a reader accepts, and how its messages name the alternatives.

    Attributes
    ----------
    deuterium_as_hydrogen, allow_charge : bool
        As in :func:`~sklearn_elmodes.formulas.parse_formula`.
    clean : bool
        Clean formulas that the strict reader refuses.
    has_options : bool
        Whether the caller has the parameters ``deuterium_as_hydrogen`` and ``allow_charge``.
    cleaner : str
        What the caller uses to clean formulas.
    """

    deuterium_as_hydrogen: bool = False
    allow_charge: bool = False
    clean: bool = False
    has_options: bool = True
    cleaner: str = "clean_formula"


OF_ESTIMATORS = Rules(has_options=False)


def read_formula(formula: str, rules: Rules) -> dict[str, float]:
    """Read one formula strictly, as :func:`~sklearn_elmodes.formulas.parse_formula` does."""
    return _FormulaReader(formula, rules).read()


class _FormulaReader:
    """Read one formula from left to right, without recursion."""

    def __init__(self, formula: str, rules: Rules) -> None:
        self.formula = formula
        self.rules = rules
        self.text = formula.strip()
        self.offset = len(formula) - len(formula.lstrip())
        self.position = 0
        charge = _CHARGE.search(self.text)
        if charge and not rules.allow_charge:
            advice = " (see allow_charge)" if rules.has_options else " (leave it out)"
            raise self.fail(f"unexpected charge{advice}", charge.start())
        if charge:
            self.text = self.text[: charge.start()]
        if "I" in self.text or "V" in self.text:
            self.refuse_oxidation_states()
        water = _WATER.search(self.text)
        self.water_dot = water.start("dot") if water else -1  # its full stop
        self.first_seen: dict[str, int] = {}
        self.amounts: dict[str, float] = {}  # of the completed parts
        self.group: dict[str, float] = {}  # of the innermost open bracket
        self.outer: list[tuple[dict[str, float], str, int]] = []  # the brackets around it
        self.coefficient: float | None = None  # of this part

    def fail(self, reason: str, position: int) -> ValueError:
        return ValueError(
            f"Cannot read the formula {shown(self.formula)}: {reason} "
            f"at position {position + self.offset}."
        )

    def refuse_oxidation_states(self) -> None:
        for found in (*_STATES.finditer(self.text), *_BARE_STATE.finditer(self.text)):
            bracketed = found.groupdict().get("bracketed")
            before, states = found["before"], found["states"]
            metal = before in ATOMIC_NUMBERS and before not in _NONMETALS
            if metal or (bracketed and len(states) > 1):
                elements = [name for letter, name in _LETTERS.items() if letter in states]
                instead = re.sub("[^VI].*", "", states)  # the first of several
                instead = re.sub("II+", lambda run: f"I{len(run[0])}", instead)
                raise self.fail(
                    f"{bracketed or states} may be an oxidation state (leave it out) or "
                    f"{' and '.join(elements)} (write {instead})",
                    found.start("bracketed" if bracketed else "states"),
                )

    def read(self) -> dict[str, float]:
        if not self.text:
            raise ValueError(f"Cannot read the formula {shown(self.formula)}: it is empty.")
        while self.position < len(self.text):
            token = _TOKEN.match(self.text, self.position)
            if token and token.lastgroup == "symbol":
                self.read_atom(token)
            elif token and token.lastgroup == "open":
                self.outer.append((self.group, token.group(), self.position))
                self.group, self.position = {}, token.end()
            elif token and token.lastgroup == "close":
                self.close_bracket(token)
            elif token and not self.group and not self.outer and self.coefficient is None:
                self.read_coefficient()
            elif self.joins_parts():
                self.finish_part()
                self.position += 1
            else:
                raise self.fail(self.complaint(), self.position)
        self.finish_part()
        for symbol, amount in self.amounts.items():
            if not 0.0 < amount < MAX_AMOUNT:
                reason = f"amount of {symbol} out of range ({amount})"
                raise self.fail(reason, self.first_seen[symbol])
        return self.amounts

    def read_atom(self, token: re.Match[str]) -> None:
        symbol = token.group()
        if symbol == "D" and self.rules.deuterium_as_hydrogen:
            symbol = "H"
        if symbol not in ATOMIC_NUMBERS:
            raise self.fail(unknown(symbol, self.rules), self.position)
        self.first_seen.setdefault(symbol, self.position)
        self.position = token.end()
        self.group[symbol] = self.group.get(symbol, 0.0) + self.read_amount()

    def close_bracket(self, token: re.Match[str]) -> None:
        if not self.outer:
            raise self.fail(f"unmatched {token.group()!r}", self.position)
        inner, (self.group, opened, _) = self.group, self.outer.pop()
        if token.group() != _CLOSING[opened]:
            raise self.fail(f"{token.group()!r} closes {opened!r}", self.position)
        if not inner:
            raise self.fail("empty brackets", self.position)
        self.position = token.end()
        times = self.read_amount()
        for symbol, amount in inner.items():
            self.group[symbol] = self.group.get(symbol, 0.0) + times * amount

    def read_coefficient(self) -> None:
        if not self.amounts and not any(dot in self.text for dot in _DOTS + "."):
            raise self.fail("a formula cannot begin with a number", self.position)
        self.coefficient = self.read_amount(before=True)

    def read_amount(self, *, before: bool = False) -> float:
        """Read the amount after an atom or bracket, or the coefficient ``before`` a part.

        Without a number return 1.
        """
        start = self.position
        number = _TOKEN.match(self.text, start)
        if number is None or number.lastgroup != "number":
            return 1.0
        stop = number.end()
        if not before and start < self.water_dot < stop:
            stop = self.water_dot
        elif not before and _MAYBE_WATER.match(self.text, start):
            raise self.fail("ambiguous '.' (write '·' before water, or use brackets)", start)
        value = float(self.text[start:stop])
        if not 0.0 < value < MAX_AMOUNT:
            reason = "zero amount" if value == 0.0 else "amount too large"
            raise self.fail(f"{reason} {shown(self.text[start:stop])}", start)
        self.position = stop
        return value

    def joins_parts(self) -> bool:
        if self.text[self.position] == ".":
            return self.position == self.water_dot or _opens_part(self.text, self.position + 1)
        return self.text[self.position] in _DOTS

    def finish_part(self) -> None:
        if self.outer:
            _, opened, position = self.outer[-1]
            raise self.fail(f"unclosed {opened!r}", position)
        if not self.group:
            raise self.fail("expected an element", self.position)
        times = 1.0 if self.coefficient is None else self.coefficient
        for symbol, amount in self.group.items():
            self.amounts[symbol] = self.amounts.get(symbol, 0.0) + times * amount
        self.group, self.coefficient = {}, None

    def complaint(self) -> str:
        """Say why the reader stops at this position."""
        text, position = self.text, self.position
        character = text[position]
        if character in "-+":
            what = "negative amount" if character == "-" else "unexpected '+'"
            if self.rules.has_options:
                return f"{what} (write a charge as ^2{character}, and see allow_charge)"
            return f"{what} (leave out charges)"
        if character == "." and text[position + 1 : position + 2].isdigit():
            return "ambiguous '.' (write 0.5 for an amount, '·' between parts)"
        if not character.isascii() and (character.isdigit() or character.isnumeric()):
            return f"{character!r} is not a plain digit 0-9"
        if character.isspace():
            return "unexpected white space"
        if character.isascii() and character.islower():
            return f"an element symbol cannot begin with {character!r}"
        return f"unexpected {character!r}"


def _opens_part(text: str, position: int) -> bool:
    return text[position : position + 1].isalpha() or text[position : position + 1] in _CLOSING


def unknown(symbol: str, rules: Rules) -> str:
    """Format the reason why a symbol is not an element."""
    isotope = ISOTOPES.get(symbol)
    if isotope is None:
        return f"unknown element {shown(symbol)}"
    see = "; see deuterium_as_hydrogen" if symbol == "D" and rules.has_options else ""
    return f"unknown element {symbol!r} ({isotope}{see})"
