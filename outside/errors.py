"""The reasons why an address could not be fetched."""

from __future__ import annotations


class FetchFailed(Exception):
    """The address could not be fetched; the message says why, without the address.

    `code` names the reason for programs. If `lasting`, a retry soon is of no use.
    """

    code = "failed"
    lasting = False


class Refused(FetchFailed):
    """The address must not be fetched, for example because it is not on the public internet."""

    code = "refused"
    lasting = True


class Unreachable(FetchFailed):
    """No server responded, or the connection broke off."""

    code = "unreachable"


class TimedOut(FetchFailed):
    """The response was not complete within the time limit."""

    code = "too_slow"


class TooLarge(FetchFailed):
    """The response, decompressed, is longer than the limit."""

    code = "too_large"
    lasting = True


class TooManyRedirects(FetchFailed):
    """The server redirected more often than the fetcher follows."""

    code = "too_many_redirects"
    lasting = True


class WrongType(FetchFailed):
    """The response has an unwanted content type; `size` is its length in bytes, if known."""

    code = "wrong_type"
    lasting = True

    def __init__(self, type: str, size: int | None) -> None:
        super().__init__(f"The response is of type {type[:100] or 'unknown'}.")
        self.type = type
        self.size = size


class Moved(FetchFailed):
    """The server redirected to `url`, which was checked like the first address."""

    code = "moved"
    lasting = True

    def __init__(self, url: str) -> None:
        super().__init__("The page is at another address.")
        self.url = url


class ErrorStatus(FetchFailed):
    """The server responded with an error; `retry_after` is its Retry-After in seconds, or None."""

    code = "answered"

    def __init__(self, status: int, retry_after: int | None = None) -> None:
        super().__init__(f"The server responded with status {status}.")
        self.status = status
        self.retry_after = retry_after
        # Most 4xx stay: the page is forbidden or gone. 408, 425 and 429 invite a retry.
        self.lasting = 400 <= status < 500 and status not in {408, 425, 429}
