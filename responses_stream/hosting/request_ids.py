"""The id that a request goes by: in `x-request-id`, in the body of errors, and in the log (H9.12)."""

from __future__ import annotations

import re
import secrets
from typing import Final

from responses_stream.hosting.http import HttpRequest

_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_NO_TRACE: Final = "0" * 32
# It goes back into a header, so it is printable, and it goes into every log line, so it is short.
_ACCEPTED: Final = re.compile(r"[!-~]{1,128}\Z")


def request_id_of(request: HttpRequest | None) -> str:
    """Return the id of *request*: its trace, else the id that it came with, else a new one."""
    if request is not None:
        trace = _TRACEPARENT.match(request.header("traceparent") or "")
        if trace and trace[1] != _NO_TRACE:
            return trace[1]
        given = (request.header("x-request-id") or "").strip()
        if _ACCEPTED.match(given):
            return given
    return secrets.token_hex(16)
