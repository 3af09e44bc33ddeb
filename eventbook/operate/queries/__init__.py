"""Reads of the event system's state: every page and command gets its figures here."""
