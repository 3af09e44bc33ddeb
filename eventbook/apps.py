from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class EventbookConfig(AppConfig):
    name = "eventbook"

    def ready(self) -> None:
        from eventbook.observe import tracing
        from eventbook.work import task  # noqa: F401  its receiver creates each handler's Celery task

        tracing.prepare()
        autodiscover_modules("handlers", "integration", "tasks", "audits")
