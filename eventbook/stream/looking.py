"""One poll of PostgreSQL for new rows, for many streams at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from eventbook.database.ids import first_id_at_seconds
from eventbook.database.statements import execute
from eventbook.stream.cursors import Moment, mark_of
from eventbook.stream.resets import resets
from eventbook.stream.sources import MOST, Pair, Since, Source, changes, sources
from eventbook.stream.streams import Stream

# A poll that is not full reads only keys (UUIDv7) younger than this: most new rows have a new key.
RECENT_SECONDS = 60
# How long before its commit a row may have got its timestamp, at most: a query by time must reach
# back this much further.
SLACK_SECONDS = 180
ANY_KEY = UUID(int=0)

MOMENT = """
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
           pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
           extract(epoch FROM clock_timestamp())::float
"""

Render = Callable[[Any], bytes]
News = Sequence[tuple[UUID, int, str]]  # key, transaction, mark


def look(streams: Sequence[Stream], *, fully: Collection[Stream], render: Render) -> None:
    """Poll once, and send the streams their new rows.

    Streams in `fully`, and new streams, get a full poll of all their newest rows. The others are
    polled only for rows with a recent key, which costs next to nothing for an idle stream. A new
    row with an older key (its event was delivered late) is found by the next full poll.
    """
    now = Moment(*execute(MOMENT).rows[0])
    for stream in streams:
        if not stream.begun and not stream.begin(now):
            stream.missed |= set(sources)
    full = {*fully, *(stream for stream in streams if not stream.settled)}
    since = since_of(streams, full, now)
    note_resets(streams, since)
    for source in sources.values():
        if found := changes(source, since):
            tell(source, found, streams, render)
    for stream in streams:
        stream.end_look(now, full=stream in full)


def since_of(streams: Sequence[Stream], full: Collection[Stream], now: Moment) -> Since:
    """Return where the poll starts: for each person, the lowest start of that person's streams."""
    recent = first_id_at_seconds(now.at - RECENT_SECONDS)
    horizons: dict[int, int] = {}
    firsts: dict[int, UUID] = {}
    for stream in streams:
        person = stream.person_id
        horizons[person] = min(horizons.get(person, stream.horizon), stream.horizon)
        first = ANY_KEY if stream in full else recent
        firsts[person] = min(firsts.get(person, first), first)
    oldest = min(stream.at for stream in streams) - SLACK_SECONDS
    return Since(
        list(horizons),
        list(horizons.values()),
        list(firsts.values()),
        now.at - oldest,
        first_id_at_seconds(oldest),
    )


def note_resets(streams: Sequence[Stream], since: Since) -> None:
    """Note the sources whose pages clients must read again; their rows are not sent as well."""
    for person, name, xid, mark in resets(since):
        for stream in streams:
            if stream.person_id == person and stream.is_news(mark, xid):
                stream.note({mark: xid})
                if not stream.silent:
                    stream.missed.add(name)


def tell(
    source: Source,
    found: Sequence[tuple[int, UUID, int]],
    streams: Sequence[Stream],
    render: Render,
) -> None:
    """Send the streams the new rows of a source, or note a reset where MOST rows were found.

    `found` has (person, key, transaction). With MOST rows, there may be more that were not read.
    """
    changed: defaultdict[int, list[tuple[UUID, int, str]]] = defaultdict(list)
    for person, key, xid in found:
        changed[person].append((key, xid, mark_of(source.name, key, xid)))
    news = {stream: news_of(stream, changed[stream.person_id]) for stream in streams}
    for stream, new in news.items():
        if len(new) >= MOST and not stream.silent:
            stream.missed.add(source.name)
    quiet = {stream for stream in news if stream.silent or source.name in stream.missed}
    pairs = {
        (stream.person_id, key)
        for stream, new in news.items()
        if stream not in quiet
        for key, _, _ in new
    }
    shown = source.shown(pairs) if pairs else {}
    pieces = rendered(shown, render)
    for stream, new in news.items():
        if stream in quiet:
            stream.note({mark: xid for _, xid, mark in new})
            continue
        # Grouped by key: several changed rows can belong to one thing, which is sent once.
        marks: defaultdict[UUID, dict[str, int]] = defaultdict(dict)
        for key, xid, mark in new:
            marks[key][mark] = xid
        for key, of_key in marks.items():
            stream.told |= of_key
            if piece := pieces.get((stream.person_id, key)):
                stream.tell(source.name, piece)


def news_of(stream: Stream, changed: News) -> News:
    """Return those of a person's changes that a stream has not sent."""
    return [change for change in changed if stream.is_news(change[2], change[1])]


def rendered(shown: Mapping[Pair, Any], render: Render) -> dict[Pair, bytes]:
    """Return the data as JSON; an object that is shown to many people is rendered once."""
    written: dict[int, bytes] = {}
    for data in shown.values():
        if id(data) not in written:
            written[id(data)] = render(data)
    return {pair: written[id(data)] for pair, data in shown.items()}
