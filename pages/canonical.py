"""Map every spelling of a page's address to one canonical URL: the identity of the page.

Addresses are parsed by the WHATWG URL standard (https://url.spec.whatwg.org/). Further rules:

- Only http and https are accepted; the canonical URL has https.
- A user name or password is refused.
- The host's final dot is dropped. `www.` is not: the host without it may be a different site.
- A known mobile host becomes the desktop host with the same pages (`pages/works.py`).
- All addresses of one work on arXiv, DOI, PubMed, PMC or YouTube become one (`pages/works.py`).
- `index.html` and `index.htm` become their folder; an AMP cache copy becomes the original page.
- Percent-encoding is normalized by RFC 3986, section 6.2.2.
- Query parameters that only track the reader are dropped. The others are sorted by name;
parameters of the same name keep their order, which can matter.
- The fragment is dropped, unless it is a route (`#/…`, `#!/…`), which names another page.

After a rule changes, `manage.py recompute_pages` moves existing cards to their new pages.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_plus

import ada_url

from outside.addresses import NOT_AN_ADDRESS, problem_of_host
from pages import works

MAX_LENGTH = 2048
SCHEMES = ("http:", "https:")

# Tracking parameters: they show a site where its reader came from, and don't change the page.
TRACKING = frozenset(
    (  # noqa: SIM905 - one a line would be a page of them
        "gclid gclsrc dclid gbraid wbraid gad_source gad_campaignid srsltid _ga _gl "
        "fbclid igshid igsh msclkid yclid ysclid _openstat twclid ttclid epik li_fat_id "
        "mc_cid mc_eid ml_subscriber ml_subscriber_hash mkt_tok vero_id vero_conv "
        "_hsenc _hsmi __hssc __hstc __hsfp hsctatracking oly_anon_id oly_enc_id "
        "wickedid rb_clickid wprov mibextid ref_src ref_url spm trk guccounter guce_referrer "
        "guce_referrer_sig __twitter_impression smid cmpid wt_mc xtor rdt_cid _branch_match_id "
        "_branch_referrer hss_channel s_cid"
    ).split()
)
TRACKING_PREFIXES = ("utm_", "mtm_", "matomo_", "hsa_", "pk_campaign", "pk_kwd")
# These parameters mostly name the referrer, but may select content: a number, a branch on a code
# host, or anything in a script. Elsewhere, values that look like a referrer's name are dropped.
REFERRING = {"ref", "ref_", "via", "referrer"}
REFERRER = re.compile(r"(?:https?%3A|@)?[A-Za-z][\w.%-]{0,200}", re.IGNORECASE)
CODE_HOST = re.compile(r"(?:^|\.)(?:git\w{0,20}|codeberg|bitbucket|sourcehut|sr)\.")
SCRIPT = re.compile(r"\.(?:php\d?|aspx?|cgi|jsp|pl|do|exe|dll)$|/cgi-bin/", re.IGNORECASE)
# Parameters that only ask for the AMP (mobile) version of a page.
AMP = {"amp", "amp=", "amp=1", "amp=true", "outputType=amp"}
AMP_CACHE = re.compile(
    r"(?:www\.google\.com/amp/|[a-z0-9-]{1,63}\.cdn\.ampproject\.org/(?:[acv]/)?)"
    r"(?:s/)?((?:[a-z0-9-]{1,63}\.){1,9}[a-z]{2,63}(?:/.*)?)",
    re.IGNORECASE | re.DOTALL,
)
INDEX = re.compile(r"/index\.html?$")
BARE_DOI = re.compile(r"(?:info:)?doi[:/]\s?(10\.[0-9.]{4,30}/\S{1,1000})", re.IGNORECASE)

UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
ENCODED = re.compile(r"%([0-9A-Fa-f]{2})")
STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
# Characters that RFC 3986 requires to be percent-encoded in a path, query or fragment.
NOT_ALLOWED = re.compile(r"[^A-Za-z0-9\-._~!$&'()*+,;=:@/?%]")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
TEXT_DIRECTIVE = ":~:"


class InvalidUrl(ValueError):
    """The text is not a valid address of a web page; the message says why."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page's canonical URL, and its host."""

    canonical: str
    host: str


def canonical_url(url: str) -> str:
    """Return the canonical URL of the page at an address; raise InvalidUrl."""
    return page_at(url).canonical


def page_at(url: str) -> Page:
    """Return the canonical URL and host of the page at an address; raise InvalidUrl."""
    if bare := BARE_DOI.fullmatch(url.strip()):
        url = works.doi_address(bare.group(1))
    parsed = _parsed(url)
    if parsed.protocol not in SCHEMES:
        raise InvalidUrl("Only http and https addresses can be saved.")
    if parsed.username or parsed.password:
        raise InvalidUrl("The address contains a user name or password; remove it.")
    if copied := _copied_by_amp(parsed):
        return page_at(copied)
    # Parse again as https and without the final dot: both can change the port or the host.
    host = parsed.host.replace(parsed.hostname, parsed.hostname.removesuffix("."), 1)
    origin = _parsed(f"https://{host}/")
    if problem := problem_of_host(origin.hostname):
        raise InvalidUrl(problem)
    if not origin.port:
        if work := works.work_at(origin.hostname, parsed.pathname, parsed.search):
            parsed = origin = _parsed(work)
        elif (desktop := works.desktop_host(origin.hostname)) != origin.hostname:
            origin = _parsed(f"https://{desktop}/")
    return _page_of(origin, parsed)


def _copied_by_amp(parsed: ada_url.URL) -> str:
    """Return the original page's address for an AMP cache address, else an empty string."""
    if not parsed.hostname.endswith((".cdn.ampproject.org", "www.google.com")):
        return ""
    found = AMP_CACHE.fullmatch(f"{parsed.hostname}{parsed.pathname}{parsed.search}")
    return f"https://{found.group(1)}" if found else ""


def _page_of(origin: ada_url.URL, parsed: ada_url.URL) -> Page:
    """Return the page at `parsed`, normalized, with the host and port of `origin` instead."""
    path = INDEX.sub("/", _normalized(parsed.pathname))
    is_script = bool(SCRIPT.search(path) or CODE_HOST.search(origin.hostname))
    query = _query(parsed.search, keeps_referrers=is_script)
    identity = f"https://{origin.host}{path}{query}{_route(parsed.hash)}"
    if len(identity) > MAX_LENGTH:
        raise InvalidUrl(f"The address is longer than {MAX_LENGTH} characters.")
    return Page(identity, origin.hostname)


def _parsed(url: str) -> ada_url.URL:
    """Parse an address; raise InvalidUrl with a message for the user."""
    if len(url) > 2 * MAX_LENGTH:
        raise InvalidUrl(f"The address is longer than {MAX_LENGTH} characters.")
    if CONTROL.search(url):
        raise InvalidUrl("The address contains control characters.")
    try:
        return ada_url.URL(url)
    except ValueError:
        raise InvalidUrl(NOT_AN_ADDRESS) from None


def _query(search: str, *, keeps_referrers: bool) -> str:
    """Return the query with its question mark, or "": normalized, sorted, without tracking.

    `keeps_referrers`: the parameters in REFERRING select content here, so they stay.
    """
    kept = []
    for part in map(_normalized, filter(None, search[1:].split("&"))):
        name, _, value = part.partition("=")
        refers = not keeps_referrers and name.lower() in REFERRING and REFERRER.fullmatch(value)
        if not (refers or part in AMP or _tracks(name)):
            kept.append((name, part))
    kept.sort(key=lambda named: named[0])
    return "?" + "&".join(part for _, part in kept) if kept else ""


def _tracks(name: str) -> bool:
    """Return whether a query parameter only tracks the reader."""
    plain = unquote_plus(name).lower()
    return plain in TRACKING or plain.startswith(TRACKING_PREFIXES)


def _route(fragment: str) -> str:
    """Return the fragment with its `#` if it is a route, else an empty string."""
    route = fragment.partition(TEXT_DIRECTIVE)[0]
    is_route = route.startswith(("#!", "#/")) and len(route) > 2
    return "#" + _normalized(route[1:]) if is_route else ""


def _normalized(text: str) -> str:
    """Return text with only the necessary percent-encoding, in upper case (RFC 3986, 6.2.2)."""
    # Encode stray percent signs first: decoding the next characters could turn one into an escape.
    text = STRAY_PERCENT.sub("%25", text)
    text = NOT_ALLOWED.sub(_percent_encoded, text)
    return ENCODED.sub(_decoded_if_unreserved, text)


def _percent_encoded(match: re.Match[str]) -> str:
    return "".join(f"%{octet:02X}" for octet in match.group().encode())


def _decoded_if_unreserved(match: re.Match[str]) -> str:
    character = chr(int(match.group(1), 16))
    return character if character in UNRESERVED else match.group().upper()
