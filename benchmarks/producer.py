"""`python -m benchmarks.producer MODULE`: a process that adds cards on orders of base.Producer.

The module has a function of (card id, curator id) for each *way*: `write` commits the card and
enqueues its work; `enqueue` enqueues the work of an existing card.
"""

from __future__ import annotations

import importlib
import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import django

Way = Callable[[UUID, int], None]


def main() -> None:
    """Carry out orders, one per line of standard input."""
    django.setup()
    module = importlib.import_module(sys.argv[1])
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        cards = [(UUID(id), curator) for id, curator in json.loads(Path(order["file"]).read_text())]
        produce(getattr(module, order["way"]), cards, order["writers"], order["rate"])
        print("done", flush=True)


def produce(way: Way, cards: list[tuple[UUID, int]], writers: int, rate: float) -> None:
    """Add cards with `writers` threads; with a rate (cards per second), each at its due time."""
    began = time.monotonic() + 0.01
    numbered = iter(enumerate(cards))
    lock = threading.Lock()
    errors: list[Exception] = []

    def work() -> None:
        """Add cards until none is left or one fails."""
        try:
            while True:
                with lock:
                    number, card = next(numbered, (0, None))
                if card is None:
                    return
                if rate:
                    time.sleep(max(0.0, began + number / rate - time.monotonic()))
                way(*card)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


if __name__ == "__main__":
    main()
