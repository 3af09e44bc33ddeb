from django.apps import AppConfig


class OperateConfig(AppConfig):
    """What operators see and do: the admin, commands and maintenance of the event system."""

    name = "eventbook.operate"
