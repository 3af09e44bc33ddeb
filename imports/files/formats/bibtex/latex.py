"""Decode LaTeX into plain text, separately for prose (`decoded`) and addresses (`verbatim`)."""

from __future__ import annotations

import logging
import re
from functools import cache, lru_cache
from html import unescape
from typing import Any

from imports.files.formats.bibtex.formulas import readable
from imports.files.items import clean

MACRO = re.compile(r"[\\$]")
# Signs with a meaning of their own, which need no macro.
SIGNS = {"{": "", "}": "", "~": " ", "---": "—", "--": "–", "``": "“", "''": "”"}
SIGN = re.compile("|".join(re.escape(sign) for sign in SIGNS))
# Programs write these unescaped, although LaTeX would treat a percent sign as a comment.
BARE = re.compile(r"(?<!\\)([%&#])")
# Publishers leave HTML references in BibTeX. An ampersand that LaTeX should print is escaped.
ENTITY = re.compile(r"(?<!\\)&(?:#\d{1,7}|#x[0-9a-fA-F]{1,6}|amp|lt|gt|quot|apos|nbsp);")
SCRIPTED = re.compile(r"\\text(super|sub)script\s*\{([^{}$\\]{1,50})\}")
LINK = re.compile(r"\\(?:href\s*\{[^{}]{0,2000}\}\s*\{([^{}]{1,500})\}|url\s*\{([^{}]{1,2000})\})")
# A formula neither begins nor ends with a space, so "$5 and $6" is none.
FORMULA = re.compile(
    r"(?<!\\)\$(?![\s$])([^$]{0,499}?[^\s$\\])\$|\\\(([^$]{1,500}?)\\\)"
    r"|\\ensuremath\s*\{([^{}$]{1,500})\}"
)
OF_HTML = re.compile(r"&(?:amp|lt|gt);")
# In addresses: macros around the address, and macros that name a sign.
WRAPPED = re.compile(r"\\(?:url|path|nolinkurl|href|texttt|burl)\s*\{")
NAMED = {
    "textunderscore": "_", "textasciitilde": "~", "textasciicircum": "^", "textless": "<",
    "textgreater": ">", "textbackslash": "\\", "textendash": "–", "textbar": "|", "sim": "~",
    "lt": "<", "gt": ">", "slash": "/", "textquotesingle": "'", "textpercent": "%", "tilde": "~",
}  # fmt: skip
NAMED_SIGN = re.compile(rf"\\({'|'.join(NAMED)})(?![A-Za-z])(?:\{{\}}|\s+)?")
ESCAPED_SIGN = re.compile(r"\\([_%&#$~^/{}-])(?:\{\})?")
UNSEEN = re.compile("[\u00ad\u200b-\u200d\u2060]")
# The decoder outputs a modifier letter for a circumflex, and soft hyphens.
AS_TEXT = str.maketrans({"ˆ": "^", "\xa0": " ", "\xad": None})
# These libraries log the content of users' files.
for name in ("bibtexparser", "pylatexenc"):
    logging.getLogger(name).setLevel(logging.CRITICAL)


@lru_cache(maxsize=4096)
def decoded(text: str) -> str:
    """Return the text of LaTeX. Cached, because journals and publishers repeat."""
    text = ENTITY.sub(lambda entity: unescape(entity.group()), clean(text))
    if not MACRO.search(text):
        # Most texts have no macros, and the parser is slow.
        return SIGN.sub(lambda sign: SIGNS[sign.group()], text)
    text = LINK.sub(lambda link: link.group(1) or link.group(2), text)
    text = BARE.sub(r"\\\1", FORMULA.sub(_formula, SCRIPTED.sub(_script, text)))
    try:
        return clean(decoder().latex_to_text(text)).translate(AS_TEXT)
    except Exception:  # the parser fails, for example on deep nesting
        return re.sub(r"[{}]", "", text)


def _script(found: re.Match[str]) -> str:
    mark, text = found.groups()
    sign = "^" if mark == "super" else "_"
    return text if text.isalpha() else readable(f"{sign}{{{text}}}") or text


def _formula(found: re.Match[str]) -> str:
    body = next(group for group in found.groups() if group is not None)
    return readable(body) or (found.group() if found.group(1) else f"${body}$")


@cache
def decoder() -> Any:
    """Return the decoder, created once because that is slow."""
    from pylatexenc.latex2text import (
        LatexNodes2Text,
        MacroTextSpec,
        get_default_latex_context_db,
    )

    known = get_default_latex_context_db()
    braces = {"textbraceleft": "{", "textbraceright": "}"}
    specs = [MacroTextSpec(name, simplify_repl=sign) for name, sign in braces.items()]
    known.add_context_category("braces", macros=specs, prepend=True)
    known.set_unknown_macro_spec(MacroTextSpec("", simplify_repl=_logo))
    return LatexNodes2Text(latex_context=known, math_mode="verbatim", strict_latex_spaces=False)


def _logo(node: Any) -> str:
    """Return the text of an unknown macro: its name if it is a logo like \\TeX, else nothing."""
    name = str(node.macroname)
    return name if name != name.lower() else ""


def split_outside_braces(text: str, sign: str, *, quotes: bool = True) -> list[str]:
    """Split a text at a sign, except within braces (and within quotes, if `quotes`)."""
    parts, begin, depth, quoted = [], 0, 0, False
    for found in re.finditer(rf'\\.|[{{}}"{sign}]', text, re.DOTALL):
        match found.group():
            case "{":
                depth += 1
            case "}":
                depth -= 1
            case '"' if quotes and depth == 0:
                quoted = not quoted
            case letter if letter == sign and depth == 0 and not quoted:
                parts.append(text[begin : found.start()])
                begin = found.end()
    return [*parts, text[begin:]]


def verbatim(text: str) -> str:
    """Return an address or a DOI without the LaTeX around and inside it.

    Programs escape signs in addresses in many ways: `\\_`, `{\\_}`, `$\\sim$`, `{\\textless}`,
    `\\url{…}`.
    """
    text = UNSEEN.sub("", clean(text))
    if found := WRAPPED.search(text):
        text = _argument(text, found.end())
    text = NAMED_SIGN.sub(lambda named: NAMED[named.group(1)], text)
    text = ESCAPED_SIGN.sub(r"\1", text)
    text = OF_HTML.sub(lambda entity: unescape(entity.group()), re.sub(r"[{}]", "", text))
    return re.sub(r"\$(?=[~<>^]\$?)|(?<=[~<>^])\$", "", text).replace("\\", "").strip()


def _argument(text: str, begin: int) -> str:
    """Return the macro argument that begins here, up to its closing brace."""
    depth = 1
    for brace in re.finditer(r"(?<!\\)[{}]", text[begin:]):
        depth += 1 if brace.group() == "{" else -1
        if depth == 0:
            return text[begin : begin + brace.start()]
    return text[begin:]
