"""Map the many addresses of a work (an article, a video) to its one main address.

The main address must exist on the web, because metadata is fetched from it. Works are recognized
by the address alone; nothing is fetched for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote

# https://info.arxiv.org/help/arxiv_identifier.html; a subject class such as `.GT` is optional.
_MONTH = r"[0-9]{2}(?:0[1-9]|1[0-2])"
ARXIV_ID = (
    rf"({_MONTH}\.[0-9]{{4,5}}|[a-z-]{{2,20}}(?:\.[a-z]{{2}})?/{_MONTH}[0-9]{{3}})"
    r"(?:v[0-9]{1,3})?"
)
ARXIV_PATH = re.compile(
    rf"/(?:abs|pdf|html|format|src|e-print|ps)/{ARXIV_ID}(?:\.pdf|\.ps)?/?", re.IGNORECASE
)
ARXIV_CLASS = re.compile(r"\.[a-z]{2}/")
ARXIV_HOSTS = {
    "arxiv.org", "www.arxiv.org", "export.arxiv.org", "browse.arxiv.org", "xxx.lanl.gov",
    "ar5iv.org", "ar5iv.labs.arxiv.org", "www.ar5iv.org",
}  # fmt: skip
# Hosts that resolve DOIs; some publishers have their own (doi.acm.org).
DOI_HOST = re.compile(r"(?:dx\.|www\.)?doi\.(?:org|[a-z0-9-]{1,63}\.[a-z.]{2,20})")
OTHER_DOI_HOSTS = {"hdl.handle.net", "oadoi.org"}
DOI = re.compile(
    r"(?:(?:info:)?doi[:/]\s?)?(10\.[0-9]{4,9}(?:\.[0-9]{1,9}){0,3}/.*[^/])/?", re.DOTALL
)
ARXIV_DOI = re.compile(rf"10\.48550/arxiv\.{ARXIV_ID}$", re.IGNORECASE)
PREPRINT_HOSTS = {"www.biorxiv.org", "biorxiv.org", "www.medrxiv.org", "medrxiv.org"}
PREPRINT = re.compile(
    r"/content/(10\.(?:1101|64898)/[0-9.]{4,40})(?:v[0-9]{1,3})?"
    r"(?:\.(?:full|abstract|full-text|full\.pdf|full\.pdf\+html|article-info|supplementary-material))?"
)
PUBMED_ID = r"([1-9][0-9]{0,8})"
NCBI_HOSTS = {"www.ncbi.nlm.nih.gov", "ncbi.nlm.nih.gov", "m.ncbi.nlm.nih.gov"}
EUROPE_HOSTS = {"europepmc.org", "www.europepmc.org"}
PUBMED_PATHS = {
    **dict.fromkeys(NCBI_HOSTS, re.compile(rf"/(?:m/)?pubmed/{PUBMED_ID}/?")),
    "pubmed.gov": re.compile(rf"/{PUBMED_ID}/?"),
    "pubmed.ncbi.nlm.nih.gov": re.compile(rf"/{PUBMED_ID}/?"),
    "m.pubmed.ncbi.nlm.nih.gov": re.compile(rf"/{PUBMED_ID}/?"),
    **dict.fromkeys(
        EUROPE_HOSTS, re.compile(rf"/(?:articles?|abstract)/med/{PUBMED_ID}/?", re.IGNORECASE)
    ),
}
PUBMED_HOSTS = {*NCBI_HOSTS, "pubmed.ncbi.nlm.nih.gov", "pubmed.gov", "www.pubmed.gov"}
# The path of a search on PubMed, and its query for one work by number.
PUBMED_SEARCH = re.compile(r"(?:/pubmed)?/?|/entrez/query\.fcgi")
PUBMED_QUERY = re.compile(
    r"[?&](?:term|list_uids)=([1-9][0-9]{4,8})(?:%5Buid%5D)?(?=&|$)", re.IGNORECASE
)
_PMC = r"(?:pmc/)?pmc([1-9][0-9]{0,9})(?:/(?:pdf(?:/[^/]{0,200})?|epub)?)?"
PMC_PATHS = {
    **dict.fromkeys(NCBI_HOSTS, re.compile(rf"/(?:labs/|m/)?pmc/articles/{_PMC}", re.IGNORECASE)),
    "pmc.ncbi.nlm.nih.gov": re.compile(rf"/articles/{_PMC}", re.IGNORECASE),
    **dict.fromkeys(EUROPE_HOSTS, re.compile(rf"/(?:articles?|abstract)/{_PMC}", re.IGNORECASE)),
}
YOUTUBE_HOSTS = {
    "youtube.com", "www.youtube.com", "m.youtube.com", "music.youtube.com",
    "youtube-nocookie.com", "www.youtube-nocookie.com",
}  # fmt: skip
_VIDEO = r"([A-Za-z0-9_-]{11})"
VIDEO_PATH = re.compile(rf"/(?:shorts|embed|live|v|e)/{_VIDEO}/?")
VIDEO_QUERY = re.compile(rf"(?:^|[?&])v={_VIDEO}(?=&|$)")
SHORT_VIDEO = re.compile(rf"/{_VIDEO}/?")
# Mobile hosts, and the desktop hosts with the same pages. Listed one by one, because not every
# host that begins with `m.` is a mobile site.
MOBILE_HOSTS = {
    "m.facebook.com": "www.facebook.com", "mobile.facebook.com": "www.facebook.com",
    "mobile.twitter.com": "twitter.com", "m.twitter.com": "twitter.com", "mobile.x.com": "x.com",
    "m.imdb.com": "www.imdb.com", "m.xkcd.com": "xkcd.com", "m.soundcloud.com": "soundcloud.com",
    "m.vk.com": "vk.com", "mobile.nytimes.com": "www.nytimes.com", "m.reddit.com": "www.reddit.com",
    "old.reddit.com": "www.reddit.com", "np.reddit.com": "www.reddit.com",
    "i.reddit.com": "www.reddit.com", "m.youtube.com": "www.youtube.com",
    "m.bilibili.com": "www.bilibili.com", "m.weibo.cn": "weibo.com", "m.douban.com":
    "www.douban.com", "mobile.ebay.com": "www.ebay.com", "m.ebay.com": "www.ebay.com",
    "m.yelp.com": "www.yelp.com", "m.tripadvisor.com": "www.tripadvisor.com",
    "m.goodreads.com": "www.goodreads.com", "m.stackoverflow.com": "stackoverflow.com",
    "m.linkedin.com": "www.linkedin.com", "m.instagram.com": "www.instagram.com",
    "m.pinterest.com": "www.pinterest.com", "m.vimeo.com": "vimeo.com",
    "m.dailymotion.com": "www.dailymotion.com", "m.medium.com": "medium.com",
    "m.quora.com": "www.quora.com", "m.wikihow.com": "www.wikihow.com",
    "m.huffpost.com": "www.huffpost.com", "m.bbc.co.uk": "www.bbc.co.uk",
    "m.bbc.com": "www.bbc.com", "mobile.reuters.com": "www.reuters.com",
    "m.spiegel.de": "www.spiegel.de", "m.faz.net": "www.faz.net", "m.tagesschau.de":
    "www.tagesschau.de", "m.github.com": "github.com", "m.mediawiki.org": "www.mediawiki.org",
    "m.wikidata.org": "www.wikidata.org",
}  # fmt: skip
WIKIMEDIA = re.compile(
    r"((?:[a-z0-9-]{1,63}\.)?)m\.((?:wikipedia|wiktionary|wikiquote|wikibooks|wikinews"
    r"|wikisource|wikiversity|wikivoyage|wikimedia)\.org)"
)


def work_at(host: str, path: str, search: str) -> str | None:
    """Return the main address of the work at an address, or None if there is none.

    `path` and `search` (the query with its `?`) are still percent-encoded.
    """
    for recognize in _KINDS:
        if found := recognize(host, path, search):
            return found
    return None


def desktop_host(host: str) -> str:
    """Return the desktop host of a mobile host; any other host is returned unchanged."""
    if "m." in host and (wiki := WIKIMEDIA.fullmatch(host)):
        return f"{wiki.group(1) or 'www.'}{wiki.group(2)}"
    return MOBILE_HOSTS.get(host, host)


def doi_address(doi: str) -> str:
    """Return the main address of a DOI: arXiv's page for a DOI of arXiv, else doi.org's."""
    name = doi.lower()
    if preprint := ARXIV_DOI.fullmatch(name):
        return _arxiv_address(preprint.group(1))
    return f"https://doi.org/{name.replace('%', '%25').replace('?', '%3F').replace('#', '%23')}"


def _arxiv_address(id: str) -> str:
    return f"https://arxiv.org/abs/{ARXIV_CLASS.sub('/', id.lower())}"


def arxiv_id_at(host: str, path: str) -> str:
    """Return the arXiv id in an address of arXiv or a mirror, without version, or ""."""
    found = ARXIV_PATH.fullmatch(unquote(path)) if host in ARXIV_HOSTS else None
    return found.group(1).lower() if found else ""


def _arxiv(host: str, path: str, search: str) -> str:
    id = arxiv_id_at(host, path)
    return _arxiv_address(id) if id else ""


def doi_at(host: str, path: str) -> str:
    """Return the DOI in a resolver's address, in lower case, or an empty string."""
    if host not in OTHER_DOI_HOSTS and not ("doi." in host and DOI_HOST.fullmatch(host)):
        return ""
    found = DOI.fullmatch(unquote(path).strip().lstrip("/"))
    return found.group(1).lower() if found else ""


def _doi(host: str, path: str, search: str) -> str:
    doi = doi_at(host, path)
    return doi_address(doi) if doi else ""


def _preprint(host: str, path: str, search: str) -> str:
    found = PREPRINT.fullmatch(path) if host in PREPRINT_HOSTS else None
    return doi_address(found.group(1)) if found else ""


def pubmed_id_at(host: str, path: str, search: str) -> str:
    """Return the PubMed id in an address of PubMed or Europe PMC, or ""."""
    pattern = PUBMED_PATHS.get(host)
    found = pattern.fullmatch(path) if pattern else None
    if not found and search and host in PUBMED_HOSTS and PUBMED_SEARCH.fullmatch(path):
        found = PUBMED_QUERY.search(search)
    return found.group(1) if found else ""


def _pubmed(host: str, path: str, search: str) -> str:
    id = pubmed_id_at(host, path, search)
    return f"https://pubmed.ncbi.nlm.nih.gov/{id}/" if id else ""


def _pmc(host: str, path: str, search: str) -> str:
    pattern = PMC_PATHS.get(host)
    found = pattern.fullmatch(path) if pattern else None
    return f"https://pmc.ncbi.nlm.nih.gov/articles/PMC{found.group(1)}/" if found else ""


def _video(host: str, path: str, search: str) -> str:
    """Return the main address of a YouTube video, or an empty string."""
    if host in ("youtu.be", "www.youtu.be"):
        found = SHORT_VIDEO.fullmatch(path)
    elif host in YOUTUBE_HOSTS:
        is_player = path.rstrip("/") == "/watch"
        found = VIDEO_QUERY.search(search) if is_player else VIDEO_PATH.fullmatch(path)
    else:
        return ""
    return f"https://www.youtube.com/watch?v={found.group(1)}" if found else ""


# Each returns the main address of the work at an address, or "" if it is of another kind.
_KINDS: tuple[Callable[[str, str, str], str], ...] = (
    _arxiv,
    _doi,
    _preprint,
    _pubmed,
    _pmc,
    _video,
)
