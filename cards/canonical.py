"""The identity of a page: one canonical URL for all the spellings of its address.

Parsing is the WHATWG URL standard's (https://url.spec.whatwg.org/). What goes beyond it here:

- only http and https, which are one: the canonical URL has https;
- no user name or password;
- a host without its final dot; `www.` stays, for the two may be different sites; of hosts for
  small screens, those that are known to have the same pages become the others (`cards/works.py`);
- the addresses of one work become one: arXiv's, DOIs, PubMed's, PMC's, YouTube's (there, too);
- `index.html` and `index.htm` are their folder; an AMP cache is the page that it has copied;
- percent-encoding as in RFC 3986, section 6.2.2;
- query parameters that only track the reader are dropped, the others sorted by name: the order of
  parameters of one name stays, for there it can mean something;
- the fragment is dropped, unless it is a route (`#/…`, `#!/…`), which names another page.

Who changes a rule gives existing cards their new pages by `manage.py recompute_pages`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_plus

import ada_url

from cards import works
from outside.addresses import problem_of_host

MAX_LENGTH = 2048
SCHEMES = ("http:", "https:")

# Parameters that tell a site where its reader comes from; the page is the same without them.
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
# These say who sends the reader, or else what is shown: a number, or a branch where code is kept.
REFERRING = {"ref", "ref_", "via", "referrer"}
REFERRER = re.compile(r"(?:https?%3A|@)?[A-Za-z][\w.%-]{0,200}", re.IGNORECASE)
CODE_HOST = re.compile(r"(?:^|\.)(?:git\w{0,20}|codeberg|bitbucket|sourcehut|sr)\.")
SCRIPT = re.compile(r"\.(?:php\d?|aspx?|cgi|jsp|pl|do|exe|dll)$|/cgi-bin/", re.IGNORECASE)
# A page for phones, with a parameter that says no more.
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
    """Return the canonical URL of a page; raise InvalidUrl."""
    return page(url).canonical


def page(url: str) -> Page:
    """Return the identity of the page at an address; raise InvalidUrl."""
    if bare := BARE_DOI.fullmatch(url.strip()):
        url = works.of_doi(bare.group(1))
    parsed = _parsed(url)
    if parsed.protocol not in SCHEMES:
        raise InvalidUrl("Only http and https addresses can be saved.")
    if parsed.username or parsed.password:
        raise InvalidUrl("The address contains a user name or password; take it out.")
    if copied := _copied_by_amp(parsed):
        return page(copied)
    # Again as https, and without the final dot: either can change the port or the host.
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
    """Return the address of the page that an AMP cache has copied, or nothing."""
    if not parsed.hostname.endswith((".cdn.ampproject.org", "www.google.com")):
        return ""
    found = AMP_CACHE.fullmatch(f"{parsed.hostname}{parsed.pathname}{parsed.search}")
    return f"https://{found.group(1)}" if found else ""


def _page_of(origin: ada_url.URL, parsed: ada_url.URL) -> Page:
    path = INDEX.sub("/", _normal(parsed.pathname))
    is_script = bool(SCRIPT.search(path) or CODE_HOST.search(origin.hostname))
    query = _query(parsed.search, keeps_referrers=is_script)
    identity = f"https://{origin.host}{path}{query}{_route(parsed.hash)}"
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


def _query(search: str, *, keeps_referrers: bool) -> str:
    """Return the query with its question mark, or nothing."""
    parts = [_normal(part) for part in search[1:].split("&") if part]
    kept = []
    for part in parts:
        name, _, value = part.partition("=")
        refers = not keeps_referrers and name.lower() in REFERRING and REFERRER.fullmatch(value)
        if not (refers or part in AMP or _tracks(name)):
            kept.append((name, part))
    kept.sort(key=lambda named: named[0])
    return "?" + "&".join(part for _, part in kept) if kept else ""


def _tracks(name: str) -> bool:
    plain = unquote_plus(name).lower()
    return plain in TRACKING or plain.startswith(TRACKING_PREFIXES)


def _route(fragment: str) -> str:
    """Return a route in the fragment with its hash, or nothing."""
    route = fragment.partition(TEXT_DIRECTIVE)[0]
    is_route = route.startswith(("#!", "#/")) and len(route) > 2
    return "#" + _normal(route[1:]) if is_route else ""


def _normal(text: str) -> str:
    """Return text with each octet percent-encoded only where it must be, in capitals."""
    # A percent sign that encodes nothing would begin to when what follows it is decoded.
    text = STRAY_PERCENT.sub("%25", text)
    text = NOT_ALLOWED.sub(_percent_encoded, text)
    return ENCODED.sub(_decoded_if_unreserved, text)


def _percent_encoded(match: re.Match[str]) -> str:
    return "".join(f"%{octet:02X}" for octet in match.group().encode())


def _decoded_if_unreserved(match: re.Match[str]) -> str:
    character = chr(int(match.group(1), 16))
    return character if character in UNRESERVED else match.group().upper()
