"""Responses that are files, generated while they are sent."""

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

from api.refusals import TryLater

# How a cell begins that spreadsheets may run as a formula, which can do harm. Full-width signs
# count, and so do white space and invisible characters before a sign. A leading apostrophe
# disarms a formula; it is in the pattern so that `unescape_formula` can undo `escape_formula`
# exactly.
FORMULA = re.compile(
    r"[=+\-@＝＋－＠﹢﹣﹦﹫'\s\x00-\x1f\x7f\xad\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]"
)
PIECE_LENGTH = 16 * 1024  # characters that are sent in one piece
TOO_MANY = "You have too many downloads running; wait until one is complete."
BUSY_SECONDS = 10  # `Retry-After` while too many downloads are running


class NoNegotiation(BaseContentNegotiation):
    """Skip content negotiation: a file has one type, whatever the client accepts."""

    def select_parser(self, request: Request, parsers: Iterable[Any]) -> Any:
        """Return the first parser; downloads parse no body."""
        return next(iter(parsers))

    def select_renderer(
        self, request: Request, renderers: Iterable[Any], format_suffix: str | None = None
    ) -> Any:
        """Return the first renderer, which is used for errors only."""
        first = next(iter(renderers))
        return first, first.media_type


class ServerBusy(APIException):
    """This process is already sending the maximum number of files."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "Too many downloads are running; try again in a few seconds."
    default_code = "unavailable"
    wait = BUSY_SECONDS


class Download:
    """The pieces of a file. Until it is closed, it counts towards its reader's limit."""

    _lock = threading.Lock()
    _open = Counter[int]()

    def __init__(self, pieces: Iterator[bytes], *, reader_id: int) -> None:
        """Count the download; raise TryLater or ServerBusy at a limit."""
        with self._lock:
            if self._open[reader_id] >= settings.WEB.exports_per_person:
                raise TryLater(TOO_MANY, BUSY_SECONDS)
            if self._open.total() >= settings.WEB.exports_per_process:
                raise ServerBusy
            self._open[reader_id] += 1
        self._pieces, self._reader_id = pieces, reader_id
        self._is_open = True

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        """Free the download's slot. Django calls this when the response ends, even by an error."""
        with self._lock:
            if self._is_open:
                self._is_open = False
                self._open[self._reader_id] -= 1
                if not self._open[self._reader_id]:
                    del self._open[self._reader_id]


def file_response(
    parts: Iterable[str], *, name: str, type: str, reader_id: int
) -> StreamingHttpResponse:
    """Stream the parts as a file of that name; raise TryLater or ServerBusy."""
    return StreamingHttpResponse(
        Download(in_pieces(parts), reader_id=reader_id),
        content_type=f"{type}; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def in_pieces(parts: Iterable[str]) -> Iterator[bytes]:
    """Join small parts into UTF-8 pieces of at least 16 Ki characters; the last may be shorter."""
    waiting: list[str] = []
    length = 0
    for part in parts:
        waiting.append(part)
        length += len(part)
        if length > PIECE_LENGTH:
            yield "".join(waiting).encode("utf-8", "replace")
            waiting, length = [], 0
    yield "".join(waiting).encode("utf-8", "replace")


class _Echo:
    """A file for `csv.writer` that returns each line instead of storing it."""

    def write(self, text: str) -> str:
        return text


def csv_lines(rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Yield rows as lines of CSV (RFC 4180), with formulas disarmed."""
    writer: Any = csv.writer(_Echo())
    for row in rows:
        yield writer.writerow([escape_formula(cell) for cell in row])


def escape_formula(cell: Any) -> Any:
    """Return a cell, with an apostrophe in front if a spreadsheet might run it as a formula."""
    return f"'{cell}" if isinstance(cell, str) and FORMULA.match(cell) else cell


def unescape_formula(cell: str) -> str:
    """Return a cell without the apostrophe that `escape_formula` put in front of it."""
    return cell[1:] if cell[:1] == "'" and FORMULA.match(cell, 1) else cell
