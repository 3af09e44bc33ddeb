"""The systemd units are valid, run what fly.toml runs, and may do little."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.deploy.facts import ADDRESSES, FLY, PROCESSES, SECRETS, WORKERS, seconds
from tests.harness.processes import ROOT

UNITS = ROOT / "deploy" / "systemd"
PROGRAMS = "/opt/commonplace/.venv/bin/"
SHARED = UNITS / "commonplace-.service.d" / "10-shared.conf"
# Of systemd.unit(5), .service(5), .exec(5), .kill(5) and .resource-control(5).
KNOWN = {
    "Description",
    "Documentation",
    "PartOf",
    "After",
    "Wants",
    "StartLimitIntervalSec",
    "WantedBy",
    "DefaultInstance",
    "Type",
    "User",
    "Group",
    "WorkingDirectory",
    "EnvironmentFile",
    "Environment",
    "Restart",
    "RestartSec",
    "KillMode",
    "KillSignal",
    "TimeoutStopSec",
    "TimeoutStartSec",
    "RemainAfterExit",
    "ExecStart",
    "MemoryMax",
    "StateDirectory",
    "StateDirectoryMode",
    "UMask",
    "NoNewPrivileges",
    "CapabilityBoundingSet",
    "AmbientCapabilities",
    "ProtectSystem",
    "ProtectHome",
    "PrivateTmp",
    "PrivateDevices",
    "PrivateUsers",
    "PrivateMounts",
    "ProtectClock",
    "ProtectControlGroups",
    "ProtectHostname",
    "ProtectKernelLogs",
    "ProtectKernelModules",
    "ProtectKernelTunables",
    "ProtectProc",
    "ProcSubset",
    "RemoveIPC",
    "RestrictAddressFamilies",
    "RestrictNamespaces",
    "RestrictRealtime",
    "RestrictSUIDSGID",
    "LimitNOFILE",
    "LockPersonality",
    "SystemCallArchitectures",
    "SystemCallFilter",
    "SystemCallErrorNumber",
}


def test_every_process_group_has_a_unit_of_the_very_same_command() -> None:
    commands = {
        group: setting(unit(group), "ExecStart").removeprefix(PROGRAMS) for group in PROCESSES
    }

    assert commands == PROCESSES
    migrate = setting(UNITS / "commonplace-migrate.service", "ExecStart")
    assert migrate.removeprefix(PROGRAMS) == FLY["deploy"]["release_command"]


def test_workers_are_scaled_by_number() -> None:
    for group in WORKERS:
        assert setting(unit(group), "Environment") == f"PROCESS_NAME={group} PROCESS_NUMBER=%i"
        assert setting(unit(group), "DefaultInstance") == "1"


def test_a_stop_reaches_the_main_process_alone_and_has_as_long_as_on_fly() -> None:
    assert setting(SHARED, "KillMode") == "mixed"
    assert f"SIG{setting(SHARED, 'KillSignal').removeprefix('SIG')}" == FLY["kill_signal"]
    assert float(setting(SHARED, "TimeoutStopSec")) == seconds(FLY["kill_timeout"])
    assert setting(SHARED, "Restart") == "always"


def test_the_example_names_all_that_fly_sets_and_holds_no_secret() -> None:
    example = (UNITS / "environment.example").read_text()
    given = dict(re.findall(r"^(\w+)=(.*)$", example, re.MULTILINE))
    # The health servers of one host would share a port; systemd restarts what ends by itself.
    elsewhere = {"HEALTH_ADDRESS", "HEALTH_PORT"}

    assert given.keys() >= {*FLY["env"], *SECRETS, *ADDRESSES} - elsewhere
    assert {name for name in SECRETS if given[name]} == {"DATABASE_URL", "REDIS_URL"}
    assert all(given[name] == "127.0.0.1" for name in given if name.endswith(("_HOST", "_ADDRESS")))


def test_no_key_is_unknown() -> None:
    keys = {
        key
        for path in UNITS.rglob("*")
        if path.suffix in {".service", ".target", ".conf"}
        for key in re.findall(r"^(\w+)=", path.read_text(), re.MULTILINE)
    }

    assert keys <= KNOWN


def test_systemd_itself_finds_nothing_wrong(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:  # not a Linux with systemd, where the units could not run either
        return
    units = as_installed(tmp_path)

    done = subprocess.run(
        [analyze, "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )

    ours = [line for line in done.stderr.splitlines() if "commonplace" in line]
    assert (done.returncode, ours) == (0, []), done.stderr


def as_installed(folder: Path) -> list[str]:
    """Copy the units as on a host, but with this environment's programs."""
    shutil.copytree(UNITS, folder, dirs_exist_ok=True)
    for path in folder.glob("*.service"):
        programs = f"{Path(sys.executable).parent}/"
        path.write_text(path.read_text().replace(PROGRAMS, programs))
        if "@." in path.name:
            path.rename(folder / path.name.replace("@.", "@1."))
    return [str(path) for path in folder.glob("commonplace*") if path.is_file()]


def unit(group: str) -> Path:
    """Return the unit file of a process group."""
    return UNITS / f"commonplace-{group}{'@' if group in WORKERS else ''}.service"


def setting(path: Path, key: str) -> str:
    """Return the only value of a key in a unit file."""
    (value,) = re.findall(rf"^{key}=(.*)$", path.read_text(), re.MULTILINE)
    return str(value)
