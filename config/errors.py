"""Errors for people at a terminal."""


class SaysWhatToDo(RuntimeError):
    """An error whose message says what went wrong and what to do; shown without a traceback."""
