"""Decode a page's bytes by its byte order mark, its Content-Type header, or its markup."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
DECLARED = re.compile(
    rb"<(?:meta|\?xml)\s[^>]{0,200}?(?:charset|encoding)\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE
)
DECLARED_WITHIN = 4096  # bytes
# The codecs that browsers use for these names (https://encoding.spec.whatwg.org/#names-and-labels).
# Python's other codecs are not used by pages, and some are very slow.
CHARSETS = {
    "ascii": "cp1252", "iso8859-1": "cp1252", "iso8859-9": "cp1254", "iso8859-11": "cp874",
    "tis-620": "cp874", "shift_jis": "cp932", "euc_kr": "cp949", "gb2312": "gb18030",
    "gbk": "gb18030", "big5": "big5hkscs",
} | {
    name: name
    for name in (
        "utf-8", "utf-16", "utf-16-le", "utf-16-be", "cp866", "cp874", "cp932", "cp949",
        "euc_jp", "iso2022_jp", "gb18030", "big5hkscs", "koi8-r", "koi8-u", "mac-roman",
        *(f"cp{number}" for number in range(1250, 1259)),
        *(f"iso8859-{number}" for number in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)),
    )
}  # fmt: skip


def decoded(content: bytes, charset: str | None) -> str:
    """Return the text of a page. `charset` is the one of its header. Never raise."""
    return _decoded(content, charset).replace("\x00", "")


def _decoded(content: bytes, charset: str | None) -> str:
    """Decode by the first rule that fits: byte order mark, declared charset, UTF-8, best guess."""
    for mark, encoding in BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    # Servers often declare a wrong charset, so the first one that decodes all bytes wins.
    named = list(dict.fromkeys(_named(content, charset)))
    for encoding in (*named, "utf-8"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    text = content.decode(named[0] if named else "utf-8", "replace")
    beyond_ascii = len(text) - len(text.encode("ascii", "ignore"))
    # If only a few characters are broken, the charset is right.
    return text if 2 * text.count("\ufffd") < beyond_ascii else content.decode("cp1252", "replace")


def _named(content: bytes, charset: str | None) -> Iterator[str]:
    """Yield the codecs that the header and the markup declare, as far as they are known."""
    found = DECLARED.search(content[:DECLARED_WITHIN])
    for label in (charset, found and found.group(1).decode("ascii", "replace")):
        try:
            name = codecs.lookup((label or "").strip()).name
        except (LookupError, ValueError):
            continue
        if known := CHARSETS.get(name):
            yield known
