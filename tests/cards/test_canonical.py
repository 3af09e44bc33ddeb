from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cards.canonical import MAX_LENGTH, InvalidUrl, canonical

SPELLINGS = {
    "https://example.org/": [
        "http://example.org",
        "HTTPS://EXAMPLE.org:443/",
        "http://example.org:80",
        "https://example.org./",
        "https://example.org/?",
        "https://example.org/#top",
        "https://example.org/a/..",
        "  https://example.org/\n",
        "https://example.org/?utm_source=mail&UTM_Medium=x&gclid=1&fbclid=2&mc_eid=3",
    ],
    "https://example.org/~alice/a%2Fb": [
        "https://example.org/%7ealice/a%2fb",
        "https://example.org/x/../%7Ealice/./a%2Fb",
    ],
    "https://example.org/?a=1&b=2&b=1": [
        "https://example.org/?b=2&a=1&b=1",
        "https://example.org/?&b=2&&b=1&a=1&",
        "https://example.org/?b=2&utm%5Fsource=x&b=1&a=1",
    ],
    "https://xn--mnchen-3ya.de/%C3%BC": ["http://MÜNCHEN.de/ü", "https://münchen.de/%c3%bc"],
    "https://example.org/#!/a": ["https://example.org#!/a", "http://example.org/#!/a:~:text=b"],
    "https://[::1]/": ["http://[0:0:0:0:0:0:0:1]:80/"],
    "https://192.0.2.1/": ["http://192.0.2.1./", "http://0xC0.0.2.1"],
    "https://example.org/%2541": ["https://example.org/%%34%31"],
}


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [(spelling, expected) for expected, all in SPELLINGS.items() for spelling in all],
)
def test_a_page_has_one_identity_however_its_address_is_spelt(spelling: str, expected: str) -> None:
    assert canonical(spelling) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://example.org/a", "https://example.org/a/"),
        ("https://example.org/a", "https://example.org/A"),
        ("https://example.org/", "https://www.example.org/"),
        ("https://example.org/", "https://example.org:8080/"),
        ("https://example.org/?a=1&a=2", "https://example.org/?a=2&a=1"),
        ("https://example.org/#!/a", "https://example.org/#!/b"),
        ("https://example.org/a%2Fb", "https://example.org/a/b"),
    ],
)
def test_pages_that_may_differ_keep_their_own_identities(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "not an address"),
        ("example.org", "not an address"),
        ("//example.org/", "not an address"),
        ("http://", "not an address"),
        ("https://exa mple.org", "not an address"),
        ("https://example.org:99999/", "not an address"),
        ("https://./", "not an address"),
        ("https://example.org/\ud800", "not an address"),
        ("javascript:alert(1)", "Only http and https"),
        ("ftp://example.org/", "Only http and https"),
        ("https://alice:secret@example.org/", "user name or password"),
        ("https://example.org/\x00", "control characters"),
        ("https://example.org/" + "a" * MAX_LENGTH, "longer than"),
        ("https://example.org/" + "ü" * (MAX_LENGTH // 4), "longer than"),
        ("https://" + "a." * 200 + "org/", "too long"),
    ],
)
def test_what_is_not_the_address_of_a_page_is_refused_with_the_reason(
    url: str, reason: str
) -> None:
    with pytest.raises(InvalidUrl, match=reason):
        canonical(url)


PARTS = st.text(
    alphabet=string.ascii_letters + string.digits + "%/?#!&=+;:@.~-_|'[]^ü 2eE5", max_size=60
)


@given(host=st.sampled_from(["example.org", "ÜBER.de.", "1.2.3.4", "[::1]"]), rest=PARTS)
def test_the_canonical_url_of_a_canonical_url_is_itself(host: str, rest: str) -> None:
    once = canonical(f"http://{host}/{rest}")

    assert canonical(once) == once


@given(st.text(max_size=80))
def test_any_text_is_a_page_or_an_invalid_url(text: str) -> None:
    for url in (text, f"https://{text}", f"https://example.org/{text}"):
        try:
            once = canonical(url)
        except InvalidUrl:
            continue
        assert canonical(once) == once
        assert once.isascii()
