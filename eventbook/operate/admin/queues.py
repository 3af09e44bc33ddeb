"""The admin's pages of queues: live figures, actions, and the numbers that operators set."""

from __future__ import annotations

from collections import Counter
from typing import Any, Protocol
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import AdminTextInputWidget
from django.db.models import QuerySet, TextField
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from eventbook.declare.queues import all_policies
from eventbook.models import Delivery, QueueControl
from eventbook.operate import actions
from eventbook.operate.actions import Purged, Waiting
from eventbook.operate.admin.confirmation import confirmation, is_confirmed, purge_message
from eventbook.operate.admin.records import OperatedAdmin
from eventbook.operate.admin.states import badge
from eventbook.operate.queries.deliveries import purge_preview
from eventbook.operate.queries.queues import QueueStatus, queue_status
from eventbook.operate.texts import limits_of, pause_of

RESTORED = "before this database was restored: to end the pause, select the queue and resume it"


class ListedQueue(Protocol):
    """A QueueControl in the list, with the queue's live figures."""

    queue: str
    status: QueueStatus


class QueueList(ChangeList):
    """The list of queues with their live figures, in the order of the queue table."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        found = {status.queue: status for status in queue_status()}
        rows: dict[str, ListedQueue] = {control.queue: control for control in self.result_list}
        for queue, row in rows.items():
            row.status = found.get(queue, QueueStatus(queue=queue))
        first = [rows.pop(queue) for queue in all_policies() if queue in rows]
        self.result_list = [*first, *rows.values()]


def figure(name: str, description: str) -> Any:
    """Return a list column that shows the field `name` of QueueStatus."""

    @admin.display(description=description, empty_value="–")
    def column(control: ListedQueue) -> Any:
        return getattr(control.status, name)

    return column


def linked_count(name: str, description: str, **filters: str) -> Any:
    """Return a list column that shows a count, linked to the deliveries that it counts.

    `filters` are the query parameters of the deliveries' list, beside the queue.
    """

    @admin.display(description=description)
    def column(control: ListedQueue) -> SafeString:
        count = getattr(control.status, name)
        if not count:
            return format_html("{}", count)
        query = urlencode({"queue": control.queue, **filters})
        address = f"{reverse('admin:eventbook_delivery_changelist')}?{query}"
        return format_html('<a class="state-{}" href="{}">{}</a>', name, address, count)

    return column


class ControlForm(ModelForm[QueueControl]):
    """The form for a queue's numbers; a limit without effect is an error."""

    def clean(self) -> dict[str, Any]:
        numbers = super().clean() or self.cleaned_data
        changes = {name: numbers[name] for name in self.changed_data if name in numbers}
        actions.refuse_ineffective_limits(self.instance.queue, changes)
        return numbers


@admin.register(QueueControl)
class QueueAdmin(OperatedAdmin[QueueControl]):
    """The pages of queues: a list with live figures and actions, and a form for the numbers."""

    list_display = (
        "queue",
        "state",
        linked_count("dead", "dead", state__exact=Delivery.State.DEAD),
        "oldest",
        figure("depth", "open"),
        figure("waiting", "waiting"),
        figure("in_progress", "in progress"),
        linked_count("retrying", "retrying", state__exact=Delivery.State.RETRY),
        figure("rate_per_second", "done/s"),
        "latency",
        figure("workers", "workers"),
        figure("concurrency", "concurrency"),
        "limits",
    )
    form = ControlForm
    sortable_by = ()
    ordering = ("queue",)
    list_per_page = 200
    change_list_template = "operate/list.html"
    formfield_overrides = {TextField: {"widget": AdminTextInputWidget}}
    actions = ("pause", "resume", "retry_now", "purge")
    fields = (
        "queue",
        "state",
        "reason",
        "concurrency",
        "rate_limit",
        "rate_seconds",
        "group_limit",
        "group_seconds",
    )
    readonly_fields = ("queue", "state")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        in_table = obj is None or obj.queue in all_policies()
        return in_table and self.has_operate_permission(request)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return QueueList

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        actions.ensure_controls()
        return super().changelist_view(request, {"title": "Queues", **(extra_context or {})})

    def save_model(
        self, request: HttpRequest, obj: QueueControl, form: ModelForm[QueueControl], change: bool
    ) -> None:
        changes = {name: form.cleaned_data[name] for name in form.changed_data}
        actions.tune(obj.queue, actor=request.user.get_username(), changes=changes)

    @admin.display(description="state")
    def state(self, control: QueueControl) -> SafeString:
        if control.paused_at is None:
            return badge("running", "running")
        text, status = pause_of(control), getattr(control, "status", None)
        if status is not None and status.restored:
            text = f"{text} ({RESTORED})"
        return format_html("{} {}", badge("paused", "paused"), text)

    @admin.display(description="waits for")
    def oldest(self, control: ListedQueue) -> str:
        return f"{control.status.oldest_seconds:.0f} s" if control.status.depth else "–"

    @admin.display(description="p50, p95, p99 ms")
    def latency(self, control: ListedQueue) -> str:
        """Return the percentiles of the time from commit to done, over the last 5 minutes."""
        status = control.status
        found = (status.p50_ms, status.p95_ms, status.p99_ms)
        return ", ".join("–" if each is None else f"{each:.0f}" for each in found)

    @admin.display(description="limits")
    def limits(self, control: ListedQueue) -> str:
        return limits_of(control.status)

    @admin.action(description="Pause the selected queues", permissions=["operate"])
    def pause(self, request: HttpRequest, queryset: QuerySet[QueueControl]) -> None:
        if queues := self.for_each(request, queryset, actions.pause):
            text = f"{', '.join(queues)}: paused, no new work begins. Give the reason in the form."
            self.message_user(request, text, messages.WARNING)

    @admin.action(description="Resume the selected queues", permissions=["operate"])
    def resume(self, request: HttpRequest, queryset: QuerySet[QueueControl]) -> None:
        if queues := self.for_each(request, queryset, actions.resume):
            text = f"{', '.join(queues)}: resumed, with all waiting deliveries."
            self.message_user(request, text)

    @admin.action(description="Make waiting retries due now", permissions=["operate"])
    def retry_now(self, request: HttpRequest, queryset: QuerySet[QueueControl]) -> None:
        count = sum(
            actions.retry_now(Waiting(queue=queue), actor=request.user.get_username())
            for queue in names_of(queryset)
        )
        self.message_user(request, f"{count} retries are due now.")

    @admin.action(description="Purge: discard all waiting deliveries", permissions=["operate"])
    def purge(
        self, request: HttpRequest, queryset: QuerySet[QueueControl]
    ) -> TemplateResponse | None:
        queues = names_of(queryset)
        if not is_confirmed(request):
            previews = [purge_preview(Waiting(queue=queue)) for queue in queues]
            return confirmation(
                self,
                request,
                title=f"Discard all waiting deliveries of {', '.join(queues)}?",
                counts=dict(sum((Counter(each.by_handler) for each in previews), Counter())),
                left=sum(each.held for each in previews),
            )
        actor = request.user.get_username()
        purged = [actions.purge(Waiting(queue=queue), actor=actor) for queue in queues]
        total = Purged(sum(each.discarded for each in purged), sum(each.held for each in purged))
        self.message_user(request, purge_message(total), messages.WARNING)
        return None


def names_of(chosen: QuerySet[QueueControl]) -> list[str]:
    """Return the names of the chosen queues, sorted."""
    return list(chosen.order_by("queue").values_list("queue", flat=True))
