"""Rewriting of formulas as people type, paste and print them into plain formulas.

Each step rewrites one kind of notation, and leaves a text that it does not recognise as it is;
the strict reader then refuses it.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable
from decimal import Decimal

HEAVY_HYDROGEN = "heavy hydrogen as hydrogen"

_LONGEST = 200  # characters; a longer text is not cleaned

_CUT = "\0"  # where something was removed; two numbers must not meet there
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00ad"), _CUT)
_ALIKE = {
    **dict.fromkeys(map(ord, "\u00a0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"), " "),
    **dict.fromkeys(map(ord, "\u202f\u3000\t"), " "),
    **dict.fromkeys(map(ord, "‐‑‒–—−"), "-"),
    **dict.fromkeys(map(ord, "∙・‧●×"), "·"),
    ord("⁄"): "/",
    **{code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)},  # full-width forms
}
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_DIGITS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_VULGAR = "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"

_GREEK = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu sigma omega".split()
_LETTERS = dict(zip(_GREEK, "αβγδεζηθικλμσω", strict=True))
_NAMES = r"""
amorphous anatase andalusite aragonite baddeleyite bcc brookite calcite coesite corundum
cristobalite crystal crystalline cubic dhcp diamond fcc fluorite gas gaseous glass graphite halite
hcp hematite hexagonal kyanite liquid maghemite magnetite marcasite monoclinic orthorhombic
periclase perovskite pyrite quartz rhombohedral rock[-\x20]?salt rutile sillimanite solid
sphalerite spinel stishovite tetragonal triclinic tridymite trigonal vapou?r vaterite wurtzite
wustite zinc[-\x20]?blende zircon
"""
_NAME = f"(?:{'|'.join(sorted([*_GREEK, *_NAMES.split()], key=len, reverse=True))}|[α-γε-ω])"
_LABEL = rf"{_NAME}(?:[ ,_-]+{_NAME})*"
_BEFORE = re.compile(
    rf"(?:[α-ω][′']?-|(?:wz|zb|rs|[achmortw]|2H|3C|3R|4H|6H|15R|1T)-|{_LABEL}[ -]+)(?=[A-Z(\[{{])"
)
_IN_BRACKETS = re.compile(rf" ?(?:\((?:s|l|g|aq|c|cr|am|{_LABEL})\)|\[{_LABEL}\])\Z")
_AFTER = re.compile(rf"(?<=[A-Za-z0-9)\]}}])(?: ?[-_,] ?| ){_LABEL}\Z")

_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_SCIENTIFIC = re.compile(rf"(?<![0-9.])({_NUMBER}[eE][+-]?[0-9]{{1,2}})(?![0-9.])")
_FRACTION = re.compile(
    rf"(?<![0-9./])(?:(?P<whole>[0-9]*)(?P<vulgar>[{_VULGAR}])"
    r"|(?P<above>[1-9])/(?P<below>[1-9][0-9]?))(?![0-9./])"
)
_PART = re.compile(rf"(?P<share>{_NUMBER}) ?[*·]? ?(?P<formula>[A-Z(\[{{][^-+ ]*)")
_NUMERIC = rf"[0-9.₀-₉{_VULGAR}]"
_ATOM = re.compile(rf"(?:[A-Z][a-z]?|\([^() ]*\))(?:{_NUMBER})?")


def tidy(text: str) -> tuple[str, tuple[str, ...]]:
    """Rewrite a formula, and name what was changed.

    The result need not be a formula: pass it to the strict reader.
    """
    changes = []
    text = text.strip()
    if len(text) <= _LONGEST and _CUT not in text:
        for name, step in _STEPS:
            rewritten = step(text)
            if re.search(rf"{_NUMERIC}{_CUT}+{_NUMERIC}", rewritten):
                break  # "CuSO4" and "5H2O" in markup of their own
            rewritten = rewritten.replace(_CUT, "")
            if rewritten != text:
                changes.append(name)
                text = rewritten
    return text.strip(), tuple(changes)


def _without_invisible(text: str) -> str:
    return text.translate(_INVISIBLE)


def _from_html(text: str) -> str:
    text = html.unescape(text) if "&" in text else text
    text = re.sub(r"</?(?:i|em|b|strong)>", _CUT, text)
    return re.sub(r"<sub>([^<>]*)</sub>", lambda sub: sub[1].translate(_SUBSCRIPTS), text)


def _from_latex(text: str) -> str:
    if not re.search(r"[$\\_]", text) or text.count("$") % 2:
        return text
    text = text.replace("$", _CUT)
    text = re.sub(r"\\(?:cdot|times|bullet)(?![a-z]) *", "·", text)
    text = re.sub(rf"\\({'|'.join(_GREEK)})(?![a-z])", lambda name: _LETTERS[name[1]], text)
    text = re.sub(r"\\[,;:! ]", _CUT, text)
    before, unwrapped = "", rf"{_CUT}\1{_CUT}"
    while text != before:
        before = text
        text = re.sub(
            r"(?:_|\\textsubscript ?)\{([^{}]*)\}", lambda sub: sub[1].translate(_SUBSCRIPTS), text
        )
        text = re.sub(
            r"\\(?:mathrm|mathsf|mathit|textrm|text|rm|ce) ?\{([^{}]*)\}", unwrapped, text
        )
        text = re.sub(r"\{\\rm +([^{}]*)\}", unwrapped, text)
    # "_12" prints as a subscript 1 and a 2, and may mean 12.
    return re.sub(r"_(0\.[0-9]+|[0-9])(?![0-9.])", lambda sub: sub[1].translate(_SUBSCRIPTS), text)


def _with_plain_characters(text: str) -> str:
    return text.translate(_ALIKE)


def _without_subscripts(text: str) -> str:
    # In "CuSO₄5H₂O" the 5 is another number, and after "Fe₂.5O₄" nothing is certain.
    if re.search(rf"[0-9{_VULGAR}][₀-₉]|[₀-₉][0-9{_VULGAR}]", text):
        return text
    if re.search(r"(?<![A-Za-z)\]}₀-₉./])[₀-₉]", text):  # not after an atom
        return text
    text = re.sub(rf"(?<=[₀-₉])\.(?={_NUMBER}[HD]₂O\Z)", "·", text)
    return text if re.search(r"[₀-₉]\.[0-9]", text) else text.translate(_DIGITS)


def _without_phase(text: str) -> str:
    before = ""
    while text != before:
        before = text
        start = _BEFORE.match(text)
        text = _AFTER.sub("", _IN_BRACKETS.sub("", text[start.end() if start else 0 :]))
    return text


def _without_exponents(text: str) -> str:
    return _SCIENTIFIC.sub(lambda number: f"{Decimal(number[1]):f}", text)


def _without_fractions(text: str) -> str:
    def decimal(found: re.Match[str]) -> str:
        before, after = text[: found.start()], text[found.end() :]
        amount = bool(re.search(r"[A-Za-z)\]}]\Z", before))  # not a coefficient
        # "SO4½(H2O)" and "SO½H2O" may have half a water.
        if amount and (found["whole"] or re.fullmatch(r"[(\[]?[HD]2O[)\]]?", after)):
            return found[0]
        if found["vulgar"]:
            return repr(float(found["whole"] or 0) + unicodedata.numeric(found["vulgar"]))
        return repr(int(found["above"]) / int(found["below"]))

    return _FRACTION.sub(decimal, text)


def _without_mixture(text: str) -> str:
    """Rewrite a mixture of compounds whose mole fractions sum to one, 0.9PbTiO3-0.1BiFeO3."""
    parts = [_PART.fullmatch(part.strip()) for part in re.split("[-+]", text)]
    found = [part for part in parts if part is not None]
    if len(found) < max(len(parts), 2):
        return text
    total = sum(float(part["share"]) for part in found)
    # Shares of elements may be shares of the weight.
    compounds = all(sum(map(str.isupper, part["formula"])) > 1 for part in found)
    if abs(total - 1) > 0.0101 or not compounds:
        return text
    return "".join(f"({part['formula']}){part['share']}" for part in found)


def _without_blanks(text: str) -> str:
    text = re.sub(r" *([·*⋅•]) *", r"\1", text.strip())
    text = re.sub(rf"(?<=[·*⋅•])({_NUMBER}) +(?=[A-Z(\[{{])", r"\1", text)
    atoms = text.split()
    return "".join(atoms) if all(map(_ATOM.fullmatch, atoms)) else text


def _without_isotopes(text: str) -> str:
    return re.sub("[DT](?![a-z])", "H", text)


_STEPS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("invisible characters", _without_invisible),
    ("HTML", _from_html),
    ("LaTeX", _from_latex),
    ("Unicode characters", _with_plain_characters),
    ("subscript digits", _without_subscripts),
    ("phase label", _without_phase),
    ("scientific notation", _without_exponents),
    ("fractions", _without_fractions),
    ("mixture", _without_mixture),
    ("blanks", _without_blanks),
    (HEAVY_HYDROGEN, _without_isotopes),
)
