"""The identity of a page: one canonical URL for all the spellings of its address.

Parsing is the WHATWG URL standard's (https://url.spec.whatwg.org/). What goes beyond it here:

- only http and https, which are one: the canonical URL has https;
- no user name or password;
- a host without its final dot; `www.` stays, for the two may be different sites;
- percent-encoding as in RFC 3986, section 6.2.2;
- query parameters that only track the reader are dropped, the others sorted by name: the order of
  parameters of one name stays, for there it can mean something;
- the fragment is dropped, unless it is a hash-bang route (`#!/…`), which names another page.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_plus

import ada_url

MAX_LENGTH = 2048
MAX_HOST_LENGTH = 253
SCHEMES = ("http:", "https:")

# Parameters that tell a site where its reader comes from; the page is the same without them.
TRACKING = frozenset(
    (  # noqa: SIM905 - one a line would be a page of them
        "gclid gclsrc dclid gbraid wbraid gad_source gad_campaignid srsltid _ga _gl "
        "fbclid igshid igsh msclkid yclid ysclid _openstat twclid ttclid epik li_fat_id "
        "mc_cid mc_eid ml_subscriber ml_subscriber_hash mkt_tok vero_id vero_conv "
        "_hsenc _hsmi __hssc __hstc __hsfp hsctatracking oly_anon_id oly_enc_id "
        "wickedid rb_clickid"
    ).split()
)
TRACKING_PREFIXES = ("utm_", "mtm_", "pk_campaign", "pk_kwd")

UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
ENCODED = re.compile(r"%([0-9A-Fa-f]{2})")
STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
# What RFC 3986 doesn't allow to stand for itself in a path, a query or a fragment.
NOT_ALLOWED = re.compile(r"[^A-Za-z0-9\-._~!$&'()*+,;=:@/?%]")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
TEXT_DIRECTIVE = ":~:"


class InvalidUrl(ValueError):
    """The text is not the address of a page on the web; the message says why."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page's canonical URL, and its host."""

    canonical: str
    host: str


def canonical(url: str) -> str:
    """This answers the canonical URL of a page; raises InvalidUrl."""
    return page(url).canonical


def page(url: str) -> Page:
    """This answers the identity of the page at an address; raises InvalidUrl."""
    parsed = _parsed(url)
    if parsed.protocol not in SCHEMES:
        raise InvalidUrl("Only http and https addresses can be saved.")
    if parsed.username or parsed.password:
        raise InvalidUrl("The address contains a user name or password; take it out.")
    # Again as https, and without the final dot: either can change the port or the host.
    host = parsed.host.replace(parsed.hostname, parsed.hostname.rstrip("."), 1)
    origin = _parsed(f"https://{host}/")
    if len(origin.hostname) > MAX_HOST_LENGTH:
        raise InvalidUrl("The address has a host name that is too long.")
    path = _normal(parsed.pathname)
    identity = origin.href[:-1] + path + _query(parsed.search) + _route(parsed.hash)
    if len(identity) > MAX_LENGTH:
        raise InvalidUrl(f"The address is longer than {MAX_LENGTH} characters.")
    return Page(identity, origin.hostname)


def _parsed(url: str) -> ada_url.URL:
    if len(url) > 2 * MAX_LENGTH:
        raise InvalidUrl(f"The address is longer than {MAX_LENGTH} characters.")
    if CONTROL.search(url):
        raise InvalidUrl("The address contains control characters.")
    try:
        return ada_url.URL(url)
    except ValueError:
        raise InvalidUrl(
            "This is not an address on the web; it should look like https://example.org/page."
        ) from None


def _query(search: str) -> str:
    """This answers the query with its question mark, or nothing."""
    parts = [_normal(part) for part in search[1:].split("&") if part]
    kept = [(name, part) for part in parts if not _tracks(name := part.partition("=")[0])]
    kept.sort(key=lambda named: named[0])
    return "?" + "&".join(part for _, part in kept) if kept else ""


def _tracks(name: str) -> bool:
    plain = unquote_plus(name).lower()
    return plain in TRACKING or plain.startswith(TRACKING_PREFIXES)


def _route(fragment: str) -> str:
    """This answers a hash-bang route with its hash, or nothing."""
    route = fragment.partition(TEXT_DIRECTIVE)[0]
    return "#" + _normal(route[1:]) if route.startswith("#!") and len(route) > 2 else ""


def _normal(text: str) -> str:
    """This answers text with each octet percent-encoded only where it must be, in capitals."""
    # A percent sign that encodes nothing would begin to when what follows it is decoded.
    text = STRAY_PERCENT.sub("%25", text)
    text = NOT_ALLOWED.sub(_percent_encoded, text)
    return ENCODED.sub(_decoded_if_unreserved, text)


def _percent_encoded(match: re.Match[str]) -> str:
    return "".join(f"%{octet:02X}" for octet in match.group().encode())


def _decoded_if_unreserved(match: re.Match[str]) -> str:
    character = chr(int(match.group(1), 16))
    return character if character in UNRESERVED else match.group().upper()
