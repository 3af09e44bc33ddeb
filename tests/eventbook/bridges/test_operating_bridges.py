"""What operators see of bridges, and what they can do."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from eventbook.models import BridgeEntry, Event, Operation, ParkedMessage, Process
from eventbook.operate.diagnosis import bridges as diagnosis
from tests.eventbook.bridges.conftest import SEEN, Configure
from tests.eventbook.conftest import Staff
from tests.eventbook.findings import bad, found
from tests.harness.scraping import scrape
from tests.probe.sending import send

pytestmark = pytest.mark.django_db(transaction=True)

URL = "nats://user:a-secret-password@nats.example:4222/EVENTS"


def run(*arguments: str) -> str:
    output = StringIO()
    call_command("bridge", *arguments, stdout=output)
    return output.getvalue()


def park(key: str, reason: str = "It is too large.") -> ParkedMessage:
    send(key)
    entry = BridgeEntry.objects.get()
    entry.delete()
    return ParkedMessage.objects.create(bridge="one", event_id=entry.event_id, reason=reason)


def is_running(duty: str) -> None:
    Process.objects.create(group="bridge", host="h", pid=1, release="r", queues=[duty])


def test_a_password_is_in_no_representation_or_finding(configure: Configure) -> None:
    bridge = configure("one", URL)
    send("a")

    assert "a-secret-password" not in repr(bridge)
    assert "a-secret-password" not in str(list(diagnosis.findings()))
    assert "nats://nats.example:4222/EVENTS" in str(list(diagnosis.findings()))


def test_the_path_of_a_web_address_may_be_a_secret_too(configure: Configure) -> None:
    configure("one", "https://hooks.example/a-secret?key=another-secret")

    findings = str(list(diagnosis.findings()))

    assert "https://hooks.example/…" in findings
    assert "secret" not in findings


@pytest.mark.parametrize(
    "url",
    [
        "nats://user:a-secret/password@host:4222/EVENTS",
        "nats://user:a-secret#password@host:4222",
        "nats://user:a-secret?password@host:4222",
        "nats://a-secret:password:4222",
        "nats:a-secret",
        "a-secret",
        "nats://[a-secret",
    ],
)
def test_a_url_with_a_fault_is_reported_without_its_parts(configure: Configure, url: str) -> None:
    configure("one", url)

    findings = list(diagnosis.findings())

    assert "secret" not in str(findings)
    assert "password" not in str(findings)
    assert not found(findings)["bridge one"].well or len(findings) > 1
    with pytest.raises(CommandError, match="URL"):
        run("publish", "one")


def test_the_doctor_says_that_a_bridge_does_not_run(configure: Configure) -> None:
    configure("one", URL)

    assert "manage.py bridge publish one" in "".join(
        finding.advice for finding in diagnosis.findings()
    )
    is_running("publish one")
    assert found(diagnosis.findings())["bridge one"].well


def test_the_doctor_says_that_a_bridge_has_no_types(configure: Configure) -> None:
    configure("one", URL, publish=frozenset())

    assert "neither publishes nor consumes" in bad(diagnosis.findings(), "bridge one")


def test_the_doctor_says_that_a_bridge_is_late(configure: Configure) -> None:
    configure("one", URL)
    is_running("publish one")
    send("a")
    Event.objects.update(recorded_at=timezone.now() - timedelta(hours=3))

    assert "1 events wait, the oldest for 3 h → Repair nats://nats.example" in bad(
        diagnosis.findings(), "bridge one"
    )


@pytest.mark.parametrize(
    ("url", "fields", "problem"),
    [
        ("smtp://host", {}, "its URL begins with 'smtp'"),
        (URL, {"publish": frozenset({"unknown.v1"})}, "it can't publish unknown.v1"),
        (URL, {"subject": "all"}, "its subject has no {type}"),
        ("redis-streams://host?maxlne=5", {}, "unknown parameters: maxlne"),
        ("redis-streams://host?maxlen=1e6", {}, "maxlen in its URL is no number"),
        ("redis-streams://host?maxlen=0", {}, "maxlen in its URL is no number"),
    ],
)
def test_a_wrong_configuration_is_reported_and_refused(
    configure: Configure, url: str, fields: dict[str, Any], problem: str
) -> None:
    configure("one", url, **fields)
    is_running("publish one")

    problems = [finding.text for finding in diagnosis.findings() if not finding.well]
    assert problem in problems[0]
    with pytest.raises(CommandError, match="Bridge one"):
        run("publish", "one")


def test_an_unknown_bridge_is_refused(configure: Configure) -> None:
    with pytest.raises(CommandError, match=r"No bridge 'one' is configured. Configured: none"):
        run("publish", "one")


def test_the_backlog_of_a_removed_bridge_is_reported_and_can_be_forgotten(
    configure: Configure, settings: Any
) -> None:
    configure("one", URL)
    send("a", "b")
    settings.BRIDGES = ()

    assert "bridge forget one" in bad(diagnosis.findings(), "bridge one")
    assert run("forget", "one") == "forget: 2 events that one had yet to publish\n"
    assert list(diagnosis.findings()) == []
    assert Operation.objects.get().count == 2


def test_parked_messages_are_shown_replayed_and_discarded(configure: Configure) -> None:
    configure("one", URL)
    first, second = park("a"), park("b")

    assert "2 messages" in bad(diagnosis.findings(), "parked of bridge one")
    rows = json.loads(run("parked", "one", "--json"))
    assert [row["what"] for row in rows] == [f"event {second.event_id}", f"event {first.event_id}"]
    with pytest.raises(CommandError, match="Give ids, or --all"):
        run("replay", "one")
    assert run("replay", "one", str(first.pk)) == "replay: 1 parked messages\n"
    assert run("discard", "one", "--all") == "discard: 1 parked messages\n"
    assert BridgeEntry.objects.get().event_id == first.event_id
    assert "1 wait" in run("status")


def test_a_message_that_came_in_is_not_lost_when_its_bridge_is_not_configured(
    configure: Configure, staff: Staff
) -> None:
    message = ParkedMessage.objects.create(bridge="gone", body=b"{}", reason="It was malformed.")
    operator = staff("operator", "view_parkedmessage", "operate_bridges")

    with pytest.raises(CommandError, match="The bridge gone is not configured"):
        run("replay", "gone", "--all")
    page = operator.post(
        reverse("admin:eventbook_parkedmessage_changelist"),
        {"action": "replay", "_selected_action": [message.pk]},
        follow=True,
    )

    assert "The bridge gone is not configured." in page.content.decode()
    assert ParkedMessage.objects.get() == message


def test_the_metrics_have_each_bridge(configure: Configure) -> None:
    configure("one", URL)
    park("a")
    send("b")

    values = {name: value for (name, _), value in scrape().items() if name.startswith("bridge")}

    assert values["bridge_depth"] == values["bridge_parked"] == 1
    assert values["bridge_lag_seconds"] < 60
    assert values["bridge_published_total"] == 0


def test_only_operators_of_bridges_may_act_in_the_admin(configure: Configure, staff: Staff) -> None:
    configure("one", URL)
    message = park("a")
    page = reverse("admin:eventbook_parkedmessage_changelist")
    post = {"action": "replay", "_selected_action": [message.pk]}
    viewer = staff("viewer", "view_parkedmessage")
    operator = staff("operator", "view_parkedmessage", "operate_bridges")

    assert "It is too large." in viewer.get(page).content.decode()
    viewer.post(page, post)
    assert ParkedMessage.objects.exists()
    operator.post(page, post)
    assert not ParkedMessage.objects.exists()
    assert BridgeEntry.objects.get().event_id == message.event_id


def test_the_default_type_is_known_to_this_release() -> None:
    from eventbook.declare.bridges import integration_types

    assert SEEN in integration_types
