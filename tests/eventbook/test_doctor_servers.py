"""The doctor on servers, work and settings: what needs real servers, or an eye on details."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings as project
from django.db.models.functions import Now

from eventbook.models import Audit, Delivery, Event, OutboxEntry, Priority
from eventbook.operate.diagnosis import Finding, safety, servers, work
from stack.embedded import Servers
from tests.eventbook.findings import ago, bad, found
from tests.harness.processes import ROOT, environment
from tests.harness.watched import System
from tests.probe.sending import send

pytestmark = pytest.mark.django_db(transaction=True)


def test_servers_that_do_not_answer_are_found_in_seconds(tmp_path: Path) -> None:
    system = System(tmp_path)
    url = f"postgres://commonplace@127.0.0.1:{system.database.port}/none"
    places = {
        "database": environment() | {"DATABASE_URL": url},
        "broker": environment() | {"REDIS_URL": system.broker_url},
    }
    system.database.blackhole()
    system.broker.blackhole()

    began = time.monotonic()
    doctors = {
        subject: subprocess.Popen(
            [sys.executable, "manage.py", "doctor", "--json"],
            cwd=ROOT,
            env=place,
            stdout=subprocess.PIPE,
        )
        for subject, place in places.items()
    }
    told = {subject: json.loads(doctor.communicate()[0]) for subject, doctor in doctors.items()}
    seconds = time.monotonic() - began
    system.stop()

    assert [doctor.returncode for doctor in doctors.values()] == [1, 1]
    for subject, other in (("database", "broker"), ("broker", "database")):
        findings = {row["subject"]: row for row in told[subject]}
        assert not findings[subject]["well"]
        assert "unreachable" in findings[subject]["text"]
        assert findings[subject]["advice"].startswith("Start")
        assert findings[other]["well"]
    assert seconds < 30


def test_slow_servers_are_found_and_the_rest_is_checked_as_before(tmp_path: Path) -> None:
    system = System(tmp_path)
    OutboxEntry.objects.create(
        event=Event.objects.create(type="probe.sent", version=1, subject="x", data={}, priority=5),
        type="probe.sent",
        priority=Priority.INTERACTIVE,
        recorded_at=ago(3600),
    )
    assert servers.database().well
    assert servers.broker().well
    system.database.delay_seconds = system.broker.delay_seconds = 1.2 * servers.SLOW_SECONDS

    doctor = subprocess.run(
        [sys.executable, "manage.py", "doctor", "--json"],
        cwd=ROOT,
        env=environment() | system.places,
        stdout=subprocess.PIPE,
        check=False,
    )
    system.stop()

    findings = [Finding(**row) for row in json.loads(doctor.stdout)]
    assert doctor.returncode == 1
    assert "responds in" in bad(findings, "database")
    assert "slowlog" in bad(findings, "broker")
    assert "Start a relay" in bad(findings, "relay")
    assert found(findings).keys() >= {
        *("broker settings", "migrations", "database session", "connections", "clock"),
        *("handlers", "queue feeds", "workers of feeds", "releases", "settings"),
    }


def test_connections_that_run_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(servers.database_settings())["connections"].well

    monkeypatch.setattr(servers, "MANY", 0.0)

    assert "max_connections" in bad(servers.database_settings(), "connections")


def test_the_clock_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(servers.database_settings())["clock"].well
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + 5)

    assert "this machine's is 5.0 s ahead of PostgreSQL's" in bad(
        servers.database_settings(), "clock"
    )


@pytest.mark.parametrize(
    ("name", "value", "subject", "words"),
    [
        ("appendonly", "no", "broker persistence", "set appendonly yes"),
        ("maxmemory", "1000000", "broker memory", "Raise maxmemory"),
    ],
)
def test_a_broker_that_forgets_or_is_full(name: str, value: str, subject: str, words: str) -> None:
    assert found(servers.broker_settings()).keys() == {"broker settings"}

    address = Servers(project.DATA_DIR).unix_url
    with closing(redis.Redis.from_url(address, decode_responses=True)) as client:
        before = str(client.config_get(name)[name])
        client.config_set(name, value)
        try:
            text = bad(servers.broker_settings(), subject)
        finally:
            client.config_set(name, before)

    assert words in text


def delivery(**fields: Any) -> None:
    """Create a waiting delivery."""
    send("a")
    event = Event.objects.get()
    OutboxEntry.objects.all().delete()
    defaults = {"queue": "feeds", "handler": "probe.call", "due_at": Now(), "recorded_at": Now()}
    Delivery.objects.create(event=event, priority=Priority.BULK, **(defaults | fields))


def test_work_for_a_queue_or_a_handler_that_is_no_more() -> None:
    delivery(queue="letters", handler="letters.write")

    assert "1 deliveries wait in a removed queue" in bad(
        work.findings(has_broker=True), "queue letters"
    )
    text = bad(work.findings(has_broker=True), "handlers")
    assert "letters.write" in text
    assert "dead-letters discard --removed" in text


def test_an_auditor_that_has_stopped() -> None:
    assert found(work.findings(has_broker=True))["audit"].well

    Audit.objects.create(rule="every_event_has_its_deliveries", violations=0)
    Audit.objects.update(checked_at=ago(600))

    assert "last ran 10 min ago → Check that beat runs" in bad(
        work.findings(has_broker=True), "audit"
    )


def test_plain_http_is_for_one_machine(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "one machine" in found(safety.findings())["settings"].text

    settings.EMBEDDED = False
    monkeypatch.setitem(settings.DATABASES["default"], "HOST", "db.internal")

    text = bad(safety.findings(), "setting INSECURE_HTTP")
    assert "Without METRICS_TOKEN, /metrics is open" in text
