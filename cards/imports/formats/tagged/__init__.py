"""Formats of lines that begin with a tag: RIS, MEDLINE, refer, and Web of Science's."""
