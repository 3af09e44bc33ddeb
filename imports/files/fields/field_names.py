"""The names that programs give to fields and to types of references, in several languages."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from imports.files.items import one_line

# The names of each field, best first: in lower case, without separators and accents.
NAMES = {
    "url": "url link href uri address website givenurl resolvedurl pageurl sourceurl originalurl "
    "uniqueurl permalink adresse lien enlace webadresse",
    "title": "customtitle title name giventitle resolvedtitle articletitle documenttitle "
    "readabletitle pagetitle booktitle ti titel titre titulo",
    # The owner's own words. The page's words (excerpt) are used only without a note.
    "note": "note notes text comment comments extended description desc mynote mynotes "
    "documentnote documentnotes customdescription myreview review notiz notizen kommentar "
    "remarque commentaire nota",
    "excerpt": "excerpt summary websitedescription",
    "highlight": "highlight highlights annotation annotations selection quote quotes",
    "secret": "privatenotes privatenote",
    "tags": "tags tag labels keywords manualtags automatictags documenttags booktags categories "
    "tagnames authorkeywords indexkeywords keywordsplus mendeleytags bookshelves topics "
    "etiketten schlagworter motscles etiquetas",
    "folder": "folder folders folderpath list ordner dossier carpeta",
    "collection": "collection collections",
    "collectionvisibility": "collectionvisibility",
    "added": "dateadded addedat timeadded adddate datesaved saveddate savedat createdat created "
    "datecreated dateentered entrydate added timestamp highlightedat time importdate",
    "date": "date datum fecha issued",
    "id": "id",
    "kind": "itemtype documenttype publicationtype referencetype",
    "author": "author authors bookauthor authorfullnames authorlf creators primaryauthor autor "
    "auteur auteurs",
    "moreauthors": "additionalauthors",
    "editor": "editor editors",
    "translator": "translator translators",
    "container": "publicationtitle journal journaltitle sourcetitle journalbook publication "
    "journalname containertitle",
    "year": "publicationdate datepublished year publicationyear yearpublished coverdate "
    "originalpublicationyear",
    "firstpage": "startpage pagestart firstpage",
    "lastpage": "endpage pageend lastpage",
    "DOI": "doi doilink",
    "ISBN": "isbn13 isbn isbns isbnuid",
    "ISSN": "issn eissn issns",
    "PMID": "pmid pubmedid",
    "volume": "volume vol",
    "issue": "issue issuenumber",
    "number": "number reportnumber patentnumber",
    "page": "pages page artno articlenumber",
    "publisher": "publisher verlag editeur editorial",
    "publisher-place": "place publisherplace city",
    "collection-title": "series seriestitle",
    "event-title": "conferencename meetingname conferencetitle",
    "edition": "edition",
    "language": "language languageoforiginaldocument",
    "abstract": "abstractnote abstract",
    "extra": "extra",
    "genre": "thesistype type",
}  # fmt: skip
# The field of each name, and the name's rank among the names of its field: 0 is best.
FIELD_OF = {name: field for field, names in NAMES.items() for name in names.split()}
RANK_OF = {name: rank for names in NAMES.values() for rank, name in enumerate(names.split())}
TEXTS = (
    "title", "ISSN", "PMID", "volume", "issue", "number", "page", "publisher", "publisher-place",
    "collection-title", "event-title", "edition", "language", "abstract", "genre",
)  # fmt: skip
OF_REFERENCES = ("DOI", "container", "ISBN", "ISSN", "PMID", "volume", "kind")  # mark references
KINDS = {
    "journalarticle": "article-journal", "article": "article-journal", "review": "article-journal",
    "letter": "article-journal", "editorial": "article-journal", "note": "article-journal",
    "articleinpress": "article-journal", "shortsurvey": "article-journal",
    "articlejournal": "article-journal", "magazinearticle": "article-magazine",
    "newspaperarticle": "article-newspaper", "book": "book", "books": "book", "monograph": "book",
    "booksection": "chapter", "bookchapter": "chapter", "chapter": "chapter",
    "conferencepaper": "paper-conference", "conferenceproceedings": "paper-conference",
    "proceedingspaper": "paper-conference", "conferencereview": "paper-conference",
    "thesis": "thesis", "report": "report", "webpage": "webpage", "blogpost": "post-weblog",
    "forumpost": "post", "preprint": "article", "manuscript": "manuscript", "patent": "patent",
    "presentation": "speech", "computerprogram": "software", "software": "software",
    "dataset": "dataset", "datapaper": "article-journal", "videorecording": "motion_picture",
    "film": "motion_picture", "audiorecording": "song", "map": "map", "interview": "interview",
    "journal": "article-journal", "conference": "paper-conference", "workingpaper": "report",
    "encyclopediaarticle": "entry-encyclopedia", "dictionaryentry": "entry-dictionary",
}  # fmt: skip
NOT_IN_NAMES = re.compile(r"[\s_\-./()'’]+")


@lru_cache(4096)
def normalized(name: str) -> str:
    """Return the name of a column or JSON member in the form that NAMES uses."""
    text = unicodedata.normalize("NFKD", one_line(name)).casefold()
    return NOT_IN_NAMES.sub("", "".join(sign for sign in text if not unicodedata.combining(sign)))
