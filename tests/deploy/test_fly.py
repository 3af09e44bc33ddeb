"""fly.toml and the autoscaler say what is true of this project, and what Fly knows."""

from __future__ import annotations

import math
import os
import re
import shlex
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.core.management import get_commands

from config.queues import QUEUES
from eventbook.declare.queues import QueuePolicy
from tests.deploy.facts import FLY, MEASURED, PROCESSES, WORKERS, mebibytes, seconds
from tests.harness.processes import ROOT

# The keys of flyctl's internal/appconfig, as far as they are used here.
KNOWN = {
    "app", "primary_region", "kill_signal", "kill_timeout", "swap_size_mb", "build", "deploy",
    "env", "processes", "http_service", "checks", "metrics", "restart", "vm", "files", "mounts",
    "experimental",
}  # fmt: skip
KNOWN_DEPLOY = {
    "strategy", "max_unavailable", "wait_timeout", "release_command", "release_command_timeout",
    "release_command_vm",
}  # fmt: skip
KNOWN_CHECK = {"type", "port", "method", "path", "interval", "timeout", "grace_period", "processes"}
AUTOSCALER: dict[str, Any] = tomllib.loads((ROOT / "deploy/fly/fly.toml").read_text())
# What the source documents ask for; a queue without a number of theirs scales by its age.
DEPTHS = {"notifications": 100, "feeds": 50, "imports": 50, "metadata": 100}


def test_no_key_is_unknown_to_fly() -> None:
    checks = FLY["checks"].values()

    assert set(FLY) | set(AUTOSCALER) <= KNOWN
    assert set(FLY["deploy"]) <= KNOWN_DEPLOY
    assert set().union(*checks) <= KNOWN_CHECK
    assert all(set(vm) <= {"processes", "size", "memory"} for vm in FLY["vm"])
    assert all(set(entry) <= {"processes", "policy"} for entry in FLY["restart"])
    assert all(set(entry) <= {"processes", "port", "path"} for entry in FLY["metrics"])
    assert set(FLY["mounts"]) == {"source", "destination", "processes"}


@pytest.mark.parametrize("group", PROCESSES)
def test_each_group_has_one_size_that_is_enough_a_check_and_a_restart(group: str) -> None:
    sizes = [vm["memory"] for vm in FLY["vm"] if group in vm["processes"]]
    checks = [name for name, check in FLY["checks"].items() if group in check["processes"]]
    restarts = [entry["policy"] for entry in FLY["restart"] if group in entry["processes"]]

    assert len(sizes) == 1
    assert mebibytes(sizes[0]) >= 2 * MEASURED[group]
    # The web server's check is its service's, and Fly starts it again when somebody asks for it.
    assert len(checks) == (0 if group == "web" else 1)
    assert restarts == ([] if group == "web" else ["always"])


def test_every_queue_has_a_group_that_works_it_off_and_is_checked_for_progress() -> None:
    for policy in QUEUES:
        assert PROCESSES[policy.process_group] == f"python manage.py worker {policy.name}"

    assert set(FLY["checks"]["progress"]["processes"]) == {*WORKERS, "relay", "beat"}


@pytest.mark.parametrize("group", PROCESSES)
def test_each_command_starts_in_the_projects_environment(group: str) -> None:
    program, *arguments = shlex.split(PROCESSES[group])
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    assert shutil.which(program, path=path)
    if arguments[0] == "manage.py":
        assert arguments[1] in get_commands()


def test_a_process_may_take_as_long_to_end_as_its_work_in_hand_needs() -> None:
    grace = max(policy.grace_seconds for policy in QUEUES)

    assert FLY["kill_signal"] == "SIGTERM"
    assert FLY["env"]["REMAP_SIGTERM"] == "SIGQUIT"
    soft = settings.CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT
    assert seconds(FLY["kill_timeout"]) > soft + grace
    assert seconds(FLY["kill_timeout"]) <= 300, "Fly waits for no longer"


def test_flowers_history_is_on_a_volume_that_its_user_may_write_to() -> None:
    mount = FLY["mounts"]
    image = (ROOT / "Dockerfile").read_text()

    assert mount["processes"] == ["flower"]
    assert Path(FLY["env"]["FLOWER_DB"]).parent == Path(mount["destination"])
    assert re.search(rf"install -d -o commonplace .*{mount['destination']}\b", image)
    made = rf"fly volumes create {mount['source']} --region {FLY['primary_region']}"
    assert made in (ROOT / "docs" / "deploying.md").read_text()


def test_only_the_web_server_is_public() -> None:
    service = FLY["http_service"]

    assert service["processes"] == ["web"]
    assert "services" not in FLY
    assert service["force_https"]
    assert service["min_machines_running"] >= 1


def test_each_port_is_the_one_that_its_process_is_told_to_listen_on() -> None:
    env = FLY["env"]

    assert FLY["http_service"]["internal_port"] == int(env["WEB_PORT"])
    assert FLY["checks"]["progress"]["port"] == int(env["HEALTH_PORT"])
    assert FLY["checks"]["exporter"]["port"] == int(env["EXPORTER_PORT"])
    assert FLY["metrics"] == [
        {"processes": ["exporter"], "port": int(env["EXPORTER_PORT"]), "path": "/metrics"}
    ]
    assert FLY["checks"]["flower"]["port"] == 5555
    # Fly's checks come from outside of the machine.
    assert {env["WEB_ADDRESS"], env["HEALTH_ADDRESS"], env["EXPORTER_ADDRESS"]} == {"0.0.0.0"}
    assert env["FLOWER_ADDRESS"] == ""


def test_migrations_run_first_and_have_time_to_wait() -> None:
    from config.management.commands.migrate import ATTEMPTS, PAUSE_SECONDS

    deploy = FLY["deploy"]

    assert deploy["release_command"] == "python manage.py migrate --noinput"
    assert seconds(deploy["release_command_timeout"]) > ATTEMPTS * (PAUSE_SECONDS + 2)
    assert deploy["strategy"] == "rolling"


@pytest.mark.parametrize("policy", QUEUES, ids=lambda policy: policy.name)
def test_the_autoscaler_has_a_process_for_each_queue(policy: QueuePolicy) -> None:
    variables, command = assignments(AUTOSCALER["processes"][policy.process_group])

    assert variables["QUEUE"] == policy.name
    assert int(variables["DEPTH"]) == DEPTHS.get(policy.name, policy.batch_size)
    assert int(variables["MOST"]) > 1
    assert command == ["fly-autoscaler", "serve", "-config", "/autoscaler.yml"]
    assert set(AUTOSCALER["processes"]) == WORKERS
    assert AUTOSCALER["env"]["FAS_APP_NAME"] == FLY["app"]


@pytest.mark.parametrize(
    ("depth", "oldest", "paused", "expected"),
    [
        (0, 0, 0, (1, 1)),
        (50, 30, 0, (1, 1)),
        (51, 0, 0, (2, 2)),
        (0, 31, 0, (2, 2)),
        (0, 95, 0, (4, 4)),
        (10_000, 10_000, 0, (4, 4)),
        (10_000, 10_000, 1, (1, 4)),
    ],
)
def test_as_many_machines_work_as_age_or_depth_ask_for(
    depth: float, oldest: float, paused: float, expected: tuple[int, int]
) -> None:
    feeds = next(policy for policy in QUEUES if policy.name == "feeds")
    late = oldest / feeds.slo_seconds

    values = {"depth": depth, "late": late, "paused": paused}
    counts = machines("feed-worker", values | {"depth_lately": depth, "late_lately": late})

    assert counts == expected


def test_machines_stop_only_when_nothing_needed_them_lately() -> None:
    quiet = {"depth": 0.0, "late": 0.0, "paused": 0.0}

    assert machines("feed-worker", quiet | {"depth_lately": 120, "late_lately": 0.5}) == (1, 3)
    assert machines("feed-worker", quiet | {"depth_lately": 20, "late_lately": 0.5}) == (1, 1)


@pytest.mark.django_db
def test_the_autoscaler_asks_for_metrics_that_are_exported() -> None:
    from eventbook.operate.metrics.snapshot import exposition

    exported = exposition("")[0].decode()
    queries = [
        collector["query"] for collector in configuration("feed-worker")["metric-collectors"]
    ]

    asked = {name for query in queries for name in re.findall(r"queue_\w+(?={)", query)}
    assert asked == {"queue_runnable", "queue_oldest_seconds", "queue_slo_seconds", "queue_paused"}
    for name in asked:
        assert f'{name}{{queue="feeds"}}' in exported


def assignments(command: str) -> tuple[dict[str, str], list[str]]:
    """Split `A=b C=d program argument` as `env` does."""
    words = shlex.split(command)
    count = next(number for number, word in enumerate(words) if "=" not in word)
    return dict(word.split("=", 1) for word in words[:count]), words[count:]


def configuration(group: str) -> dict[str, Any]:
    """Return the autoscaler's configuration for one process group."""
    variables, _ = assignments(AUTOSCALER["processes"][group])
    variables |= {**AUTOSCALER["env"], "FLY_PROCESS_GROUP": group}
    text = (ROOT / "deploy/fly/autoscaler.yml").read_text()
    expanded = re.sub(r"\$\{(\w+)\}", lambda match: variables.get(match[1], ""), text)
    read: dict[str, Any] = yaml.safe_load(expanded)
    return read


def machines(group: str, values: dict[str, float]) -> tuple[int, int]:
    """Return the least and the greatest number of machines that the autoscaler may choose."""
    read = configuration(group)
    assert {collector["metric-name"] for collector in read["metric-collectors"]} == set(values)
    assert read["process-group"] == group
    names = values | {"min": min, "max": max, "ceil": math.ceil}
    least, most = (
        eval(as_python(read[f"{bound}-started-machine-count"]), {"__builtins__": {}}, names)
        for bound in ("min", "max")
    )
    return least, most


def as_python(expression: str) -> str:
    """Translate `condition ? value : other` to Python."""
    condition, yes, no = re.fullmatch(r"(.*?) \? (.*?) : (.*)", expression).groups()  # type: ignore[union-attr]
    return f"({yes}) if ({condition}) else ({no})"
