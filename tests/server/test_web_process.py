"""The processes of the site: who takes whose place, and who ends with whom."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from django.db import connection, transaction
from django.test import Client

from accounts.models import User
from eventbook.models import Process
from server.health import _Migrations
from tests.harness.processes import wait_for
from tests.harness.web import WebProcess
from tests.library import token_of
from tests.server.slow.clients import CARDS, answer_to, post

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def web(transactional_db: None, tmp_path: Path) -> Iterator[WebProcess]:
    running = WebProcess(tmp_path / "web.log", PROCESS_NAME="web")
    yield running
    if running.popen.poll() is None:
        running.stop()


def test_a_process_that_died_is_replaced_and_a_stop_leaves_nothing(web: WebProcess) -> None:
    died = web.worker
    died.kill()
    wait_for(lambda: is_another(web, died), seconds=30, what="another one serves")
    second = web.worker

    assert web.stop() == 0
    assert not second.is_running()
    wait_for(
        lambda: not Process.objects.filter(group="web", pid=second.pid).exists(),
        seconds=5, what="it has signed off",
    )  # fmt: skip


def test_a_process_that_dies_during_a_health_check_is_replaced_at_once(web: WebProcess) -> None:
    died = web.worker
    died.suspend()
    time.sleep(1.5)  # the main process checks every 0.5 seconds, and waits for the response
    died.kill()

    wait_for(lambda: is_another(web, died), seconds=30, what="another one serves")
    assert web.stop() == 0


def is_another(web: WebProcess, died: psutil.Process) -> bool:
    try:
        return web.worker.pid != died.pid and web.answers()
    except (ValueError, psutil.Error):
        return False


def test_a_process_ends_with_its_parent_even_if_that_is_killed(web: WebProcess) -> None:
    worker = web.worker

    os.kill(web.popen.pid, signal.SIGKILL)
    web.popen.wait()

    wait_for(lambda: not worker.is_running(), seconds=10, what="the worker has ended")


def test_a_client_that_waits_for_leave_to_send_its_body_gets_it(
    web: WebProcess, alice: User
) -> None:
    body = b'{"type": "NOTE", "text": "."}'
    length = f"Content-Length: {len(body)}"
    with socket.create_connection(("127.0.0.1", web.port), timeout=10) as connection:
        head = post(CARDS, length, "Expect: 100-continue", token=token_of(alice))
        connection.sendall(head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        leave = connection.recv(1000)
        connection.sendall(body)
        answer = answer_to(connection)
    with socket.create_connection(("127.0.0.1", web.port), timeout=10) as connection:
        connection.sendall(post(CARDS, "Content-Length: 3000000", "Expect: 100-continue"))
        refused = answer_to(connection)

    assert leave == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert answer.startswith(b"HTTP/1.1 201 ")
    assert refused.startswith(b"HTTP/1.1 413 ")


def test_a_web_process_without_its_migrations_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Migrations, "applied", False)  # another test may have asked before
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'feeds'")
        answer = Client().get("/readyz")
        transaction.set_rollback(True)

    assert answer.status_code == 503
    assert "manage.py migrate" in answer.json()["reason"]
    assert Client().get("/readyz").status_code == 200
