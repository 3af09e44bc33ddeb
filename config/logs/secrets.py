"""Mask secrets in log lines: those of the environment, and logins and tokens in URLs.

This is the last safeguard. No code of ours logs secrets, but libraries' messages may contain them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from urllib.parse import unquote, urlsplit

MASK = "[secret]"
MIN_LENGTH = 5  # characters; shorter secrets occur inside normal words
LOGIN = re.compile(r"(?<=://)[^/@\s\"']*:[^/@\s\"']*(?=@)")
TOKEN = re.compile(
    r"(?i)((?:[?&]|\b)(?:token|password|secret|api_?key|access_token|signature)=)[^&\s\"']+"
)
# Names of environment variables whose whole value is secret.
SECRET_NAME = re.compile(r"(SECRET|PASSWORD|TOKEN|_KEY|_AUTH|DSN|HEADERS)(_|$)", re.IGNORECASE)


def secrets_of(environment: Mapping[str, str]) -> set[str]:
    """Return the secrets in an environment: passwords in URLs, and values of secret variables.

    Of `name:password` and `name=password`, the password is a secret, too. Each secret is included
    as it appears in text: also URL-decoded, and escaped as in JSON.
    """
    found = set()
    for name, text in environment.items():
        for part in {text, *text.split(",")}:  # some variables have several values
            if SECRET_NAME.search(name):
                found.update({part, part.partition(":")[2], part.partition("=")[2]})
            if "://" in part:
                found.add(_password(part))
    found |= {unquote(secret) for secret in found}
    found |= {json.dumps(secret)[1:-1] for secret in found}
    return {secret for secret in found if len(secret) >= MIN_LENGTH}


def masking(secrets: Collection[str]) -> Callable[[str], str]:
    """Return a function that masks these secrets, and logins and tokens in URLs, in a line."""
    longest_first = sorted(secrets, key=len, reverse=True)

    def mask(line: str) -> str:
        # Each search is skipped in lines without the characters that it needs, to save time.
        for secret in longest_first:
            if secret in line:
                line = line.replace(secret, MASK)
        if "://" in line and "@" in line:
            line = LOGIN.sub(MASK, line)
        return TOKEN.sub(rf"\g<1>{MASK}", line) if "=" in line else line

    return mask


def _password(url: str) -> str:
    """Return the password in a URL, or ""."""
    try:
        return urlsplit(url).password or ""
    except ValueError:
        return ""
