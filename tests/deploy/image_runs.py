"""`make image`: web, relay and workers run from the image, on the servers of the test run.

No part of `make test`: it needs root, and the image that deploy/image.sh builds.
"""

from __future__ import annotations

import os
import secrets
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from django.conf import settings

from tests.deploy.facts import FLY, PROCESSES
from tests.harness.processes import environment, free_port, wait_for

pytestmark = pytest.mark.django_db(transaction=True)

IMAGE = os.environ.get("IMAGE", "commonplace")
GROUPS = ("web", "relay", "notification-worker", "feed-worker")
PASSED_ON = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "INSECURE_HTTP")


@contextmanager
def running(group: str, folder: Path, **variables: str) -> Iterator[Path]:
    """Run a process group's command in a container of its own while the block runs."""
    container = run("buildah", "from", IMAGE)
    given = environment()
    options = [f"--env={name}={text}" for name, text in FLY["env"].items()]
    options += [f"--env={name}={given[name]}" for name in PASSED_ON]
    options += [f"--env={name}={text}" for name, text in variables.items()]
    log = folder / f"{group}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *("buildah", "run", "--isolation", "chroot", *options),
                # The sockets of PostgreSQL and the broker; everybody may connect to them here.
                *("--volume", f"{settings.DATA_DIR}:{settings.DATA_DIR}", "--user", "root"),
                *(container, "--", *shlex.split(PROCESSES[group])),
            ],
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield log
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=10)
        run("buildah", "rm", container)


def run(*command: str) -> str:
    """Run a command, and return what it printed."""
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_a_card_reaches_a_follower_through_processes_of_the_image(tmp_path: Path) -> None:
    port = free_port()
    with ExitStack() as ending:
        logs = [
            ending.enter_context(
                running(
                    group,
                    tmp_path,
                    WEB_ADDRESS="127.0.0.1",
                    WEB_PORT=str(port),
                    HEALTH_PORT="0",
                    ALLOWED_HOSTS="127.0.0.1",
                )
            )
            for group in GROUPS
        ]
        api = ending.enter_context(
            httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1/", timeout=30)
        )
        try:
            wait_for(lambda: is_ready(port), seconds=90, what="the web server is ready")
            alice, bob = (registered(api, name) for name in ("alice", "bob"))
            api.put("users/alice/follow/", headers=bob, json={}).raise_for_status()
            card = api.post(
                "cards/", headers=alice, json={"type": "URL", "url": "https://www.python.org/"}
            ).raise_for_status()
            wait_for(
                lambda: card.json()["id"] in in_feed(api, bob),
                seconds=90,
                what="the card is in the follower's feed",
            )
        except AssertionError as error:
            ends = "\n".join(f"{log.name}:\n{log.read_text()[-2000:]}" for log in logs)
            raise AssertionError(f"{error}\n{ends}") from error


def is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def registered(api: httpx.Client, name: str) -> dict[str, str]:
    """Register a person, and return the header that says who they are."""
    answer = api.post(
        "auth/register/",
        json={
            "username": name,
            "email": f"{name}@example.org",
            "password": secrets.token_urlsafe(16),
        },
    ).raise_for_status()
    return {"Authorization": f"Token {answer.json()['token']}"}


def in_feed(api: httpx.Client, person: dict[str, str]) -> set[str]:
    """Return the ids of the cards in somebody's following feed."""
    feed = api.get("feeds/following/", headers=person).raise_for_status().json()
    return {entry.get("card", entry)["id"] for entry in feed["results"]}
