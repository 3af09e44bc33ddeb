from __future__ import annotations

import json
from typing import Any, TypeVar

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from events import services
from events.audit import rules
from events.envelope import cloud_event
from events.models import Attempt, Audit, Delivery, Event, Lease, Operation, OutboxEntry
from events.services import DeadLetters

Row = TypeVar("Row", bound=Model)


class ReadOnlyAdmin(admin.ModelAdmin[Row]):
    """What the system writes, and people only look at."""

    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class DeliveryInline(admin.TabularInline[Delivery, Event]):
    model = Delivery
    fields = ("handler", "queue", "state", "attempts", "finished_at", "error")
    readonly_fields = fields
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin[Event]):
    list_display = ("id", "type", "version", "subject", "priority", "recorded_at")
    list_filter = ("type", "priority")
    search_fields = ("=id", "=subject")
    search_help_text = "An event's id, or a subject as cards/…"
    ordering = ("-id",)
    inlines = (DeliveryInline,)
    fields = ("id", "recorded_at", "priority", "envelope")

    @admin.display(description="CloudEvents envelope")
    def envelope(self, event: Event) -> str:
        """This is the event as it goes over a wire."""
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
    list_display = ("event_id", "type", "priority", "recorded_at")
    ordering = ("-priority", "event_id")


class AttemptInline(admin.StackedInline[Attempt, Delivery]):
    """The story of a delivery that failed: when, where, and the traceback."""

    model = Attempt
    fields = ("failed_at", "worker", "traceback")
    readonly_fields = fields
    extra = 0
    can_delete = False
    verbose_name = "failed attempt"

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Whoever sees the delivery sees its attempts.
        return request.user.has_perm("events.view_delivery")

    @admin.display(description="error")
    def traceback(self, attempt: Attempt) -> str:
        return format_html("<pre>{}</pre>", attempt.error)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin[Delivery]):
    list_display = (
        "id", "state", "queue", "handler", "attempts", "last_error", "recorded_at", "due_at",
        "finished_at", "event",
    )  # fmt: skip
    list_filter = ("state", "queue", "handler")
    list_select_related = ("event",)
    search_fields = ("=event__id",)
    search_help_text = "An event's id"
    ordering = ("-id",)
    actions = ("replay_dead", "discard_dead")
    inlines = (AttemptInline,)
    change_form_template = "events/delivery.html"
    fields = (
        "state", "handler", "queue", "event", "part", "bounds", "priority", "attempts",
        "publications", "isolated", "recorded_at", "due_at", "finished_at",
    )  # fmt: skip

    @admin.display(description="error")
    def last_error(self, delivery: Delivery) -> str:
        return (delivery.error.strip().splitlines() or [""])[-1][:120]

    @admin.action(description="Replay the selected dead letters", permissions=["operate"])
    def replay_dead(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        count = services.replay_dead_letters(
            DeadLetters(among=queryset), actor=request.user.get_username()
        )
        self.message_user(request, f"{count} dead letters will be delivered again.")

    @admin.action(description="Discard the selected dead letters", permissions=["operate"])
    def discard_dead(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        count = services.discard_dead_letters(
            DeadLetters(among=queryset), actor=request.user.get_username()
        )
        self.message_user(request, f"{count} dead letters discarded.", messages.WARNING)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """This says who may act on dead letters."""
        return request.user.has_perm("events.operate_deliveries")


@admin.register(Audit)
class AuditAdmin(ReadOnlyAdmin[Audit]):
    list_display = ("rule", "violations", "examples", "checked_at", "advice")
    ordering = ("-violations", "rule")

    @admin.display(description="what to do")
    def advice(self, audit: Audit) -> str:
        return rules[audit.rule].advice if audit.violations and audit.rule in rules else ""


@admin.register(Lease)
class LeaseAdmin(ReadOnlyAdmin[Lease]):
    list_display = ("id", "handler", "queue", "worker", "started_at", "expires_at")
    list_filter = ("queue",)


@admin.register(Operation)
class OperationAdmin(ReadOnlyAdmin[Operation]):
    list_display = ("at", "action", "actor", "count", "details")
    list_filter = ("action",)
    ordering = ("-id",)
