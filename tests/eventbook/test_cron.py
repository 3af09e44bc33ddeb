"""Cron schedules: their slots over changes of the clock, pauses, and runs by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from io import StringIO
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from django.core.management import CommandError, call_command
from django.db import connections
from django.utils import timezone

from eventbook.beat.schedule import ensure_controls, record_due_slots, scheduled
from eventbook.beat.timing import Cron, Every
from eventbook.models import Delivery, Event, Operation, ScheduleControl
from eventbook.operate import actions
from tests.conftest import Drain
from tests.eventbook.conftest import Staff

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NAME = "probe.minutely"
# Days on which clocks change: forward and back, by an hour, half an hour and a day.
CHANGES = [
    ("Europe/Berlin", datetime(2026, 3, 29, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 25, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 3, 8, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 11, 1, tzinfo=UTC)),
    ("Asia/Beirut", datetime(2026, 3, 29, tzinfo=UTC)),  # at midnight
    ("Asia/Beirut", datetime(2026, 10, 25, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 5, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 4, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, tzinfo=UTC)),
    ("UTC", datetime(2026, 3, 29, tzinfo=UTC)),
]
EXPRESSIONS = [
    "0 7 * * 1", "30 2 * * *", "0 2,3 * * *", "*/15 2 * * *", "0 */2 * * *", "15,45 1-3 * * *",
    "0 0 * * *", "59 23 * * *", "30 0 * * *", "0 0 1 * *", "5 1 * * SUN", "*/7 */5 * * *",
    "0 * * * *", "30 * * * *", "*/15 * * * *", "* * * * *",
]  # fmt: skip


def local_times(expression: str, first: datetime, last: datetime) -> Iterator[datetime]:
    """Yield the minutes without a zone that an expression names, both ends included."""
    fields = CronSim(expression, first)
    time = first
    while time <= last:
        if time.minute in fields.minutes and time.hour in fields.hours and fields.match_day(time):
            yield time
        time += MINUTE


def expected(cron: Cron, start: datetime, end: datetime) -> set[datetime]:
    """Return the slots after `start` up to `end`, by the rule that timing.py states."""
    zone = ZoneInfo(cron.zone)
    if cron.expression.split()[1] == "*":
        minutes = (start + n * MINUTE for n in range(1, (end - start) // MINUTE + 1))
        named = CronSim(cron.expression, start)
        return {
            time
            for time in minutes
            if (local := time.astimezone(zone)).minute in named.minutes and named.match_day(local)
        }
    slots = set()
    first, last = (time.astimezone(zone).replace(tzinfo=None) for time in (start - DAY, end + DAY))
    for time in local_times(cron.expression, first, last):
        while (slot := time.replace(tzinfo=zone).astimezone(UTC)).astimezone(zone).replace(
            tzinfo=None
        ) != time:
            time += MINUTE  # noqa: PLW2901 - it doesn't exist: the next moment that does
        slots.add(slot)
    return {slot for slot in slots if start < slot <= end}


@pytest.mark.parametrize(("zone", "day"), CHANGES, ids=lambda value: str(value)[:20])
def test_a_scheduler_runs_each_slot_once_over_a_change_of_the_clock(
    zone: str, day: datetime
) -> None:
    start = day - DAY
    end = start + 3 * DAY
    for expression in EXPRESSIONS:
        cron = Cron(expression, zone)
        ran = []
        checked, now = start, start
        while now < end:
            upcoming = cron.next(now)
            now = min(upcoming or end, end)
            if slot := cron.latest(since=checked, now=now):
                ran.append(slot)
            checked = now

        assert ran == sorted(expected(cron, start, end)), expression


@pytest.mark.parametrize(("zone", "day"), CHANGES[:4], ids=lambda value: str(value)[:20])
def test_a_scheduler_that_was_away_runs_the_last_slot(zone: str, day: datetime) -> None:
    start = day
    for expression in EXPRESSIONS:
        cron = Cron(expression, zone)
        known = expected(cron, start - 3 * DAY, start + 3 * DAY)
        for hours in range(0, 30, 3):
            now = start + hours * HOUR + timedelta(minutes=17, seconds=30.5)
            for away in (timedelta(minutes=20), 5 * HOUR, 2 * DAY):
                slots = [slot for slot in known if now - away < slot <= now]
                found = cron.latest(since=now - away, now=now)

                assert found == max(slots, default=None), (expression, now, away)


def slots_of(expression: str, zone: str, day: str) -> list[str]:
    """Return the slots on a day, as times of the zone with their offset."""
    here = ZoneInfo(zone)
    start = datetime.fromisoformat(day).replace(tzinfo=here)
    end = (start.replace(tzinfo=None) + DAY).replace(tzinfo=here).astimezone(UTC)
    slots, slot = [], Cron(expression, zone).next(start.astimezone(UTC) - MINUTE)
    while slot and slot < end:
        slots.append(f"{slot.astimezone(here):%H:%M%z}")
        slot = Cron(expression, zone).next(slot)
    return slots


@pytest.mark.parametrize(
    ("expression", "day", "times"),
    [
        ("0 7 * * *", "2026-03-28", ["07:00+0100"]),
        ("0 7 * * *", "2026-03-29", ["07:00+0200"]),
        ("30 2 * * *", "2026-03-29", ["03:00+0200"]),  # there is no 02:30
        ("*/20 2,3 * * *", "2026-03-29", ["03:00+0200", "03:20+0200", "03:40+0200"]),
        ("30 2 * * *", "2026-10-25", ["02:30+0200"]),  # 02:30 comes twice
        ("0 */2 1-31 * *", "2026-10-25", [
            f"{hour:02}:00+0{2 if hour < 3 else 1}00" for hour in range(0, 24, 2)
        ]),
    ],
)  # fmt: skip
def test_the_times_of_a_day_on_which_the_clock_changes(
    expression: str, day: str, times: list[str]
) -> None:
    assert slots_of(expression, "Europe/Berlin", day) == times


def test_where_the_hour_is_a_star_the_hours_that_pass_count() -> None:
    assert len(slots_of("0 * * * *", "Europe/Berlin", "2026-03-29")) == 23
    assert len(slots_of("0 * * * *", "Europe/Berlin", "2026-10-25")) == 25


@pytest.mark.parametrize(
    "options",
    [
        {"cron": "0 7 * *"},
        {"cron": "0 0 7 * * 1"},
        {"cron": "61 * * * *"},
        {"cron": "0 7 * * 1", "tz": "Europe/Nowhere"},
        {"cron": "0 7 * * 1", "tz": "../etc/passwd"},
        {"cron": "0 0 30 2 *"},
        {"cron": "0 7 * * 1", "every": HOUR},
        {"every": timedelta()},
        {},
    ],
)
def test_an_impossible_schedule_is_refused_when_it_is_declared(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"cron|zone|slot|interval"):
        scheduled(name="probe.impossible", **options)  # type: ignore[arg-type]


def test_intervals_count_from_1970() -> None:
    hourly = Every(HOUR)
    noon = datetime(2026, 1, 2, 12, tzinfo=UTC)

    assert hourly.next(noon) == noon + HOUR
    assert hourly.latest(since=noon, now=noon + MINUTE) is None
    assert hourly.latest(since=noon - MINUTE, now=noon) == noon


def slots() -> list[datetime]:
    """Return the recorded slots of the probe's schedule."""
    texts = Event.objects.filter(type=f"{NAME}.due").order_by("id").values_list("data__slot")
    return [datetime.fromisoformat(text) for (text,) in texts]


def set_back(**delta: float) -> datetime:
    """Let the last check for slots be some time ago; return the present minute."""
    ensure_controls()
    now = timezone.now()
    ScheduleControl.objects.update(checked_until=now - timedelta(**delta))
    return now.replace(second=0, microsecond=0)


@pytest.mark.django_db(transaction=True)
def test_a_new_cron_schedule_waits_for_its_first_slot() -> None:
    record_due_slots()

    assert slots() == []
    assert ScheduleControl.objects.get(pk=NAME).checked_until <= timezone.now()


@pytest.mark.django_db(transaction=True)
def test_schedulers_that_were_all_away_record_the_last_slot_once(drain: Drain) -> None:
    set_back(hours=3)

    def tick(_: int) -> timedelta:
        try:
            return record_due_slots()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(tick, range(16)))
    drain()

    # The clock may pass into the next minute meanwhile.
    assert slots()[0] >= timezone.now() - 3 * MINUTE
    assert len(slots()) == len(set(slots())) <= 2
    assert set(Delivery.objects.filter(handler=NAME).values_list("state", flat=True)) == {"done"}
    assert all(timedelta() < wait <= MINUTE for wait in waits)


@pytest.mark.django_db(transaction=True)
def test_a_clock_that_was_fast_and_is_set_back_stops_no_schedule() -> None:
    set_back(days=-30)

    record_due_slots()  # from here on, slots count again
    moved = timezone.now() - timedelta(minutes=2)
    assert ScheduleControl.objects.get(pk=NAME).checked_until <= timezone.now()
    ScheduleControl.objects.update(checked_until=moved)
    record_due_slots()

    assert len(slots()) == 1


@pytest.mark.django_db(transaction=True)
def test_a_slot_whose_event_retention_deleted_does_not_run_again() -> None:
    set_back(hours=3)
    record_due_slots()
    before = Event.objects.exclude(type=f"{NAME}.due").count()
    Event.objects.exclude(type=f"{NAME}.due").delete()

    record_due_slots()

    assert before > 0
    assert not Event.objects.filter(type="feeds.evict_idle.due").exists()


@pytest.mark.django_db(transaction=True)
def test_a_paused_schedule_skips_its_slots_and_may_be_run_by_hand(drain: Drain) -> None:
    assert actions.pause_schedule(NAME, actor="olga", reason="too many")
    assert not actions.pause_schedule(NAME, actor="olga")
    set_back(minutes=5)
    record_due_slots()
    assert slots() == []

    actions.run_schedule_now(NAME, actor="olga")
    actions.run_schedule_now(NAME, actor="olga")
    drain()
    assert Delivery.objects.filter(handler=NAME, state="done").count() == 2

    set_back(minutes=5)
    assert actions.resume_schedule(NAME, actor="olga")
    record_due_slots()
    assert len(slots()) == 2, "the slots of the pause are skipped"
    set_back(minutes=5)
    record_due_slots()
    assert len(slots()) == 3
    assert list(Operation.objects.order_by("id").values_list("action", "count")) == [
        ("schedule.pause", 1),
        ("schedule.pause", 0),
        ("schedule.run", 1),
        ("schedule.run", 1),
        ("schedule.resume", 1),
    ]


@pytest.mark.django_db(transaction=True)
def test_the_command_lists_pauses_resumes_and_runs(drain: Drain) -> None:
    def run(*arguments: str) -> str:
        call_command("schedules", *arguments, stdout=(output := StringIO()))
        return output.getvalue()

    run("run", NAME)
    drain()
    assert run("pause", NAME, "--reason", "too many") == f"{NAME} is paused\n"

    (row,) = (each for each in json.loads(run("list", "--json")) if each["schedule"] == NAME)
    assert (row["timing"], row["state"], row["next_at"], row["reason"]) == (
        "* * * * * (Europe/Berlin)", "done", None, "too many",
    )  # fmt: skip
    assert "by command line: too many" in run("list")
    assert "every 0:10:00" in run("list")
    assert run("resume", NAME) == f"{NAME} resumed\n"
    assert len(run("next", NAME, "--count", "3").splitlines()) == 3
    for action in ("pause", "resume", "run", "next"):
        with pytest.raises(CommandError, match="There is no schedule 'no'"):
            run(action, "no")


@pytest.mark.django_db(transaction=True)
def test_the_admin_shows_pauses_and_runs_schedules(staff: Staff) -> None:
    path = "/admin/eventbook/schedulecontrol/"
    reader, browser = staff("rita", "view_schedulecontrol"), staff("olga", "operate_queues")
    ScheduleControl.objects.create(schedule="gone", checked_until=timezone.now())

    page = reader.get(path).content.decode()
    assert "* * * * * (Europe/Berlin)" in page
    assert "not in this release" in page
    for action in ("pause", "run_now"):
        for who in (reader, browser):
            who.post(path, {"action": action, "_selected_action": [NAME, "gone"]})

    assert ScheduleControl.objects.get(pk=NAME).paused_by == "olga"
    assert len(slots()) == 1
    page = browser.get(path).content.decode()
    assert "by olga" in page
    browser.post(path, {"action": "resume", "_selected_action": [NAME]})
    assert ScheduleControl.objects.get(pk=NAME).paused_at is None
