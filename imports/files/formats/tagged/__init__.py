"""Formats whose lines begin with a tag: RIS, MEDLINE, refer and Web of Science."""
