"""The web process: uvicorn with limits for each client, in front of Django.

Django's views run in a few threads. Waiting for clients, and live streams (responses that stay open
for updates), is the work of the event loop.
"""
