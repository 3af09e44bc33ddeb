"""Small files in the shapes that programs write them."""

from __future__ import annotations

import json

URL = "https://example.org/"
CHROME = json.dumps(
    {
        "checksum": "0",
        "roots": {
            "bookmark_bar": {
                "name": "Bookmarks bar",
                "type": "folder",
                "children": [
                    {
                        "type": "url",
                        "name": "One",
                        "url": f"{URL}1",
                        "date_added": "13350000000000000",
                    },
                    {
                        "type": "folder",
                        "name": "Work",
                        "children": [
                            {
                                "type": "folder",
                                "name": "Later",
                                "children": [{"type": "url", "name": "Two", "url": f"{URL}2"}],
                            }
                        ],
                    },
                ],
            },
            "other": {"name": "Other bookmarks", "type": "folder", "children": []},
        },
    }
).encode()
FIREFOX = json.dumps(
    {
        "guid": "root________",
        "type": "text/x-moz-place-container",
        "children": [
            {
                "guid": "menu________",
                "title": "menu",
                "type": "text/x-moz-place-container",
                "children": [
                    {
                        "title": "One",
                        "type": "text/x-moz-place",
                        "uri": f"{URL}1",
                        "tags": "a,b",
                        "dateAdded": 1400000000000000,
                    },
                    {"type": "text/x-moz-place-separator"},
                    {"title": "Most visited", "type": "text/x-moz-place", "uri": "place:sort=8"},
                    {
                        "title": "Work",
                        "type": "text/x-moz-place-container",
                        "children": [
                            {"title": "Two", "type": "text/x-moz-place", "uri": f"{URL}2"}
                        ],
                    },
                ],
            }
        ],
    }
).encode()
PINBOARD = json.dumps(
    [
        {
            "href": f"{URL}1",
            "description": "One",
            "extended": "A note",
            "time": "2014-05-13T16:53:20Z",
            "shared": "no",
            "toread": "no",
            "tags": "a b",
        },
        {"href": f"{URL}2", "description": "Two", "extended": "", "shared": "yes", "tags": ""},
    ]
).encode()
POCKET = f"title,url,time_added,tags,status\nOne,{URL}1,1400000000,a|b,unread\n{URL}2,{URL}2,,,archive\n".encode()
RAINDROP = (
    "id,title,note,excerpt,url,folder,tags,created,cover,highlights,favorite\n"
    f'7,One,"A note,\nof two lines",Excerpt,{URL}1,Work/Later,"a, b",2014-05-13T16:53:20.000Z,,,false\n'
    f"8,Two,,,{URL}2,Unsorted,,,,,false\n"
).encode()
INSTAPAPER = f"URL,Title,Selection,Folder,Timestamp\n{URL}1,One,A note,Work,1400000000\n{URL}2,Two,,Unread,1\n".encode()
SEMICOLONS = f"Name;Link;Comment\nOne;{URL}1;A note\nTwo;{URL}2;\n".encode("cp1252")
JSON_FEED = json.dumps(
    {
        "version": "https://jsonfeed.org/version/1.1",
        "title": "A feed",
        "items": [
            {
                "id": "1",
                "url": f"{URL}1",
                "title": "One",
                "content_html": "<p>A note</p>",
                "date_published": "2014-05-13T16:53:20Z",
                "tags": ["a", "b"],
            },
            {"id": "2", "url": f"{URL}2", "title": "Two", "content_text": ""},
        ],
    }
).encode()
LIST = f"# To read\n{URL}1\n\n{URL}2\n".encode()
CSL = json.dumps(
    [
        {
            "id": "munro",
            "type": "article-journal",
            "title": "On reading",
            "author": [{"family": "Munro", "given": "Alice"}],
            "issued": {"date-parts": [["2004", 7]]},
            "container-title": "The Journal",
            "volume": 3,
            "page": "1-9",
            "DOI": "https://doi.org/10.1000/ABC",
            "keyword": "a, b",
            "citation-key": "unknown here",
        }
    ]
).encode()
RIS = b"""\xef\xbb\xbfTY  - JOUR
AU  - Munro, Alice
TI  - On reading
T2  - The Journal
VL  - 3
SP  - 1
EP  - 9
PY  - 2004/07//
DO  - 10.1000/ABC
KW  - a
KW  - b
ER  -
"""
BIBTEX = rb"""
% A comment
@string{journal = "The " # {Journal}}
@article{munro,
  title   = {On {R}eading},
  author  = {Munro, Alice},
  journal = journal,
  volume  = 3, pages = {1--9}, month = jul, year = 2004,
  doi = {10.1000/ABC}, keywords = {a, b},
}
"""
ZOTERO = b"""<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
 xmlns:z="http://www.zotero.org/namespaces/export#" xmlns:dcterms="http://purl.org/dc/terms/"
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:bib="http://purl.org/net/biblio#"
 xmlns:foaf="http://xmlns.com/foaf/0.1/" xmlns:prism="http://prismstandard.org/namespaces/1.2/basic/">
  <bib:Article rdf:about="#item_1">
    <z:itemType>journalArticle</z:itemType>
    <dcterms:isPartOf rdf:resource="urn:issn:0896-3207"/>
    <bib:authors><rdf:Seq><rdf:li><foaf:Person>
      <foaf:surname>Munro</foaf:surname><foaf:givenName>Alice</foaf:givenName>
    </foaf:Person></rdf:li></rdf:Seq></bib:authors>
    <dcterms:isReferencedBy rdf:resource="#item_2"/>
    <dc:subject>a</dc:subject>
    <dc:subject><z:AutomaticTag><rdf:value>b</rdf:value></z:AutomaticTag></dc:subject>
    <dc:title>On reading</dc:title>
    <dc:date>2004-07</dc:date>
    <bib:pages>1-9</bib:pages>
    <dc:identifier>DOI 10.1000/ABC</dc:identifier>
  </bib:Article>
  <bib:Journal rdf:about="urn:issn:0896-3207">
    <prism:volume>3</prism:volume><dc:title>The Journal</dc:title>
  </bib:Journal>
  <bib:Memo rdf:about="#item_2"><rdf:value>&lt;p&gt;A note&lt;/p&gt;</rdf:value></bib:Memo>
  <z:Collection rdf:about="#collection_1">
    <dc:title>Work</dc:title><dcterms:hasPart rdf:resource="#collection_2"/>
  </z:Collection>
  <z:Collection rdf:about="#collection_2">
    <dc:title>Later</dc:title><dcterms:hasPart rdf:resource="#item_1"/>
  </z:Collection>
</rdf:RDF>
"""
NBIB = b"""
PMID- 12345
TI  - On
      reading.
FAU - Munro, Alice
AU  - Munro A
JT  - The Journal
VI  - 3
PG  - 1-9
DP  - 2004 Jul
LID - 10.1000/ABC [doi]
OT  - a
MH  - *b
"""
ENW = b"""%0 Journal Article
%T On reading
%A Munro, Alice
%J The Journal
%V 3
%P 1-9
%D 2004
%8 July
%R 10.1000/ABC
%K a
b
"""
WOS = b"""FN Clarivate Analytics Web of Science
VR 1.0
PT J
AU Munro, A
AF Munro, Alice
TI On
   reading
SO The Journal
VL 3
BP 1
EP 9
PD JUL
PY 2004
DI 10.1000/ABC
DE a; b
ER

EF
"""
ENDNOTE = b"""<?xml version="1.0" encoding="UTF-8"?><xml><records><record>
<ref-type name="Journal Article">17</ref-type>
<contributors><authors><author><style face="normal">Munro, Alice</style></author></authors></contributors>
<titles><title><style>On </style><style face="italic">reading</style></title></titles>
<periodical><full-title>The Journal</full-title></periodical>
<pages>1-9</pages><volume>3</volume>
<dates><year>2004</year><pub-dates><date>July</date></pub-dates></dates>
<keywords><keyword>a</keyword><keyword>b</keyword></keywords>
<electronic-resource-num>10.1000/ABC</electronic-resource-num>
</record></records></xml>
"""
DUBLIN_CORE = b"""<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:prism="http://prismstandard.org/namespaces/basic/2.0/">
<rdf:Description><dc:title>On reading</dc:title><dc:creator>Munro, Alice</dc:creator>
<dc:type>Journal article</dc:type><dc:date>2004-07</dc:date><dc:subject>a</dc:subject>
<dc:subject>b</dc:subject><dc:identifier>doi:10.1000/ABC</dc:identifier>
<prism:publicationName>The Journal</prism:publicationName><prism:volume>3</prism:volume>
<prism:startingPage>1</prism:startingPage><prism:endingPage>9</prism:endingPage>
</rdf:Description></rdf:RDF>
"""
