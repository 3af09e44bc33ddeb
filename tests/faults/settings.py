"""The settings of the fault suite's processes, with probes over HTTP and mutations."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.faults"]
ROOT_URLCONF = "tests.faults.urls"
