"""The web process: uvicorn with bounds for every client, Django in threads, streams in the loop."""
