from django.apps import AppConfig


class ReleaseConfig(AppConfig):
    name = "tests.deploy.release"
    label = "release"
