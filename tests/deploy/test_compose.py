"""docker-compose.yml is valid, runs what fly.toml runs, and opens nothing to the world."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyOptions

from tests.deploy.facts import (
    ADDRESSES,
    FLY,
    MEASURED,
    PROCESSES,
    SECRETS,
    WORKERS,
    mebibytes,
    seconds,
)
from tests.harness.processes import ROOT

TEXT = (ROOT / "docker-compose.yml").read_text()
FILE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
EXAMPLE = (ROOT / "deploy/compose/example.env").read_text()
OURS = {name for name, service in SERVICES.items() if service["image"] == "commonplace"}


def test_the_file_is_a_valid_compose_file() -> None:
    PyOptions(apply_merge=True).from_yaml(TEXT).validate()


def test_rabbitmq_is_added_by_a_valid_file() -> None:
    added = (ROOT / "deploy/compose/rabbitmq.yml").read_text()
    PyOptions(apply_merge=True).from_yaml(added).validate()

    (server,) = yaml.safe_load(added)["services"].values()

    assert server["networks"] == ["inside"]
    assert "ports" not in server
    assert set(server["volumes"]) == {"rabbitmq:/var/lib/rabbitmq"}


@pytest.mark.parametrize("wrong", ["mem_limit: 512q", "wrong_key: 1", "stop_grace_period: soon"])
def test_a_mistake_in_it_would_be_found(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"unit|extension|duration|invalid|duplicate"):
        PyOptions(apply_merge=True).from_yaml(TEXT.replace("mem_limit: 512m", wrong, 1))


def test_every_process_group_runs_by_the_very_same_command() -> None:
    commands = {name: SERVICES[name]["command"] for name in OURS - {"migrate"}}

    assert commands == PROCESSES
    assert SERVICES["migrate"]["command"] == FLY["deploy"]["release_command"]


def test_the_processes_have_the_environment_of_fly() -> None:
    for name in OURS:
        set_here = SERVICES[name]["environment"]

        assert {key: set_here.get(key) for key in FLY["env"].keys() - ADDRESSES} == {
            key: text for key, text in FLY["env"].items() if key not in ADDRESSES
        }
    assert {*SECRETS, *ADDRESSES} <= {*names(EXAMPLE), "DATABASE_URL", "REDIS_URL"}


def test_every_variable_is_in_the_example_and_no_secret_is() -> None:
    asked = set(re.findall(r"\$\{(\w+)", TEXT))

    assert asked <= names(EXAMPLE)
    given = {line.split("=", 1)[0] for line in EXAMPLE.splitlines() if re.match(r"\w+=.", line)}
    assert given == ADDRESSES


@pytest.mark.parametrize("name", sorted(OURS))
def test_our_containers_may_do_little(name: str) -> None:
    service = SERVICES[name]

    assert service["user"] == "10001:10001"
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert mebibytes(service["mem_limit"]) >= 2 * MEASURED.get(name, 0)
    assert seconds(service["stop_grace_period"]) == seconds(FLY["kill_timeout"])
    assert service["restart"] == ("no" if name == "migrate" else "unless-stopped")


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_nothing_gains_privileges_is_open_to_the_world_or_goes_unchecked(name: str) -> None:
    service = SERVICES[name]

    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert "privileged" not in service
    assert name == "migrate" or "healthcheck" in service
    assert name in OURS or re.search(r":v?\d", service["image"]), "an image without a version"


def test_flowers_history_is_on_a_volume() -> None:
    (volume,) = SERVICES["flower"]["volumes"]
    name, folder = volume.split(":")

    assert Path(SERVICES["flower"]["environment"]["FLOWER_DB"]).parent == Path(folder)
    assert name in FILE["volumes"]


def test_the_order_is_servers_then_migrations_then_the_rest() -> None:
    assert SERVICES["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    for name in OURS - {"migrate"}:
        conditions = {on: what["condition"] for on, what in SERVICES[name]["depends_on"].items()}

        assert conditions == {
            "migrate": "service_completed_successfully",
            "valkey": "service_healthy",
        }


def test_ports_are_those_that_the_processes_listen_on() -> None:
    env = FLY["env"]

    assert SERVICES["web"]["ports"] == [f"127.0.0.1:8080:{env['WEB_PORT']}"]
    progress = str(SERVICES["relay"]["healthcheck"]["test"])
    assert f":{env['HEALTH_PORT']}/healthz" in progress
    for name in {*WORKERS, "beat"}:
        assert str(SERVICES[name]["healthcheck"]["test"]) == progress
    assert f":{env['EXPORTER_PORT']}/healthz" in str(SERVICES["exporter"]["healthcheck"]["test"])


def test_the_broker_keeps_what_it_has_and_never_evicts() -> None:
    command = SERVICES["valkey"]["command"]

    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command


def test_every_file_that_is_mounted_exists_and_every_volume_is_declared() -> None:
    mounts = [
        mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])
    ]

    assert {mount for mount in mounts if not mount.startswith("./")} == set(FILE["volumes"])
    assert [
        mount for mount in mounts if mount.startswith("./") and not (ROOT / mount).exists()
    ] == []


def names(example: str) -> set[str]:
    """Return the variables of an example file, with or without a value."""
    return set(re.findall(r"^(\w+)=", example, re.MULTILINE))
