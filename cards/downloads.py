"""Answers that are files, written while they are sent."""

from __future__ import annotations

import csv
import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.conf import settings
from django.http import StreamingHttpResponse
from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request

# A spreadsheet takes what begins so for a formula, which may do harm: also in full width, and with
# white space or unseen signs before it. The apostrophe is what makes it harmless.
FORMULA = re.compile(
    r"[=+\-@＝＋－＠﹢﹣﹦﹫'\s\x00-\x1f\x7f\xad\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]"
)
GATHERED = 16 * 1024  # characters that are sent together


class AnyType(BaseContentNegotiation):
    """A file is of the type that it is, whatever a client would rather have."""

    def select_parser(self, request: Request, parsers: Iterable[Any]) -> Any:
        """Return the first parser; nothing is parsed."""
        return next(iter(parsers))

    def select_renderer(
        self, request: Request, renderers: Iterable[Any], format_suffix: str | None = None
    ) -> Any:
        """Return what renders the errors."""
        first = next(iter(renderers))
        return first, first.media_type


class TooManyDownloads(APIException):
    """One person downloads as many files as one may."""

    status_code = status.HTTP_429_TOO_MANY_REQUESTS
    default_detail = "You download as many files at once as one may; wait until one is complete."
    default_code = "too_many_downloads"
    wait = 10


class NoRoom(APIException):
    """This process sends as many files as it may."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "Many people are downloading files; try again in a few seconds."
    default_code = "unavailable"
    wait = 10


class Download:
    """The pieces of a file; it counts as one of its reader's until it is closed."""

    _lock = threading.Lock()
    _open = Counter[int]()

    def __init__(self, pieces: Iterator[bytes], *, reader_id: int) -> None:
        with self._lock:
            if self._open[reader_id] >= settings.WEB.exports_per_person:
                raise TooManyDownloads
            if self._open.total() >= settings.WEB.exports_per_process:
                raise NoRoom
            self._open[reader_id] += 1
        self._pieces, self._reader_id = pieces, reader_id
        self._is_open = True

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        """Make room for another one; Django calls it when the response ends, however it ends."""
        with self._lock:
            if self._is_open:
                self._is_open = False
                self._open[self._reader_id] -= 1
                if not self._open[self._reader_id]:
                    del self._open[self._reader_id]


def file_response(
    parts: Iterable[str], *, name: str, type: str, reader_id: int
) -> StreamingHttpResponse:
    """Return a file of that name, made of these parts; raise TooManyDownloads, or NoRoom."""
    return StreamingHttpResponse(
        Download(gathered(parts), reader_id=reader_id),
        content_type=f"{type}; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def gathered(parts: Iterable[str]) -> Iterator[bytes]:
    """Return parts in pieces that are worth sending."""
    waiting: list[str] = []
    length = 0
    for part in parts:
        waiting.append(part)
        length += len(part)
        if length > GATHERED:
            yield "".join(waiting).encode("utf-8", "replace")
            waiting, length = [], 0
    yield "".join(waiting).encode("utf-8", "replace")


class _Echo:
    def write(self, text: str) -> str:
        return text


def csv_lines(rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Return rows as lines of CSV (RFC 4180), with nothing that is taken for a formula."""
    writer: Any = csv.writer(_Echo())
    for row in rows:
        yield writer.writerow([harmless(cell) for cell in row])


def harmless(cell: Any) -> Any:
    """Return a cell with an apostrophe before what would be taken for a formula."""
    return f"'{cell}" if isinstance(cell, str) and FORMULA.match(cell) else cell


def as_written(cell: str) -> str:
    """Return a cell without the apostrophe that `harmless` put before it."""
    return cell[1:] if cell[:1] == "'" and FORMULA.match(cell, 1) else cell
