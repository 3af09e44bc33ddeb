"""Write simple formulas as plain text: `H$_2$O` becomes H₂O, `$\\alpha$` becomes α."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, NamedTuple
from unicodedata import combining

SUPERSCRIPTS = dict(
    zip(
        "0123456789+-−=()abcdefghijklmnoprstuvwxyzABDEGHIJKLMNOPRTUVWαβγδεθικφχ*′",
        "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵀᵁⱽᵂᵅᵝᵞᵟᵋᶿᶥᶲᵠᵡ*′",
        strict=True,
    )
)
SUBSCRIPTS = dict(
    zip(
        "0123456789+-−=()aehijklmnoprstuvxβγρφχ",
        "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓᵦᵧᵨᵩᵪ",
        strict=True,
    )
)
SCRIPTS = {"^": SUPERSCRIPTS, "_": SUBSCRIPTS}
TOKEN = re.compile(r"\\([A-Za-z]+)|\\(.)|([{}^_~])|([^\\{}^_~]+)", re.DOTALL)
# Macros that only change the look of their argument.
STYLING = set(
    (  # noqa: SIM905 - one a line would be a page of them
        "mathrm mathbf mathit mathsf mathtt mathcal mathbb mathfrak mathscr boldmath boldsymbol "
        "textrm textbf textit textsf text mbox hbox rm bf it sf tt cal bm left right displaystyle "
        "textstyle mit operatorname upalpha nolimits limits em emph mathnormal textnormal"
    ).split()
)
SPACES = {",": " ", ";": " ", ":": " ", "!": "", " ": " ", "quad": " ", "qquad": " "}
NAMES = {"deg": "°", "degree": "°", "circ": "°", "prime": "′", "celsius": "°C", "micro": "µ"}
MAX_DEPTH = 20


class _NoText(Exception):
    """The formula cannot be written as plain text."""


def readable(formula: str) -> str:
    """Return a formula (without its dollar signs) as plain text, or "" if that is impossible."""
    try:
        text, _ = _group_text([Token(*found) for found in TOKEN.findall(formula)], 0, 0)
    except _NoText:
        return ""
    return " ".join(text.split()) if text.strip() else ""


class Token(NamedTuple):
    """The groups of TOKEN: exactly one of them is not empty."""

    macro: str
    escaped: str
    sign: str
    letters: str


def _group_text(tokens: list[Token], at: int, depth: int) -> tuple[str, int]:
    """Return the text of a group, and the position after its closing brace."""
    if depth > MAX_DEPTH:
        raise _NoText
    found: list[str] = []
    while at < len(tokens) and tokens[at].sign != "}":
        sign = tokens[at].sign
        if sign in SCRIPTS:
            text, at = _token_text(tokens, at + 1, depth)
            found.append(_script(sign, text))
        else:
            text, at = _token_text(tokens, at, depth)
            found.append(text)
    if (at < len(tokens)) != (depth > 0):
        raise _NoText  # unmatched braces
    return "".join(found), at + 1


def _token_text(tokens: list[Token], at: int, depth: int) -> tuple[str, int]:
    """Return the text of one token or group, and the position after it.

    After `^` or `_`, only the first letter of a text belongs to it; the rest stays in `tokens`.
    """
    if at >= len(tokens):
        raise _NoText
    macro, escaped, sign, letters = tokens[at]
    if sign == "{":
        return _group_text(tokens, at + 1, depth + 1)
    if letters:
        is_script = at > 0 and tokens[at - 1].sign in SCRIPTS
        if is_script and len(letters) > 1:
            tokens[at] = Token("", "", "", letters[1:])
            return letters[0], at
        return letters, at + 1
    if sign:
        if sign != "~":
            raise _NoText
        return " ", at + 1
    if macro in STYLING:
        return "", at + 1
    return SPACES.get(macro or escaped, "") or _sign_of(macro, escaped), at + 1


def _script(sign: str, text: str) -> str:
    """Return a text in superscript or subscript; raise _NoText if a letter has no such form."""
    if text == "°":  # `^\circ`
        return text
    letters = SCRIPTS[sign]
    if not all(letter in letters for letter in text.strip()):
        raise _NoText
    return "".join(letters[letter] for letter in text.strip())


def _sign_of(macro: str, escaped: str) -> str:
    """Return the sign that a macro or an escaped character stands for; raise _NoText."""
    if escaped:
        if escaped == "!":
            return ""
        if not re.fullmatch(r"[%&#$_{}]", escaped):
            raise _NoText
        return escaped
    if macro in NAMES:
        return NAMES[macro]
    try:
        text = str(_macros().latex_to_text(f"\\{macro}")).strip()
    except Exception as error:  # the decoder fails for macros that need arguments
        raise _NoText from error
    # A combining accent would belong to the next letter, and a word is no sign.
    is_letters = len(text) == 1 or (text.isalpha() and text == macro)
    if combining(text[:1] or " ") or not is_letters:
        raise _NoText
    return text


@cache
def _macros() -> Any:
    from pylatexenc.latex2text import LatexNodes2Text

    return LatexNodes2Text(math_mode="text")
