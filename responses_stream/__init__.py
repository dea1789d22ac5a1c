"""Speak the Responses protocol: build its event streams, judge them, read them, and serve them.

The public names stand here. What runs a server is loaded when it is first asked for, so that a user who only builds or
reads streams pays for nothing else.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

from responses_stream._version import __version__

if TYPE_CHECKING:
    from responses_stream.accumulator import Accumulator as Accumulator
    from responses_stream.accumulator import accumulate as accumulate
    from responses_stream.builders.events import AsyncEvents as AsyncEvents
    from responses_stream.builders.events import Events as Events
    from responses_stream.builders.events import flatten as flatten
    from responses_stream.builders.stream import ResponseEventStream as ResponseEventStream
    from responses_stream.builders.text_response import TextResponse as TextResponse
    from responses_stream.errors import DecodeError as DecodeError
    from responses_stream.errors import InvalidType as InvalidType
    from responses_stream.errors import InvalidValue as InvalidValue
    from responses_stream.errors import OutOfOrder as OutOfOrder
    from responses_stream.errors import ResponsesStreamError as ResponsesStreamError
    from responses_stream.hosting.context import ResponseContext as ResponseContext
    from responses_stream.hosting.http import HttpReply as HttpReply
    from responses_stream.hosting.http import HttpRequest as HttpRequest
    from responses_stream.hosting.options import ResponsesServerOptions as ResponsesServerOptions
    from responses_stream.hosting.server import ResponsesServer as ResponsesServer
    from responses_stream.order import OrderGuard as OrderGuard
    from responses_stream.protocol.request import CreateResponse as CreateResponse
    from responses_stream.protocol.response import ResponseObject as ResponseObject
    from responses_stream.protocol.response import ResponseUsage as ResponseUsage

_HOMES: Final = {
    "Accumulator": "accumulator",
    "AsyncEvents": "builders.events",
    "CreateResponse": "protocol.request",
    "DecodeError": "errors",
    "Events": "builders.events",
    "HttpReply": "hosting.http",
    "HttpRequest": "hosting.http",
    "InvalidType": "errors",
    "InvalidValue": "errors",
    "OrderGuard": "order",
    "OutOfOrder": "errors",
    "ResponseContext": "hosting.context",
    "ResponseEventStream": "builders.stream",
    "ResponseObject": "protocol.response",
    "ResponseUsage": "protocol.response",
    "ResponsesServer": "hosting.server",
    "ResponsesServerOptions": "hosting.options",
    "ResponsesStreamError": "errors",
    "TextResponse": "builders.text_response",
    "accumulate": "accumulator",
    "flatten": "builders.events",
}

__all__ = [
    "Accumulator",
    "AsyncEvents",
    "CreateResponse",
    "DecodeError",
    "Events",
    "HttpReply",
    "HttpRequest",
    "InvalidType",
    "InvalidValue",
    "OrderGuard",
    "OutOfOrder",
    "ResponseContext",
    "ResponseEventStream",
    "ResponseObject",
    "ResponseUsage",
    "ResponsesServer",
    "ResponsesServerOptions",
    "ResponsesStreamError",
    "TextResponse",
    "__version__",
    "accumulate",
    "flatten",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
