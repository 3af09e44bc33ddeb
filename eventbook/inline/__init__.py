"""A relay without a broker and workers: it runs the handlers in its own child processes."""
