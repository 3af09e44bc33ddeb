from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules

from events import tracing


class EventsConfig(AppConfig):
    name = "events"

    def ready(self) -> None:
        tracing.prepare()
        autodiscover_modules("handlers", "tasks", "audits")
