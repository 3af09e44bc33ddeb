"""The admin's pages of bridges: what waits to be published, and what was parked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from eventbook.models import BridgeEntry, ParkedMessage
from eventbook.operate import actions
from eventbook.operate.admin.records import ReadOnlyAdmin

Act = Callable[..., int]


@admin.register(BridgeEntry)
class BridgeEntryAdmin(ReadOnlyAdmin[BridgeEntry]):
    list_display = ("id", "bridge", "event_id")
    list_filter = ("bridge",)
    ordering = ("id",)


@admin.register(ParkedMessage)
class ParkedMessageAdmin(ReadOnlyAdmin[ParkedMessage]):
    """The parked messages; those with the permission `operate_bridges` may act on them."""

    list_display = ("id", "bridge", "event_id", "reason", "parked_at")
    list_filter = ("bridge",)
    ordering = ("-id",)
    fields = ("bridge", "event_id", "reason", "parked_at", "headers", "text")
    actions = ("replay", "discard")

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may replay and discard; Django asks for the actions below."""
        return request.user.has_perm("eventbook.operate_bridges")

    @admin.display(description="body")
    def text(self, message: ParkedMessage) -> str:
        return bytes(message.body).decode(errors="replace")

    @admin.action(permissions=["operate"], description="Replay selected messages")
    def replay(self, request: HttpRequest, chosen: QuerySet[ParkedMessage]) -> None:
        self._act(request, chosen, actions.replay_parked, "replayed")

    @admin.action(permissions=["operate"], description="Discard selected messages for good")
    def discard(self, request: HttpRequest, chosen: QuerySet[ParkedMessage]) -> None:
        self._act(request, chosen, actions.discard_parked, "discarded")

    def _act(
        self, request: HttpRequest, chosen: QuerySet[ParkedMessage], act: Act, done: str
    ) -> None:
        """Act on the chosen messages of each bridge, and tell the user how many there were."""
        ids: defaultdict[str, list[Any]] = defaultdict(list)
        for bridge, id in chosen.values_list("bridge", "pk"):
            ids[bridge].append(id)
        actor = request.user.get_username()
        for bridge, own in ids.items():
            try:
                count = act(bridge, own, actor=actor)
            except LookupError as error:
                self.message_user(request, str(error), messages.ERROR)
            else:
                self.message_user(request, f"{count} messages of {bridge} {done}.")
