"""Why a page could not be fetched."""

from __future__ import annotations


class FetchFailed(Exception):
    """What was asked for could not be fetched; the message says why, and holds no address.

    `code` names the reason for programs. `lasting` says that trying again soon is of no use.
    """

    code = "failed"
    lasting = False


class Refused(FetchFailed):
    """The address must not be fetched, whatever answers there."""

    code = "refused"
    lasting = True


class Unreachable(FetchFailed):
    """No server answered, or it broke off."""

    code = "unreachable"


class TooSlow(FetchFailed):
    """The answer was not complete in time."""

    code = "too_slow"


class TooLarge(FetchFailed):
    """The answer, unpacked, is longer than what is wanted."""

    code = "too_large"
    lasting = True


class TooManyRedirects(FetchFailed):
    """The server sends its visitors round and round."""

    code = "too_many_redirects"
    lasting = True


class WrongType(FetchFailed):
    """The answer is of a kind that is not wanted; `size` has its bytes, if the server says."""

    code = "wrong_type"
    lasting = True

    def __init__(self, type: str, size: int | None) -> None:
        super().__init__(f"The answer is of type {type[:100] or 'unknown'}.")
        self.type = type
        self.size = size


class Moved(FetchFailed):
    """The server sends its visitors to another address: `url`, checked like the first."""

    code = "moved"
    lasting = True

    def __init__(self, url: str) -> None:
        super().__init__("The page is at another address.")
        self.url = url


class Answered(FetchFailed):
    """The server answered with an error; `retry_after` has the seconds it asks to wait, if any."""

    code = "answered"

    def __init__(self, status: int, retry_after: int | None = None) -> None:
        super().__init__(f"The server answered with status {status}.")
        self.status = status
        self.retry_after = retry_after
        # What is forbidden or gone stays so for long; 408, 425 and 429 ask to come again.
        self.lasting = 400 <= status < 500 and status not in {408, 425, 429}
