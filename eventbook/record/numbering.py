"""Number the events of a subject: 1, 2, … The last number is the subject's version.

A row for each subject (`eventbook_aggregate`) is locked from an event's recording to the end of the
transaction. So numbers are in the order of commits, and a rollback leaves no gap.
"""

from __future__ import annotations

from eventbook.database.statements import execute
from eventbook.declare.events import numbered_types

LOCK = """
    INSERT INTO eventbook_aggregate AS known (subject, number) VALUES (%s, 0)
    ON CONFLICT (subject) DO UPDATE SET number = known.number
    RETURNING number
"""
# For the statement that records one event, which may do nothing because of the event's key.
NUMBERED = """
    , numbered AS (
        INSERT INTO eventbook_numberedevent (subject, number, event_id)
        SELECT %s, %s, id FROM recorded RETURNING subject, number
    ), counted AS (
        UPDATE eventbook_aggregate SET number = numbered.number
        FROM numbered WHERE eventbook_aggregate.subject = numbered.subject
    )
"""
NUMBER_OLDER = """
    WITH older AS MATERIALIZED (
        SELECT id, row_number() OVER (ORDER BY recorded_at, id) AS place
        FROM eventbook_event AS event
        WHERE subject = %(subject)s AND type = ANY(%(types)s)
          AND NOT EXISTS (SELECT FROM eventbook_numberedevent AS numbered
                          WHERE numbered.subject = event.subject AND event_id = event.id)
    ), numbered AS (
        INSERT INTO eventbook_numberedevent (subject, number, event_id)
        SELECT subject, number + place, id
        FROM eventbook_aggregate, older WHERE subject = %(subject)s
    )
    UPDATE eventbook_aggregate SET number = number + (SELECT count(*) FROM older)
    WHERE subject = %(subject)s RETURNING number
"""


class VersionConflict(Exception):
    """The subject's version isn't the `expected` one: another transaction was first."""

    def __init__(self, subject: str, expected: int, actual: int) -> None:
        super().__init__(f"{subject} has version {actual}, not {expected}: read it again.")
        self.subject, self.expected, self.actual = subject, expected, actual


def lock_version(subject: str) -> int:
    """Lock a subject's version until the transaction ends, and return it.

    A subject without numbers may have older events, of a time when their type wasn't numbered yet.
    They get their numbers now.
    """
    ((version,),) = execute(LOCK, [subject]).rows
    return int(version) or number_older(subject)


def number_older(subject: str) -> int:
    """Give numbers to the events that should have one, and return the subject's new version.

    The subject's version must be locked.
    """
    parameters = {"subject": subject, "types": numbered_types()}
    ((version,),) = execute(NUMBER_OLDER, parameters).rows
    return int(version)
