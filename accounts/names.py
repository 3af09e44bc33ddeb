"""What people may be called, and under which form a name is looked up."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress

from django.core.exceptions import ValidationError

USERNAME_MAX_LENGTH, EMAIL_MAX_LENGTH = 150, 254
# ASCII, for letters of other scripts can look the same; a name is also part of addresses.
USERNAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]*", re.ASCII)
# Addresses of the API have these names themselves.
ADDRESSES = frozenset({"me"})
# Nobody registers as one who speaks for the site.
OF_THE_SITE = frozenset(
    {
        "admin", "administrator", "commonplace", "moderator", "official", "postmaster", "root",
        "security", "staff", "superuser", "support", "sysadmin", "webmaster",
    }
)  # fmt: skip

# Letters that are seen as nothing, beside those that Unicode calls format characters.
INVISIBLE = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5")
JOINER, NON_JOINER = "\u200d", "\u200c"
VIRAMA = 9  # the combining class of the sign that joins letters in scripts of India
# Control, format (direction of text, zero width), surrogates, private use, unassigned, line breaks.
NOT_IN_NAMES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Marks that stand on one letter; more of them climb over other people's lines.
MOST_MARKS = 3
# Scripts with letters that look the same: in one word they are there to deceive.
LOOKALIKE = ("LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "CHEROKEE")


def lookup_form(username: str) -> str:
    """Return the form in which a username is looked up: one for all ways to write it.

    Logins, limits and addresses must agree on it, or a limit could be passed by another spelling.
    """
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", username).lower()).strip()


def check_username(username: str) -> None:
    """Raise ValidationError, if nobody may have this username."""
    if len(username) > USERNAME_MAX_LENGTH or not USERNAME.fullmatch(username):
        message = (
            "A username begins with a letter, digit or underscore, and has only letters, digits "
            f"and @ . + - _ after it, {USERNAME_MAX_LENGTH} at most."
        )
        raise ValidationError(message, code="invalid")
    if username.lower() in ADDRESSES:
        raise ValidationError("This username is reserved.", code="reserved")


def check_not_of_the_site(name: str) -> None:
    """Raise ValidationError for a name under which people would pass for the site's own."""
    plain = re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).lower())
    if plain in OF_THE_SITE:
        raise ValidationError("This name is reserved for the site's own people.", code="reserved")


def check_display_name(name: str) -> None:
    """Raise ValidationError for a name that could deceive: by what is not seen, or looks alike."""
    check_line(name)
    for word in re.findall(r"\w+", name):
        if len(scripts := set(_lookalike_scripts(word))) > 1:
            message = f"Don't mix {' and '.join(sorted(scripts))} letters in one word."
            raise ValidationError(message, code="mixed_scripts")


def check_text(text: str) -> None:
    """Raise ValidationError for a text with characters that are not seen, but for line breaks."""
    check_line(text.replace("\r\n", " ").replace("\n", " ").replace("\t", " "))


def tidy_display_name(name: str) -> str:
    """Return a name as it is stored: composed, and without spaces around and in a row."""
    return " ".join(unicodedata.normalize("NFC", name).split())


def tidy_email(email: str) -> str:
    """Return an address in its one form: plain characters, the domain small and in ASCII."""
    if len(email) > EMAIL_MAX_LENGTH:
        return email  # it is refused
    local, at, domain = unicodedata.normalize("NFKC", email).strip().rpartition("@")
    with suppress(UnicodeError):  # what is no domain is refused by the check of addresses
        domain = domain.encode("idna").decode("ascii")
    return f"{local}{at}{domain.lower()}"


def check_line(text: str) -> None:
    """Raise ValidationError for a line with characters that are not seen, or pile up."""
    marks = 0
    for place, character in enumerate(text):
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks > MOST_MARKS:
            message = f"A letter has more than {MOST_MARKS} marks; take some away."
            raise ValidationError(message, code="too_many_marks")
        if _is_hidden(character) and not _joins(text, place):
            message = f"The character U+{ord(character):04X} is not seen; take it out."
            raise ValidationError(message, code="invisible")


def _is_hidden(character: str) -> bool:
    return unicodedata.category(character) in NOT_IN_NAMES or character in INVISIBLE


def _joins(text: str, place: int) -> bool:
    """Return whether a zero-width joiner has a meaning here (RFC 5892, A.1 and A.2; emoji)."""
    before, after = text[:place][-1:], text[place + 1 :][:1]
    if not (before and after) or text[place] not in (JOINER, NON_JOINER):
        return False
    if unicodedata.combining(before) == VIRAMA:
        return True
    if text[place] == NON_JOINER:
        return {unicodedata.bidirectional(before), unicodedata.bidirectional(after)} == {"AL"}
    drawn = ("So", "Sk", "Mn")  # symbols, colours of skin, and the mark that asks for a picture
    return unicodedata.category(before) in drawn and unicodedata.category(after) == "So"


def _lookalike_scripts(word: str) -> Iterator[str]:
    for character in word:
        script = unicodedata.name(character, "").partition(" ")[0]
        if script in LOOKALIKE:
            yield script.capitalize()
