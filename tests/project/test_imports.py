"""What the tests may import."""

from __future__ import annotations

import re

from tests.harness.processes import ROOT
from tests.project.source import PACKAGES, imported, modules

# `stack` runs the servers.
ALLOWED = {"eventbook", "stack"}
PRODUCT = {*PACKAGES} - ALLOWED | {"tests.library"}


def test_eventbooks_tests_import_no_app_of_the_product() -> None:
    """eventbook and its tests can stand alone."""
    found = {
        str(path.relative_to(ROOT)): name
        for package in ("tests.eventbook", "tests.harness", "tests.probe")
        for path in modules(package)
        for name in imported(path)
        if any(f"{name}.".startswith(f"{app}.") for app in PRODUCT)
    }

    assert found == {}


def test_no_test_file_imports_another() -> None:
    found = {
        str(path.relative_to(ROOT)): name
        for path in modules("tests")
        for name in imported(path)
        if re.match(r"tests\..*\btest_", name)
    }

    assert found == {}
