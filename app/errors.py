"""The one family of errors that Trunkline raises on purpose.

Each concrete error is defined at the top of the module that raises it; the api renders any of them as
problem+json (RFC 9457) with its `status` and stable `code`, the command line prints its `detail`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar


class TrunklineError(Exception):
    """Something went wrong in a way that we can name.

    `status` is the HTTP status, `code` never changes once released, `detail` says what to do about it, and
    `extra` holds further members of the problem document (JSON values only).
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra


class NotFound(TrunklineError):
    """The thing asked for does not exist, or not in the organization that asks."""

    status = 404
    code = "not_found"
    title = "Not found"


class Conflict(TrunklineError):
    """The thing is in a state that does not allow this."""

    status = 409
    code = "conflict"
    title = "Conflict"


class InvalidInput(TrunklineError):
    """What was sent cannot be used; `extra["errors"]` lists every fault with its `path` and `message`."""

    status = 422
    code = "invalid_input"
    title = "Invalid input"


class Unavailable(TrunklineError):
    """A part that we depend on does not answer; trying again later may help."""

    status = 503
    code = "unavailable"
    title = "Temporarily unavailable"


def describe_faults(detail: str, faults: Iterable[Mapping[str, Any]]) -> str:
    """The detail, and each fault (`path`, `message`) on a line of its own; some details name every fault themselves,
    or are what the only one says."""
    lines, told = [detail], list(faults)
    for fault in told:
        path, message = fault.get("path", ""), str(fault.get("message", ""))
        line = f"{path}: {message}" if path else message
        if line not in detail and not (len(told) == 1 and message in detail):
            lines.append(f"  {line}")
    return "\n".join(lines)
