"""The settings of a release with one more app, whose migrations the tests apply."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS as THEIRS

INSTALLED_APPS = [*THEIRS, "tests.deploy.release"]
