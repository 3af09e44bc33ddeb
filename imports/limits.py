"""How much one import may hold: the rest is refused, and the import says so."""

from __future__ import annotations

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
