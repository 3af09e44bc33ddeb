"""The admin's pages of deliveries, with the actions that replay, retry or discard them."""

from __future__ import annotations

import re

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from eventbook.declare.handlers import handlers
from eventbook.models import Attempt, Delivery
from eventbook.operate import actions
from eventbook.operate.actions import DeadLetters, Waiting
from eventbook.operate.admin.confirmation import confirmation, is_confirmed, purge_message
from eventbook.operate.admin.records import ReadOnlyAdmin
from eventbook.operate.admin.states import badge
from eventbook.operate.queries.deliveries import dead_by_handler, purge_preview
from eventbook.operate.texts import last_line


class AttemptInline(admin.StackedInline[Attempt, Delivery]):
    """The failed attempts of a delivery: when, on which worker, and the traceback."""

    model = Attempt
    fields = ("failed_at", "worker", "cause", "traceback")
    readonly_fields = fields
    ordering = ("-id",)
    extra = 0
    can_delete = False
    verbose_name = "failed attempt"

    def has_add_permission(self, request: HttpRequest, obj: Delivery | None = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Delivery | None = None) -> bool:
        # Attempts have no permission of their own: it is the delivery's.
        return request.user.has_perm("eventbook.view_delivery")

    @admin.display(description="cause")
    def cause(self, attempt: Attempt) -> str:
        return last_line(attempt.error)

    @admin.display(description="traceback")
    def traceback(self, attempt: Attempt) -> str:
        """Return the traceback as HTML, folded if the next attempt failed in the same way."""
        page = '<details{}><summary>{}</summary><pre class="traceback">{}</pre></details>'
        later = attempt.delivery.failures.filter(id__gt=attempt.pk).order_by("id").first()
        if later and alike(later.error) == alike(attempt.error):
            opened, summary = "", f"The same as attempt {later.number}"
        else:
            opened, summary = mark_safe(" open"), "Where it was raised"
        return format_html(page, opened, summary, attempt.error)


def alike(error: str) -> str:
    """Return a traceback with every number replaced by 0, so that equal failures compare equal."""
    return re.sub(r"0x[0-9a-f]+|\d+", "0", error)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin[Delivery]):
    """The pages of deliveries: state, failed attempts, and operators' actions."""

    list_display = (
        "id", "shown_state", "queue", "handler", "attempts", "last_error", "recorded_at", "due_at",
        "finished_at", "event",
    )  # fmt: skip
    list_filter = ("state", "queue", "handler")
    list_select_related = ("event",)
    search_fields = ("=event__id",)
    search_help_text = "An event's id"
    ordering = ("-id",)
    actions = ("replay_dead", "discard_dead", "retry_now", "discard_waiting")
    inlines = (AttemptInline,)
    change_form_template = "operate/delivery.html"
    change_list_template = "operate/list.html"
    fields = (
        "shown_state", "handler", "queue", "event", "part", "bounds", "priority", "attempts",
        "allowed", "publications", "isolated", "recorded_at", "due_at", "finished_at",
    )  # fmt: skip

    @admin.display(description="error")
    def last_error(self, delivery: Delivery) -> str:
        return last_line(delivery.error)[:120]

    @admin.display(description="state", ordering="state")
    def shown_state(self, delivery: Delivery) -> SafeString:
        return badge(delivery.state, delivery.get_state_display())

    @admin.display(description="allowed")
    def allowed(self, delivery: Delivery) -> str:
        """Return the limits of the delivery's handler, unless this release doesn't have it."""
        if (handler := handlers.get(delivery.handler)) is None:
            return "–"
        attempts = len(handler.waits_after(None)) + 1
        limits = f"{attempts} attempts of at most {handler.policy.time_limit_seconds} s"
        return f"{limits}; {handler.burst}" if handler.burst else limits

    @admin.action(description="Replay the selected dead letters", permissions=["operate"])
    def replay_dead(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        count = actions.replay_dead_letters(
            DeadLetters(among=queryset), actor=request.user.get_username()
        )
        self.message_user(request, f"{count} dead letters will be delivered again.")

    @admin.action(description="Discard the selected dead letters", permissions=["operate"])
    def discard_dead(
        self, request: HttpRequest, queryset: QuerySet[Delivery]
    ) -> TemplateResponse | None:
        which = DeadLetters(among=queryset)
        if not is_confirmed(request):
            return confirmation(
                self,
                request,
                title="Discard dead letters for good?",
                counts=dead_by_handler(which),
            )
        count = actions.discard_dead_letters(which, actor=request.user.get_username())
        self.message_user(request, f"{count} dead letters discarded.", messages.WARNING)
        return None

    @admin.action(description="Retry the selected ones now", permissions=["operate_queues"])
    def retry_now(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        count = actions.retry_now(Waiting(among=queryset), actor=request.user.get_username())
        self.message_user(request, f"{count} retries are due now.")

    @admin.action(description="Discard the selected waiting ones", permissions=["operate_queues"])
    def discard_waiting(
        self, request: HttpRequest, queryset: QuerySet[Delivery]
    ) -> TemplateResponse | None:
        which = Waiting(among=queryset)
        if not is_confirmed(request):
            preview = purge_preview(which)
            return confirmation(
                self,
                request,
                title="Discard waiting deliveries for good?",
                counts=preview.by_handler,
                left=preview.held,
            )
        purged = actions.purge(which, actor=request.user.get_username())
        self.message_user(request, purge_message(purged), messages.WARNING)
        return None

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may replay and discard dead letters."""
        return request.user.has_perm("eventbook.operate_deliveries")

    def has_operate_queues_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may retry and discard waiting deliveries."""
        return request.user.has_perm("eventbook.operate_queues")
