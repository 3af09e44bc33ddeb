"""The admin's page of schedules: when each runs, and the actions to pause, resume and run them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from eventbook.beat.schedule import ensure_controls
from eventbook.models import ScheduleControl
from eventbook.operate import actions
from eventbook.operate.admin.records import OperatedAdmin
from eventbook.operate.admin.states import badge
from eventbook.operate.queries.schedules import status_of_schedule
from eventbook.operate.texts import pause_of


@admin.register(ScheduleControl)
class ScheduleControlAdmin(OperatedAdmin[ScheduleControl]):
    """The list of schedules; those that no release here has show neither timing nor slots."""

    list_display = ("schedule", "state", "timing", "next_slot", "last_run")
    list_display_links = None
    ordering = ("schedule",)
    actions = ("pause", "resume", "run_now")
    change_list_template = "operate/list.html"

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        ensure_controls()
        return super().changelist_view(request, extra_context)

    @admin.display(description="state")
    def state(self, control: ScheduleControl) -> SafeString:
        status = status_of_schedule(control)
        if status is None:
            return badge("dead", "not in this release")
        if status.paused_at is None:
            return badge("running", "running")
        return format_html("{} {}", badge("paused", "paused"), pause_of(status))

    @admin.display(description="timing")
    def timing(self, control: ScheduleControl) -> str:
        status = status_of_schedule(control)
        return status.timing if status else "–"

    @admin.display(description="next slot (UTC)")
    def next_slot(self, control: ScheduleControl) -> str:
        status = status_of_schedule(control)
        return f"{status.next_at:%F %T}" if status and status.next_at else "–"

    @admin.display(description="last run (UTC)")
    def last_run(self, control: ScheduleControl) -> str:
        status = status_of_schedule(control)
        return f"{status.last_at:%F %T}: {status.state}" if status and status.last_at else "–"

    @admin.action(description="Pause the selected schedules", permissions=["operate"])
    def pause(self, request: HttpRequest, queryset: QuerySet[ScheduleControl]) -> None:
        self._act(request, queryset, actions.pause_schedule, "paused: its slots are skipped")

    @admin.action(description="Resume the selected schedules", permissions=["operate"])
    def resume(self, request: HttpRequest, queryset: QuerySet[ScheduleControl]) -> None:
        self._act(request, queryset, actions.resume_schedule, "resumed")

    @admin.action(description="Run the selected schedules now", permissions=["operate"])
    def run_now(self, request: HttpRequest, queryset: QuerySet[ScheduleControl]) -> None:
        self._act(request, queryset, actions.run_schedule_now, "runs once now")

    def _act(
        self,
        request: HttpRequest,
        chosen: QuerySet[ScheduleControl],
        action: Callable[..., object],
        done: str,
    ) -> None:
        """Apply an action to each chosen schedule, and say what was done."""
        for name in self.for_each(request, chosen, action):
            self.message_user(request, f"{name} {done}.")
