"""The rules for usernames, display names and mail addresses, and their normal forms."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress

from django.core.exceptions import ValidationError

USERNAME_MAX_LENGTH, EMAIL_MAX_LENGTH = 150, 254
# ASCII only: letters of other scripts can look the same, and usernames are parts of URLs.
USERNAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]*", re.ASCII)
# Names that the API's own URLs use in place of a username.
ADDRESSES = frozenset({"me"})
# Names that seem to speak for the site; nobody may register them.
OF_THE_SITE = frozenset(
    {
        "admin", "administrator", "commonplace", "moderator", "official", "postmaster", "root",
        "security", "staff", "superuser", "support", "sysadmin", "webmaster",
    }
)  # fmt: skip

# Invisible characters that are not in one of Unicode's categories below.
INVISIBLE = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5")
JOINER, NON_JOINER = "\u200d", "\u200c"
VIRAMA = 9  # the combining class of the sign that joins letters in Indic scripts
# Forbidden Unicode categories: control, format (text direction, zero width), surrogates, private
# use, unassigned, line breaks.
NOT_IN_NAMES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# The most combining marks on one letter; more of them would cover the lines above.
MAX_MARKS = 3
# Scripts with letters that look alike; mixed in one word, they are meant to deceive.
LOOKALIKE = ("LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "CHEROKEE")


def lookup_form(username: str) -> str:
    """Return the normal form of a username, the same for all its spellings.

    Logins, rate limits and URLs must all use it. Otherwise, another spelling would evade a limit.
    """
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", username).lower()).strip()


def check_username(username: str) -> None:
    """Raise ValidationError for an impossible or reserved username."""
    if len(username) > USERNAME_MAX_LENGTH or not USERNAME.fullmatch(username):
        message = (
            "A username starts with a letter, digit or underscore; after it, only letters, digits "
            f"and @ . + - _ are allowed, {USERNAME_MAX_LENGTH} characters in all."
        )
        raise ValidationError(message, code="invalid")
    if username.lower() in ADDRESSES:
        raise ValidationError("This username is reserved.", code="reserved")


def check_not_of_the_site(name: str) -> None:
    """Raise ValidationError for a name that would make a user look like the site's staff."""
    plain = re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).lower())
    if plain in OF_THE_SITE:
        raise ValidationError("This name is reserved for the site's staff.", code="reserved")


def check_display_name(name: str) -> None:
    """Raise ValidationError as `check_line` does, and for a word of mixed look-alike scripts."""
    check_line(name)
    for word in re.findall(r"\w+", name):
        if len(scripts := set(_lookalike_scripts(word))) > 1:
            message = f"Don't mix {' and '.join(sorted(scripts))} letters in one word."
            raise ValidationError(message, code="mixed_scripts")


def check_text(text: str) -> None:
    """Raise ValidationError as `check_line` does, but allow line breaks and tabs."""
    check_line(text.replace("\r\n", " ").replace("\n", " ").replace("\t", " "))


def tidy_display_name(name: str) -> str:
    """Return a display name in its stored form: composed (NFC), with single spaces."""
    return " ".join(unicodedata.normalize("NFC", name).split())


def tidy_email(email: str) -> str:
    """Return a mail address in its normal form: NFKC, with the domain in lower case and ASCII."""
    if len(email) > EMAIL_MAX_LENGTH:
        return email  # validation refuses it later
    local, at, domain = unicodedata.normalize("NFKC", email).strip().rpartition("@")
    with suppress(UnicodeError):  # validation refuses an invalid domain later
        domain = domain.encode("idna").decode("ascii")
    return f"{local}{at}{domain.lower()}"


def check_line(text: str) -> None:
    """Raise ValidationError for a line with invisible characters, or too many marks on a letter."""
    marks = 0
    for place, character in enumerate(text):
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks > MAX_MARKS:
            message = f"A letter has more than {MAX_MARKS} marks; remove some."
            raise ValidationError(message, code="too_many_marks")
        is_hidden = unicodedata.category(character) in NOT_IN_NAMES or character in INVISIBLE
        if is_hidden and not _joins(text, place):
            message = f"The character U+{ord(character):04X} is invisible; remove it."
            raise ValidationError(message, code="invisible")


def _joins(text: str, place: int) -> bool:
    """Return whether the character at `place` is a zero-width joiner with a legitimate use there.

    These are joined scripts (RFC 5892, A.1 and A.2) and combined emoji.
    """
    before, after = text[:place][-1:], text[place + 1 :][:1]
    if not (before and after) or text[place] not in (JOINER, NON_JOINER):
        return False
    if unicodedata.combining(before) == VIRAMA:
        return True
    if text[place] == NON_JOINER:
        return {unicodedata.bidirectional(before), unicodedata.bidirectional(after)} == {"AL"}
    drawn = ("So", "Sk", "Mn")  # symbols, skin tones, and the mark that selects the emoji form
    return unicodedata.category(before) in drawn and unicodedata.category(after) == "So"


def _lookalike_scripts(word: str) -> Iterator[str]:
    """Yield the look-alike script of each letter that is in one."""
    for character in word:
        script = unicodedata.name(character, "").partition(" ")[0]
        if script in LOOKALIKE:
            yield script.capitalize()
