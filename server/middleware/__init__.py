"""Middleware for response headers and compression."""
