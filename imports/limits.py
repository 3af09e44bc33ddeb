"""How much one import may hold, and how its rows are divided."""

from __future__ import annotations

IMPORT_BYTES = 20 * 1024 * 1024
IMPORT_ROWS = 100_000
IMPORT_SECONDS = 120.0  # CPU time for reading the file
IMPORT_DEPTH = 100  # how deep folders, elements or brackets may nest
IMPORT_PROBLEMS = 10_000  # problems stored for the owner to read; the rest are only counted
# How many rows a worker adds per second at most, so that other work gets some of the CPU.
IMPORT_ROWS_PER_SECOND = 1_250
BATCH_ROWS = 100  # rows that are added in one transaction
BATCH_SECONDS = 3.0  # after this time, a batch is written with fewer rows
PREVIEW_ROWS = 20  # rows that a dry run shows
