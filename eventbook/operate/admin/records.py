"""The admin's read-only pages of the rows that the event system writes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

from django.contrib import admin, messages
from django.db.models import F, FloatField, Model, QuerySet
from django.db.models.functions import Extract, Now
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html

from eventbook.beat.schedule import UnknownSchedule
from eventbook.declare.events import cloud_event
from eventbook.declare.queues import UnknownQueue
from eventbook.models import Audit, Burst, Delivery, Event, Lease, Operation, OutboxEntry, Process
from eventbook.operate.actions.delayed import cancel_delayed, reschedule_delayed
from eventbook.operate.admin.confirmation import confirmation, is_confirmed
from eventbook.operate.audit import rules
from eventbook.operate.queries.processes import ALIVE_SECONDS

Row = TypeVar("Row", bound=Model)


class ReadOnlyAdmin(admin.ModelAdmin[Row]):
    """An admin page of rows that staff can't add or change, nor delete unless `can_delete`."""

    show_full_result_count = False
    list_per_page = 50
    can_delete = False

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Row]) -> None:
        """Delete the rows one by one, because a bulk delete would record no events."""
        for row in queryset:
            self.delete_model(request, row)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.can_delete and super().has_delete_permission(request, obj)


class OperatedAdmin(ReadOnlyAdmin[Row]):
    """The pages of what operators control: queues or schedules, whose names are the primary key."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_view_permission(request, obj) or self.has_operate_permission(request)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may control queues and schedules."""
        return request.user.has_perm("eventbook.operate_queues")

    def for_each(
        self, request: HttpRequest, chosen: QuerySet[Row], action: Callable[..., object]
    ) -> list[str]:
        """Apply an action to each chosen row, and return their names.

        Show an error for one that this release does not have.
        """
        done = []
        for name in chosen.order_by("pk").values_list("pk", flat=True):
            try:
                action(name, actor=request.user.get_username())
                done.append(name)
            except (UnknownQueue, UnknownSchedule) as error:
                self.message_user(request, str(error), messages.ERROR)
        return done


class DeliveryInline(admin.TabularInline[Delivery, Event]):
    """The deliveries of an event, one for each handler, or for each part of its work."""

    model = Delivery
    fields = ("handler", "queue", "state", "attempts", "finished_at", "error")
    readonly_fields = fields
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin[Event]):
    """The pages of the event store."""

    list_display = ("id", "type", "version", "subject", "priority", "recorded_at")
    list_filter = ("type", "priority")
    search_fields = ("=id", "=subject")
    search_help_text = "An event's id, or a subject, for example cards/…"
    ordering = ("-id",)
    inlines = (DeliveryInline,)
    fields = ("id", "recorded_at", "priority", "envelope")

    @admin.display(description="CloudEvents envelope")
    def envelope(self, event: Event) -> str:
        """Return the event as CloudEvents JSON, in HTML."""
        made = cloud_event(
            id=event.id,
            type=event.type,
            version=event.version,
            subject=event.subject,
            time=event.recorded_at,
            data=event.data,
            traceparent=event.traceparent,
        )
        return format_html("<pre>{}</pre>", json.dumps(made, indent=2))


@admin.register(OutboxEntry)
class OutboxEntryAdmin(ReadOnlyAdmin[OutboxEntry]):
    """The outbox: events that the relay expands next, and those that wait for their time."""

    list_display = ("event_id", "type", "subject", "key", "priority", "recorded_at", "due_at")
    list_filter = ("priority", "type")
    list_select_related = ("event",)
    ordering = ("-priority", "due_at", "event_id")
    actions = ("cancel", "run_now")

    @admin.display(description="subject")
    def subject(self, entry: OutboxEntry) -> str:
        return entry.event.subject

    @admin.display(description="key")
    def key(self, entry: OutboxEntry) -> str:
        return entry.event.key or "–"

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may cancel delayed events, and run them now."""
        return request.user.has_perm("eventbook.operate_deliveries")

    @admin.action(description="Cancel the selected delayed events", permissions=["operate"])
    def cancel(
        self, request: HttpRequest, queryset: QuerySet[OutboxEntry]
    ) -> TemplateResponse | None:
        waiting = queryset.filter(due_at__isnull=False)
        if not is_confirmed(request):
            counts = dict(Counter(waiting.values_list("type", flat=True)))
            title = "Delete delayed events for good?"
            return confirmation(self, request, title=title, counts=counts)
        ids = list(waiting.values_list("event_id", flat=True))
        count = cancel_delayed(ids, actor=request.user.get_username())
        self.message_user(request, f"{count} events cancelled.", messages.WARNING)
        return None

    @admin.action(description="Run the selected delayed events now", permissions=["operate"])
    def run_now(self, request: HttpRequest, queryset: QuerySet[OutboxEntry]) -> None:
        ids = list(queryset.values_list("event_id", flat=True))
        now, actor = timezone.now(), request.user.get_username()
        count = reschedule_delayed(ids, run_at=now, actor=actor)
        self.message_user(request, f"{count} events run now.")


@admin.register(Audit)
class AuditAdmin(ReadOnlyAdmin[Audit]):
    """The auditor's last result under each rule, with advice on a violation."""

    list_display = ("rule", "violations", "examples", "checked_at", "advice")
    ordering = ("-violations", "rule")

    @admin.display(description="what to do")
    def advice(self, audit: Audit) -> str:
        return rules[audit.rule].advice if audit.violations and audit.rule in rules else ""


@admin.register(Lease)
class LeaseAdmin(ReadOnlyAdmin[Lease]):
    list_display = ("id", "handler", "queue", "worker", "started_at", "expires_at")
    list_filter = ("queue",)


@admin.register(Burst)
class BurstAdmin(ReadOnlyAdmin[Burst]):
    list_display = ("handler", "key", "delivery", "began_at", "closed_until", "changed_at")
    list_filter = ("handler",)
    search_fields = ("=key",)
    ordering = ("-changed_at",)


@admin.register(Operation)
class OperationAdmin(ReadOnlyAdmin[Operation]):
    list_display = ("at", "action", "actor", "count", "details")
    list_filter = ("action",)
    ordering = ("-id",)


@admin.register(Process)
class ProcessAdmin(ReadOnlyAdmin[Process]):
    """The long-running processes, as each last wrote its row."""

    list_display = (
        "group", "state", "trouble", "host", "pid", "queues", "concurrency", "memory", "clock",
        "release", "started_at", "progressed_at",
    )  # fmt: skip
    list_filter = ("group",)
    ordering = ("group", "-seen_at")
    change_list_template = "operate/list.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Process]:
        silent = Extract(Now() - F("seen_at"), "epoch", output_field=FloatField())
        return super().get_queryset(request).annotate(silent_seconds=silent)

    @admin.display(description="state", ordering="-seen_at")
    def state(self, process: Process) -> str:
        seconds = float(getattr(process, "silent_seconds", 0))
        seen = f"seen {seconds:.0f} s ago"
        return seen if seconds < ALIVE_SECONDS else f"gone: {seen}"

    @admin.display(description="memory", ordering="memory_bytes")
    def memory(self, process: Process) -> str:
        return f"{process.memory_bytes / 2**20:.0f} MB" if process.memory_bytes else "–"

    @admin.display(description="clock ahead", ordering="clock_ahead_seconds")
    def clock(self, process: Process) -> str:
        return f"{process.clock_ahead_seconds:.1f} s"
