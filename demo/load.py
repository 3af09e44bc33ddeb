"""`python -m demo.load`: add pages at a steady rate, as a load to practise operating with.

The load needs only the API of a running installation (`--url`) and registers its own readers. It
adds pages for `--seconds`, or until Ctrl-C or SIGTERM. Then it prints how many pages were added,
and waits until the last one is in every reader's feed. A second Ctrl-C or SIGTERM ends that wait.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import sys
import time

import httpx

from demo.client import Client, Refused

READERS = 10
DRAIN_SECONDS = 600.0
POLL_SECONDS = 0.5
COUNTED_ENTRIES = 1000  # the newest entries of a feed; older ones are trimmed
# Above this rate the client is the limit, not the system; use `make bench` instead.
MAX_RATE = 200.0
MAX_SECONDS = 86_400.0


class NotDelivered(Exception):
    """A page that was added did not appear in a follower's feed in time."""


def main() -> int:
    """Run the load and return the exit code: 0 if every page arrived in every feed."""
    options = parse_options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    client = Client(options.url, connections=2)
    try:
        author, followers = register(client)
        print(f"{READERS} readers follow one who adds {options.rate:g} pages a second.", flush=True)
        added = add(client, author, rate=options.rate, seconds=options.seconds)
        print(f"{added} pages added.", flush=True)
        wait(client, followers, added)
        print(f"All arrived in the feeds of {READERS} readers.", flush=True)
    except (Refused, NotDelivered, httpx.TransportError) as error:
        print(f"The load stopped: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; the added pages will still be delivered.", file=sys.stderr)
        return 130
    return 0


def parse_options() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m demo.load", description=__doc__)
    default = f"http://127.0.0.1:{os.environ.get('PORT') or 8000}"
    parser.add_argument("--url", default=default, help=f"the installation's address ({default})")
    parser.add_argument("--rate", type=float, default=10.0, help="pages a second (10)")
    parser.add_argument("--seconds", type=float, default=300.0, help="how long to add pages (300)")
    options = parser.parse_args()
    if not 0 < options.seconds <= MAX_SECONDS:
        parser.error(f"--seconds must be more than 0 and at most {MAX_SECONDS:g}.")
    if not 0 < options.rate <= MAX_RATE:
        parser.error(f"--rate must be more than 0 and at most {MAX_RATE:g}.")
    return options


def register(client: Client) -> tuple[str, list[str]]:
    """Register an author and followers; return the author's token and the followers' tokens."""
    run, password = secrets.token_hex(3), secrets.token_urlsafe(12)
    author = f"author-{run}"
    token = client.register(author, password)
    followers = [client.register(f"reader-{n}-{run}", password) for n in range(READERS)]
    for follower in followers:
        client.follow(follower, author, notify=True)
    return token, followers


def add(client: Client, token: str, *, rate: float, seconds: float) -> int:
    """Add pages until the time is over or a signal asks to stop, and return how many.

    `rate` is in pages a second.
    """
    # The handler only notes the signal: an exception raised during garbage collection is lost.
    stopped: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: stopped.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    began, added = time.monotonic(), 0
    end = began + seconds
    while not stopped and time.monotonic() < end and (due := began + (added + 1) / rate) <= end:
        if (early := due - time.monotonic()) > 0:
            time.sleep(min(early, POLL_SECONDS))
        else:
            client.add(token, f"https://load.example/{secrets.token_hex(8)}")
            added += 1
    for number, handler in before.items():
        signal.signal(number, handler)
    return added


def wait(client: Client, followers: list[str], added: int) -> None:
    """Wait until every follower's feed has the added pages; raise NotDelivered after a timeout."""
    deadline, due = time.monotonic() + DRAIN_SECONDS, min(added, COUNTED_ENTRIES)
    for follower in followers:
        while (arrived := len(client.newest(follower, "feeds/following/", due))) < due:
            if time.monotonic() > deadline:
                raise NotDelivered(
                    f"after {DRAIN_SECONDS:.0f} s a follower has {arrived} of {due} pages."
                    " Run `manage.py doctor`."
                )
            time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
