"""A plain client of the REST API."""

from __future__ import annotations

from typing import Any

import httpx


class Refused(Exception):
    """The API returned a response that the demo does not expect."""


class Client:
    """A connection pool to one installation; each call carries the caller's own token."""

    def __init__(self, base_url: str, *, connections: int) -> None:
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        self._http = httpx.Client(base_url=f"{base_url}/api/v1/", limits=limits, timeout=30)

    def register(self, name: str, password: str) -> str:
        """Register a person and return their token."""
        body = {"username": name, "email": f"{name}@example.org", "password": password}
        token: str = self.call("POST", "auth/register/", body=body, expect={201})["token"]
        return token

    def follow(self, token: str, name: str, *, notify: bool) -> None:
        """Follow a person."""
        path = f"users/{name}/follow/"
        self.call("PUT", path, token=token, body={"notify": notify}, expect={200, 201})

    def add(self, token: str, url: str) -> bool:
        """Add a page; return whether that created a card: False if the reader had it already."""
        response = self._send("POST", "cards/", token, {"type": "URL", "url": url}, {200, 201})
        return response.status_code == 201

    def add_many(self, token: str, urls: list[str]) -> int:
        """Add pages in one request and return how many cards that created."""
        cards = [{"type": "URL", "url": url} for url in urls]
        response = self.call(
            "POST", "cards/bulk/", token=token, body={"cards": cards}, expect={201}
        )
        outcomes = [result["status"] for result in response["results"]]
        if "invalid" in outcomes:
            raise Refused(f"cards/bulk/ refused some of {urls}: {response}")
        return outcomes.count("created")

    def gather(self, token: str, name: str, cards: list[str]) -> None:
        """Create a collection of the cards with these ids."""
        body = {"name": name}
        collection = self.call("POST", "collections/", token=token, body=body, expect={201})
        for card in cards:
            path = f"collections/{collection['id']}/cards/"
            self.call("POST", path, token=token, body={"card": card}, expect={200, 201})

    def change_mind(self, token: str, followed: str) -> None:
        """Hide the reader's newest card, remove the one before it, and unfollow `followed`."""
        mine = [card["id"] for card in self.page(token, "cards/")]
        for card in mine[:1]:
            body = {"visibility": "PRIVATE"}
            self.call("PATCH", f"cards/{card}/", token=token, body=body, expect={200})
        for card in mine[1:2]:
            self._send("DELETE", f"cards/{card}/", token, None, {204})
        self._send("DELETE", f"users/{followed}/follow/", token, None, {204})

    def page(self, token: str, path: str) -> list[Any]:
        """Return the items on the first page of a list."""
        results: list[Any] = self.call("GET", path, token=token, expect={200})["results"]
        return results

    def newest(self, token: str, path: str, limit: int) -> list[Any]:
        """Return the first `limit` items of a list, from as many pages as needed."""
        found: list[Any] = []
        following: str | None = f"{path}?page_size=200"
        while following and len(found) < limit:
            page = self.call("GET", following, token=token, expect={200})
            found += page["results"]
            following = page["next"]
        return found[:limit]

    def call(
        self, method: str, path: str, *, token: str = "", body: Any = None, expect: set[int]
    ) -> Any:
        """Send a request and return the JSON; raise Refused for a status not in `expect`."""
        return self._send(method, path, token, body, expect).json()

    def _send(
        self, method: str, path: str, token: str, body: Any, expect: set[int]
    ) -> httpx.Response:
        """Send a request and return the response; raise Refused for a status not in `expect`."""
        headers = {"Authorization": f"Token {token}"} if token else {}
        response = self._http.request(method, path, json=body, headers=headers)
        if response.status_code not in expect:
            raise Refused(f"{method} {path}: {response.status_code} {response.text[:500]}")
        return response
