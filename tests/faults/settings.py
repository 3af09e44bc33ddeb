"""The settings of the fault suite's processes: probes over HTTP, and what a test switches off."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.faults"]
ROOT_URLCONF = "tests.faults.urls"
