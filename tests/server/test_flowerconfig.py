"""Flower's options: those that it knows, with bounds to what it keeps."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from base64 import b64encode

import pytest
from flower import options as known
from tornado.options import options

from server.flower.login import name_in
from tests.harness.processes import ROOT

SHOW = """
import json, runpy
print(json.dumps(runpy.run_path("server/flower/flowerconfig.py"), default=lambda _: None))
"""


def configured(**variables: str) -> dict[str, object]:
    """Return Flower's settings in an environment."""
    login = {"FLOWER_BASIC_AUTH": "somebody:with-a-password"}
    done = subprocess.run(
        [sys.executable, "-c", SHOW],
        cwd=ROOT,
        env=os.environ | login | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    names: dict[str, object] = json.loads(done.stdout)
    return names


def test_flower_keeps_so_much_and_no_more() -> None:
    names = configured()

    for name in ("max_tasks", "max_workers", "purge_offline_workers"):
        assert name in options, f"{known.__name__} has no such option"
        assert 0 < int(str(names[name])) <= 10_000


def test_the_environment_goes_before() -> None:
    assert "max_tasks" not in configured(FLOWER_MAX_TASKS="7")


@pytest.mark.parametrize("space", [" ", "  ", "\t", " \t "])
def test_a_login_counts_for_its_name_however_the_header_is_spaced(space: str) -> None:
    credentials = b64encode(b"somebody:a-guess").decode()

    assert name_in(f"Basic{space}{credentials}") == "somebody"
