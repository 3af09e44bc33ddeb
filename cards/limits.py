"""How much of anything one request or one card may have."""

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

# Of an import: what is beyond is refused, and says so.
IMPORT_BYTES = 20 * 1024 * 1024
IMPORT_ROWS = 100_000
IMPORT_SECONDS = 120.0  # of the processor, for reading
IMPORT_DEPTH = 100  # of folders, elements, brackets
IMPORT_PROBLEMS = 10_000  # that are kept one by one
# One worker adds no more, so that the processor is others' for part of each second.
IMPORT_ROWS_PER_SECOND = 1_250
BATCH_ROWS = 100
BATCH_SECONDS = 3.0
PREVIEW_ROWS = 20
