"""One poll of PostgreSQL for new rows, for many streams at once.

A *reset* makes a client read a source's pages again (resets.py). A *mark* stands for one version of
a row in a cursor (cursors.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import groupby
from typing import Any
from uuid import UUID

from eventbook.database.ids import first_id_at_seconds
from eventbook.database.statements import execute
from eventbook.stream.cursors import Moment
from eventbook.stream.resets import resets
from eventbook.stream.sources import MAX_ROWS, Change, Pair, Since, Source, changes, sources
from eventbook.stream.streams import Phase, Stream

# In a poll that is not full, sources may leave out rows with a key (UUIDv7) older than this.
RECENT_SECONDS = 60
# A query by time starts this long before the oldest stream's last full poll: a row can get its
# timestamp this long before its commit.
SLACK_SECONDS = 180
ANY_KEY = UUID(int=0)

MOMENT = """
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
           pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
           extract(epoch FROM clock_timestamp())::float
"""

Render = Callable[[Any], bytes]


def poll(streams: Sequence[Stream], *, fully: Collection[Stream], render: Render) -> None:
    """Poll once, and send the streams their new rows.

    Streams in `fully`, and those in their first poll, are polled for new rows with any key. For the
    others, sources may leave out rows with an older key, which costs next to nothing for an idle
    stream. A row written long after its key was made (a late delivery) is found by the next full
    poll.
    """
    now = Moment(*execute(MOMENT).rows[0])
    for stream in streams:
        if stream.phase is Phase.NEW and not stream.begin(now):
            stream.resets_due |= set(sources)
    fully = {*fully, *(stream for stream in streams if stream.phase is not Phase.LIVE)}
    since = since_of(streams, fully, now)
    note_resets(streams, since)
    for source in sources.values():
        if found := changes(source, since):
            send_changes(source, found, streams, render)
    for stream in streams:
        stream.end_poll(now, full=stream in fully)


def since_of(streams: Sequence[Stream], fully: Collection[Stream], now: Moment) -> Since:
    """Return how far back the poll reads: for each person, as far as one of their streams needs."""
    recent = first_id_at_seconds(now.at - RECENT_SECONDS)
    horizons: dict[int, int] = {}
    firsts: dict[int, UUID] = {}
    for stream in streams:
        person = stream.person_id
        horizons[person] = min(horizons.get(person, stream.horizon), stream.horizon)
        first = ANY_KEY if stream in fully else recent
        firsts[person] = min(firsts.get(person, first), first)
    oldest = min(stream.at for stream in streams) - SLACK_SECONDS
    return Since(
        next_xid=now.next_xid,
        people=list(horizons),
        horizons=list(horizons.values()),
        firsts=list(firsts.values()),
        seconds=now.at - oldest,
        earliest=first_id_at_seconds(oldest),
    )


def note_resets(streams: Sequence[Stream], since: Since) -> None:
    """Note a reset for each source whose pages clients must read again, and send no rows of it."""
    for reset in resets(since):
        for stream in streams:
            if stream.person_id == reset.person_id and stream.is_unsent(reset.xid, reset.mark):
                stream.mark_without_sending(reset.xid, reset.mark)
                if stream.phase is not Phase.JOINING:
                    stream.resets_due.add(reset.source)


def send_changes(
    source: Source, found: Sequence[Change], streams: Sequence[Stream], render: Render
) -> None:
    """Send the streams a source's changes, or note a reset for a stream with MAX_ROWS of them.

    Sources read at most MAX_ROWS, so that many may mean more.
    """
    by_person: defaultdict[int, list[Change]] = defaultdict(list)
    for change in found:
        by_person[change.person_id].append(change)
    sending: dict[Stream, list[Change]] = {}
    for stream in streams:
        unsent = [
            change
            for change in by_person[stream.person_id]
            if stream.is_unsent(change.xid, change.mark)
        ]
        if len(unsent) >= MAX_ROWS and stream.phase is not Phase.JOINING:
            stream.resets_due.add(source.name)
        if stream.phase is Phase.JOINING or source.name in stream.resets_due:
            for change in unsent:
                stream.mark_without_sending(change.xid, change.mark)
        else:
            sending[stream] = unsent
    pairs = {(change.person_id, change.key) for unsent in sending.values() for change in unsent}
    pieces = rendered(source.load_data(pairs), render) if pairs else {}
    for stream, unsent in sending.items():
        # Grouped by key: several changed rows can belong to one thing, which is sent once.
        for key, of_key in groupby(unsent, key=lambda change: change.key):
            stream.sent_marks |= {change.mark: change.xid for change in of_key}
            if piece := pieces.get((stream.person_id, key)):
                stream.send_event(source.name, piece)


def rendered(data: Mapping[Pair, Any], render: Render) -> dict[Pair, bytes]:
    """Return the data as JSON; an object that is sent to many people is rendered once."""
    pieces: dict[int, bytes] = {}
    for each in data.values():
        if id(each) not in pieces:
            pieces[id(each)] = render(each)
    return {pair: pieces[id(each)] for pair, each in data.items()}
