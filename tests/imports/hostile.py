"""Files that are broken, or meant to break what reads them, and what is to be said of each."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile

MEGABYTE = 1_000_000


def zipped(content: bytes) -> bytes:
    """Return a zip archive with one file."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bookmarks.html", content)
    return packed.getvalue()


def xml(body: str, doctype: str = "") -> bytes:
    """Return a feed with this body."""
    return (
        f'<?xml version="1.0"?>{doctype}<rss version="2.0"><channel>{body}</channel></rss>'.encode()
    )


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
LAUGHTER = f'<!DOCTYPE rss [<!ENTITY l0 "lol">{LAUGHS}]>'
QUADRATIC = f'<!DOCTYPE rss [<!ENTITY a "{"a" * 50_000}">]>'
EXTERNAL = '<!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
REMOTE = '<!DOCTYPE rss [<!ENTITY x SYSTEM "http://127.0.0.1:1/">]>'
PARAMETER = '<!DOCTYPE rss [<!ENTITY % p SYSTEM "http://127.0.0.1:1/x.dtd"> %p;]>'
ITEM = "<item><title>&{};</title><link>https://example.org/</link></item>"
BOOKMARK = b'<DT><A HREF="https://example.org/">A</A>\n'
ENTRY = b"@article{k, title={A title}, year={2020}}\n"

# The end of an import of each: its status, and a code among those of the error or its problems.
REFUSED: dict[str, tuple[bytes, str]] = {
    # Nothing, or nothing that is text.
    "nul_bytes_alone": (b"\0" * 1000, "empty"),
    "white_space": (b" \n\t\r\n" * 50, "empty"),
    "zip": (zipped(BOOKMARK), "not_text"),
    "zip_bomb": (zipped(b"\0" * 30 * MEGABYTE), "not_text"),
    "gzip": (gzip.compress(BOOKMARK), "not_text"),
    "gzip_bomb": (gzip.compress(b"\0" * 30 * MEGABYTE), "not_text"),
    "bzip2": (bz2.compress(BOOKMARK), "not_text"),
    "xz": (lzma.compress(BOOKMARK), "not_text"),
    "zstandard": (b"\x28\xb5\x2f\xfd" + b"x" * 50, "not_text"),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "not_text"),
    "png": (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "not_text"),
    "jpeg": (b"\xff\xd8\xff\xe0" + b"\0" * 50, "not_text"),
    "gif": (b"GIF89a" + b"\0" * 50, "not_text"),
    "sqlite": (b"SQLite format 3\0" + b"\0" * 50, "not_text"),
    "program": (b"\x7fELF" + b"\1" * 50, "not_text"),
    "windows_program": (b"MZ\x90\0" + b"\3" * 50, "not_text"),
    "binary": (bytes(range(256)) * 20, "not_text"),
    "controls": (b"\x01\x02\x03\x04" * 500, "not_text"),
    "prose": (b"Dear diary, today I read a book and thought nothing of it.\n" * 9, "unknown_format"),
    "web_page": (b"<!DOCTYPE html><html><body><p>Hello</p></body></html>", "unknown_format"),
    "script": (b"#!/bin/sh\nrm -rf /tmp/none\n", "unknown_format"),
    "python": (b"import os\nos.system('true')\n", "unknown_format"),
    "pickle": (b"\x80\x04\x95\x0b\0\0\0\0\0\0\0\x8c\x05posix\x94", "not_text"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'><a href='x'/></svg>", "unknown_format"),
    "xslt": (b"<xsl:stylesheet xmlns:xsl='http://www.w3.org/1999/XSL/Transform'/>", "unknown_format"),
    "yaml": (b"- !!python/object/apply:os.system ['true']\n", "unknown_format"),
    "a_brace": (b"{", "unknown_format"),
    "a_letter": (b"x", "unknown_format"),
    "an_at": (b"@", "unknown_format"),
    # XML that grows, or looks elsewhere.
    "billion_laughs": (xml(ITEM.format("l9"), LAUGHTER), "entities"),
    "quadratic": (xml(ITEM.format("a") * 50, QUADRATIC), "entities"),
    "external_entity": (xml(ITEM.format("x"), EXTERNAL), "entities"),
    "remote_entity": (xml(ITEM.format("x"), REMOTE), "entities"),
    "parameter_entity": (xml(ITEM.format("x"), PARAMETER), "entities"),
    "utf16_entity": (
        xml(ITEM.format("l9"), LAUGHTER).decode().encode("utf-16"), "entities",
    ),
    "entity_after_a_flaw": (b"<rss><b></c>" + xml("", EXTERNAL), "entities"),
    "opml_laughs": (
        f'<?xml version="1.0"?>{LAUGHTER}<opml><body><outline text="&l9;"/></body></opml>'.encode(),
        "entities",
    ),
    "opml_external": (
        f"{EXTERNAL.replace('rss', 'opml')}<opml><body><outline text='&x;'/></body></opml>".encode(),
        "entities",
    ),
    "zotero_laughs": (
        f'{LAUGHTER}<rdf:RDF xmlns:rdf="r" xmlns:z="http://www.zotero.org/namespaces/export#">'
        f"<bib:Book>&l9;</bib:Book></rdf:RDF>".encode(),
        "entities",
    ),
    "deep_feed": (xml("<a>" * 5000 + "</a>" * 5000), "too_deep"),
    "deep_opml": (
        b"<opml><body>" + b"<outline text='f'>" * 5000 + b"</outline>" * 5000 + b"</body></opml>",
        "too_deep",
    ),
    "opml_that_ends": (b"<opml><body><outline", "malformed"),
    # JSON.
    "json_depth": (b'{"roots": ' + b"[" * 200_000, "too_deep"),
    "json_objects": (b'{"roots":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001, "too_deep"),
    "json_cut": (b'{"roots": {"bar": {"children": [{"url": "https://ex', "malformed"),
    "json_number": (b'{"roots": 1e999999}', "malformed"),
    "json_nan": (b'{"roots": NaN}', "malformed"),
    "json_twice": (b'{"roots": {}} {"roots": {}}', "malformed"),
    "json_single_quotes": (b"{\"roots\": 'a'}", "malformed"),
    "deep_chrome": (
        json.dumps({"roots": {"bar": {"children": [], "name": "x"}}})
        .replace("[]", '[{"name": "f", "children": ' * 300 + "[]" + "}]" * 300)
        .encode(),
        "too_deep",
    ),
    "own_json_without_cards": (b'{"commonplace": 1}', "malformed"),
    "own_json_of_other_shape": (b'{"commonplace": 1, "cards": {"a": 1}}', "malformed"),
    "feed_without_items": (b'{"version": "https://jsonfeed.org/version/1.1"}', "malformed"),
    "unclosed_quote": (b'<DT><A HREF="https://example.org/' + b"x" * MEGABYTE, "malformed"),
    "deep_bookmarks": (b"<DT><H3>f</H3><DL>" * 5000, "too_deep"),
    "csv_with_10000_columns": (b",".join(b"c%d" % n for n in range(10_000)), "unknown_format"),
}  # fmt: skip

# What can be read of these is; a code of the problems, or none.
READ: dict[str, tuple[bytes, str]] = {
    "schemes": (
        b"".join(
            b'<DT><A HREF="%s">x</A>\n' % url
            for url in (
                b"javascript:alert(1)", b"JaVaScRiPt:alert(1)", b"java\tscript:alert(1)",
                b"data:text/html,<script>", b"file:///etc/passwd", b"vbscript:x", b"ftp://example.org/",
                b"chrome://settings", b"about:blank", b"blob:https://example.org/x", b"mailto:a@b.c",
            )
        ),
        "invalid_url",
    ),
    "credentials": (b"https://user:secret@example.org/\n", "invalid_url"),
    "long_address": (b"https://example.org/" + b"a" * 10_000, "invalid_url"),
    "line_of_5_mb": (BOOKMARK + b"<DT><A HREF='https://example.org/'>" + b"x" * 5 * MEGABYTE, ""),
    "a_million_brackets": (BOOKMARK + b"<" * MEGABYTE, ""),
    "many_unclosed_tags": (BOOKMARK + b'<A "' * 200_000, "required"),
    "unclosed_comment": (BOOKMARK + b"<!--" * 200_000, "malformed"),
    "attributes": (b"<DT><A " + b"a=b " * 200_000 + b'HREF="https://example.org/">x</A>', ""),
    "invalid_utf8": (BOOKMARK.replace(b">A<", b">\xff\xfe\xc0\x80<") * 3, ""),
    "latin1": ("<DT><A HREF='https://example.org/'>Müller</A>".encode("latin-1"), ""),
    "utf16": (BOOKMARK.decode().encode("utf-16"), ""),
    "utf16_cut": (BOOKMARK.decode().encode("utf-16")[:-1], ""),
    "utf32": (BOOKMARK.decode().encode("utf-32"), ""),
    "utf7_declared": (b'<META charset="utf-7">' + BOOKMARK + b"\xff", ""),
    "unpacking_codec": (b'<META charset="zlib">' + BOOKMARK + b"\xff", ""),
    "nul_in_title": (BOOKMARK.replace(b">A<", b">A\0B<"), ""),
    "nul_in_csv": (b"url,title\nhttps://example.org/,a\0b\n", ""),
    "surrogates": (b'[{"href": "https://example.org/", "description": "\\ud800", "tags": "\\udfff"}]', ""),
    "nul_in_json": (b'[{"href": "https://example.org/\\u0000", "description": "a\\u0000b"}]', ""),
    "wrong_types": (
        b'[{"href": 1, "description": [], "tags": {}, "time": {}}, 7, null, [], "x"]', "malformed",
    ),
    "json_feed_wrong_types": (
        b'{"version": "https://jsonfeed.org/version/1", "items": [{"id": {}, "url": 5, "tags": 7}, 1]}',
        "malformed",
    ),
    "csl_wrong_types": (
        b'[{"type": 1, "title": {}, "author": "x", "issued": [[]]}, {"title": "T", "author": [1, {}],'
        b' "issued": {"date-parts": [["x", {}]]}, "DOI": []}, 3]',
        "malformed",
    ),
    "chrome_wrong_types": (b'{"roots": {"a": {"children": [1, null, {"url": "https://example.org/"}]}}}', "malformed"),
    "firefox_wrong_types": (
        b'{"type": "text/x-moz-place-container", "children": [{"uri": "https://example.org/",'
        b' "tags": 5, "annos": [1], "dateAdded": "x"}]}',
        "",
    ),
    "own_json_wrong_types": (
        b'{"commonplace": 1, "collections": [1], "subscriptions": [{"url": "file:///x"}], "cards":'
        b' [{"id": "x", "text": "a", "tags": 5, "reference": 7, "parent": "y", "collections": 3}]}',
        "malformed",
    ),
    "dates_out_of_range": (
        b"url,created\nhttps://example.org/1,99999999999999999999\nhttps://example.org/2,-1\n"
        b"https://example.org/3,0000-00-00\nhttps://example.org/4,9999-12-31T23:59:59Z\n"
        b"https://example.org/5,1e400\nhttps://example.org/6,99999-01-01\n",
        "",
    ),
    "chrome_dates": (
        b'{"roots": {"a": {"children": [{"url": "https://example.org/", "date_added": "9223372036854775807"}]}}}',
        "",
    ),
    "rows_of_10000_cells": (b"url,title\nhttps://example.org/,a\n" + b"x," * 10_000, "too_long"),
    "cell_of_1_mb": (b'url,title\nhttps://example.org/,"' + b"x" * MEGABYTE + b'"\n', "malformed"),
    "unclosed_cell": (b'url,title\nhttps://example.org/,"a\n' * 3, "invalid_url"),
    "quotes": (b'url,title\n"https://example.org/","""""""\n', "malformed"),
    "formulas": (b"url,title\nhttps://example.org/,=cmd|' /C calc'!A0\n", ""),
    "bibtex_recursion": (
        b"@string{a = a # a}\n" + b"@string{a = a # a # a # a}\n" * 30 + ENTRY.replace(b"{2020}", b"a"), "",
    ),
    "bibtex_braces": (b"@article{k, title={" + b"{" * 20_000 + b"}" * 20_000 + b"}, year=2020}", "required"),
    "bibtex_long_entry": (ENTRY + b"@article{k, title={" + b"x" * 200_000 + b"}}", "too_long"),
    "bibtex_unclosed": (ENTRY + b"@article{k, title={never closed\n" + ENTRY, "malformed"),
    "bibtex_nothing": (ENTRY + b"@article{}\n@book{,}\n@misc{x}\n@string{\n@comment{\n", "required"),
    "bibtex_macros": (ENTRY.replace(b"A title", rb"\input{/etc/passwd} \write18{true} \def\a{\a}\a"), ""),
    "bibtex_twice_a_field": (b"@book{a, title={One}, title={Two}, year=1}\n", ""),
    "bibtex_people": (b"@book{a, title={One}, author={" + b"and , and , , , and " * 500 + b"}}", ""),
    "bibtex_dates": (b"@book{a, title={One}, year={99999999}, month={13}, day={x}}\n", ""),
    "ris_unended": (b"TY  - JOUR\nTI  - A\nTY  - BOOK\nTI  - B\n", ""),
    "ris_nothing": (b"TY  - JOUR\nER  - \nTY  - \nER  - \nER  - \n", "required"),
    "ris_continuations": (b"TY  - JOUR\nmore\nmore\nTI  - A\nER  - \n", ""),
    "ris_dates": (b"TY  - JOUR\nTI  - A\nPY  - 99999/99/99/x\nDA  - ////\nER  - \n", ""),
    "ris_a_million_lines": (b"TY  - JOUR\nTI  - A\n" + b"N1  - x\n" * 100_000 + b"ER  - \n", "too_long"),
    "feed_malformed": (
        xml("<item><title>A <b B</title><link>https://example.org/</link></item>"), "malformed",
    ),
    "feed_cut": (xml("<item><title>A</title><link>https://example.org/</link></item>")[:-25], "malformed"),
    "feed_of_scripts": (
        xml("<item><title>&lt;script&gt;alert(1)&lt;/script&gt;</title><link>javascript:x</link></item>"), "invalid_url",
    ),
    "feed_encoding": (
        xml("<item><link>https://example.org/</link></item>").replace(
            b'"1.0"', b'"1.0" encoding="klingon"'
        ),
        "",
    ),
    "feed_without_guid": (xml("<item/><item/><item><title/></item>"), "required"),
    "opml_of_bad_feeds": (
        b"<opml><body><outline xmlUrl='file:///etc/passwd'/><outline xmlUrl='http://[::1'/>"
        b"<outline xmlUrl=''/><outline xmlUrl='https://example.org/feed'/></body></opml>",
        "invalid_url",
    ),
    "opml_without_quotes": (b"<opml><body><outline text=a/></body></opml>", "required"),
    "opml_cut": (b"<opml><body><outline text='a' xmlUrl='https://example.org/f'/><outl", "malformed"),
    "list_with_prose": (b"https://example.org/\n10.1000/1\nand so on\n<b>\n", "not_an_address"),
    "carriage_returns": (b"https://example.org/1\rhttps://example.org/2\r", ""),
    "titles": (b"url,title\nhttps://example.org/titles," + b"t" * 5000 + b"\n", ""),
    "tags": (b"url,tags\nhttps://example.org/tags," + b"|".join(b"%d" % n for n in range(5000)) + b"\n", ""),
    "folders": (b"<DL><DT><H3>" + b"f" * 5000 + b"</H3><DL>" + BOOKMARK, ""),
    "bidi_and_zero_width": ("url,title\nhttps://example.org/,\u202ea\u200b\ufeff\n".encode(), ""),
}  # fmt: skip
