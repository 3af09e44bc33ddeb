"""The limits of requests, cards and imports. Lengths are in characters."""

from __future__ import annotations

TITLE_LENGTH = 500
TEXT_LENGTH = 20_000
LINK_LENGTH = 2048
COLLECTION_NAME_LENGTH = 200
COLLECTION_DESCRIPTION_LENGTH = 2000
CARDS_PER_REQUEST = 1000
COLLECTIONS_PER_CARD = 50
REFERENCE_BYTES = 16 * 1024
REFERENCE_PEOPLE = 500
TAG_LENGTH = 100
TAGS_PER_CARD = 100

# Limits of one import. Anything beyond them is refused with an error.
IMPORT_BYTES = 20 * 1024 * 1024
IMPORT_ROWS = 100_000
IMPORT_SECONDS = 120.0  # CPU time for reading the file
IMPORT_DEPTH = 100  # how deep folders, elements or brackets may nest
IMPORT_PROBLEMS = 10_000  # problems stored one by one
# The most rows one worker adds, so that other work gets the CPU for part of each second.
IMPORT_ROWS_PER_SECOND = 1_250
BATCH_ROWS = 100
BATCH_SECONDS = 3.0
PREVIEW_ROWS = 20
