"""What the image holds is enough to run: packages of runtime.txt, files of .dockerignore."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent.parent
# Loads what the process groups load, with every package that the image lacks made impossible.
LOAD = """
import sys
lacking = set(sys.argv[1].split(","))
class Lacking:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in lacking:
            raise ImportError(f"The image has no {name}.")
sys.meta_path.insert(0, Lacking())
from django.core.management import call_command
from server.application import application
from config.celery import app
app.loader.import_default_modules()
import manage
sys.argv = ["manage.py", "check"]
manage.main()
call_command("collectstatic", interactive=False, verbosity=0)
import uvicorn, flower.command
assert "feeds.fan_out" in app.tasks
"""


def test_the_image_needs_nothing_that_it_does_not_hold(tmp_path: Path) -> None:
    copy_what_the_image_takes(tmp_path)

    done = subprocess.run(
        [sys.executable, "-c", LOAD, ",".join(lacking_modules())],
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "SECRET_KEY": "only-for-this-test",
            "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none",
            "REDIS_URL": "redis://127.0.0.1:1/0",
            "STATIC_ROOT": str(tmp_path / "static"),
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "static" / "admin" / "css" / "base.css").exists()


def test_without_a_secret_key_nothing_starts_on_servers_of_ones_own() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import config.settings"],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "DATABASE_URL": "postgres://h/n",
            "REDIS_URL": "redis://h",
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    assert "SECRET_KEY" in done.stderr


def copy_what_the_image_takes(target: Path) -> None:
    """Copy as `COPY . .` does under our .dockerignore: the listed parts without the exceptions."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    kept = [line[1:].rstrip("/") for line in lines if line.startswith("!")]
    left_out = [line.rstrip("/") for line in lines if "/" in line and line[0] not in "!*#"]
    for name in kept:
        source = ROOT / name
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / name)
    for name in left_out:
        path = target / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def lacking_modules() -> set[str]:
    """Return the modules that are installed here but not in the image."""
    text = (ROOT / "requirements" / "runtime.txt").read_text()
    held = {canonicalize_name(name) for name in re.findall(r"^([\w.-]+)==", text, re.MULTILINE)}
    return {
        module
        for module, packages in metadata.packages_distributions().items()
        if not held & {canonicalize_name(package) for package in packages}
    }
