"""What a text that is not a formula may be: a name, an identifier, an alloy in weight percent."""

from __future__ import annotations

import re
from collections.abc import Callable

from sklearn_elmodes.elements import ATOMIC_NUMBERS

_LONGEST = 200  # characters; explanations of longer texts would not fit a message

_IDENTIFIER = re.compile(r"(?i:mp|mvc|oqmd|icsd|cod|jvasp|agm|aflow)[-_: ]?[0-9]+")
_CAS_NUMBER = re.compile(r"[0-9]{2,7}-[0-9]{2}-[0-9]")
_NAME = re.compile(r"[A-Za-z][a-z]{4,}|iron|zinc|gold|lead|salt|lime|rust|urea")
_DECIMAL_COMMA = re.compile(r"(?P<whole>[0-9]+),(?P<decimals>[0-9]+)")
_SHARED_SITE = re.compile(r"[(\[{](?P<first>[A-Z][a-z]?)[0-9.]*, *(?P<second>[A-Z][a-z]?)")
_ALLOY = re.compile(
    r"(?:[0-9.]+ ?(?:wt|at|mol)?\.? ?%? ?)?[A-Z][a-z]?"
    r"(?: ?[-–] ?(?:[0-9.]+ ?(?:wt|at|mol)?\.? ?%? ?)[A-Z][a-z]?)+"
)
_SYSTEM = re.compile(r"[A-Z][A-Za-z0-9.()\[\]]*(?: ?[-–/] ?[A-Z][A-Za-z0-9.()\[\]]*)+")
_CHARGE = re.compile(r"[(\[{](?:[0-9]*[+-]|[+-][0-9]+)[)\]}]|[⁰¹²³⁴-⁹]*[⁺⁻]|<sup>|\^\{")
_PERCENT_MIXTURE = re.compile(
    r"[0-9.]+ ?%? ?[A-Z(\[{][^-–+]*(?: ?[-–+] ?[0-9.]+ ?%? ?[A-Z(\[{][^-–+]*)+"
)
_VARIABLE = re.compile(r"(?P<before>[A-Z]?[a-z]?)[-+±–−₋]? ?(?P<name>[xyzuwnδₓ]|\\delta)(?![a-z])")
_MISSING_DOT = re.compile(r"[₀-₉](?P<next>[0-9½¼])")
_LABEL = re.compile(r"[A-Z].*?[-_ (\[]+(?P<label>[a-z]{3,}(?:[ -][a-z]+)*)[)\]]?")


def explain(text: str) -> str | None:
    """Explain why a text is not a formula, or return None.

    Call it only for a text that the strict reader refuses.
    """
    if len(text) > _LONGEST:
        return None
    for find in _FINDERS:
        explanation = find(text)
        if explanation is not None:
            return explanation
    return None


def _identifier(text: str) -> str | None:
    if _IDENTIFIER.fullmatch(text.strip()):
        return "it looks like the identifier of a database entry; look up its formula"
    if _CAS_NUMBER.fullmatch(text.strip()):
        return "it looks like a CAS number; look up its formula"
    return None


def _name(text: str) -> str | None:
    words = re.split(r"[ -]+", re.sub(r"\([IV]+\)", "", text).strip())
    if all(word.isascii() and word.isalpha() for word in words) and any(
        map(_NAME.fullmatch, words)
    ):
        return "it looks like the name of a compound; write its formula, such as NaCl"
    return None


def _decimal_comma(text: str) -> str | None:
    found = _DECIMAL_COMMA.search(text)
    if found is None:
        return None
    number = f"{found['whole']}.{found['decimals']}"
    return f"decimal comma (write {number:.20}) at position {found.start()}"


def _shared_site(text: str) -> str | None:
    found = _SHARED_SITE.search(text)
    if found is None or not {found["first"], found["second"]} <= ATOMIC_NUMBERS.keys():
        return None
    first, second = found["first"], found["second"]
    return (
        f"unknown amounts of {first} and {second} (write each, such as "
        f"({first}0.5{second}0.5)) at position {found.start()}"
    )


def _alloy(text: str) -> str | None:
    if _ALLOY.fullmatch(text.strip()):
        return (
            "it looks like an alloy in percent by weight; convert it to atomic amounts, such "
            "as Ti0.86Al0.1V0.04"
        )
    if _SYSTEM.fullmatch(text.strip()):
        return "its parts have no amounts (write a formula, such as Fe0.5Ni0.5)"
    return None


def _mixture(text: str) -> str | None:
    if _PERCENT_MIXTURE.fullmatch(text.strip()):
        return (
            "it looks like a mixture whose amounts are not mole fractions of compounds; write it "
            "as a formula, such as (SiO2)0.7(Na2O)0.3"
        )
    return None


def _variable(text: str) -> str | None:
    for found in _VARIABLE.finditer(text):
        name, before = found["name"], found["before"]
        if before + name in ATOMIC_NUMBERS:
            continue
        if before == "" or before in ATOMIC_NUMBERS:
            return f"{name!r} is a variable (write its value) at position {found.start('name')}"
    return None


def _charge(text: str) -> str | None:
    found = _CHARGE.search(text)
    return (
        None if found is None else f"unexpected charge (leave it out) at position {found.start()}"
    )


def _missing_dot(text: str) -> str | None:
    found = _MISSING_DOT.search(text)
    if found is None:
        return None
    return f"a '·' may be missing between two numbers at position {found.start('next')}"


def _label(text: str) -> str | None:
    found = _LABEL.fullmatch(text.strip())
    return None if found is None else f"unknown label {found['label']!r} (leave it out)"


_FINDERS: tuple[Callable[[str], str | None], ...] = (
    _identifier,
    _name,
    _decimal_comma,
    _shared_site,
    _alloy,
    _mixture,
    _variable,
    _charge,
    _missing_dot,
    _label,
)
