"""deploy/pin.sh writes the digests that a registry gives, over older ones too."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.harness.processes import ROOT

FILES = ("Dockerfile", "docker-compose.yml", "deploy/fly/fly.toml", "deploy/compose/rabbitmq.yml")
IMAGES = {
    "python:3.11-slim", "postgres:18", "valkey/valkey:8", "rabbitmq:4.1",
    "flyio/fly-autoscaler:v0.3.2",
}  # fmt: skip


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The files, where they may be changed."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def pin(copy: Path, digit: str) -> subprocess.CompletedProcess[str]:
    """Run it beside a registry in which every digest is made of this digit; none: it is away."""
    programs = copy / "bin"
    programs.mkdir(exist_ok=True)
    skopeo = programs / "skopeo"
    skopeo.write_text(f'#!/bin/sh\n[ -n "{digit}" ] && echo sha256:{digit * 64}\n')
    skopeo.chmod(0o755)
    return subprocess.run(
        [ROOT / "deploy/pin.sh", copy],
        env=os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_image_is_pinned_and_pinned_anew(copy: Path) -> None:
    for digit in "12":
        done = pin(copy, digit)

        assert done.returncode == 0, done.stderr
        text = "".join((copy / name).read_text() for name in FILES)
        assert {image for image in IMAGES if f"{image}@sha256:{digit * 64}" not in text} == set()
        assert text.count("FROM python:3.11-slim@sha256:") == 2
        assert text.count("@sha256:") == text.count(f"@sha256:{digit * 64}")
    assert "image: commonplace\n" in text


def test_without_the_registry_nothing_is_changed(copy: Path) -> None:
    done = pin(copy, "")

    assert done.returncode == 1
    assert "cannot be looked up" in done.stderr
    assert [(copy / name).read_text() for name in FILES] == [
        (ROOT / name).read_text() for name in FILES
    ]
