"""Speak the Responses protocol: build its event streams, judge them, read them, and serve them.

The public names stand here. What runs a server is loaded when it is first asked for, so that a user who only builds,
reads or judges streams pays for nothing else.
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
    from responses_stream.checking.report import CheckReport as CheckReport
    from responses_stream.checking.runs import check_handler as check_handler
    from responses_stream.checking.runs import check_handler_async as check_handler_async
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
    from responses_stream.validation.report import Report as Report
    from responses_stream.validation.report import Violation as Violation
    from responses_stream.validation.validator import EventValidator as EventValidator
    from responses_stream.validation.whole import validate_events as validate_events

_HOMES: Final = {
    "Accumulator": "accumulator",
    "AsyncEvents": "builders.events",
    "CheckReport": "checking.report",
    "CreateResponse": "protocol.request",
    "DecodeError": "errors",
    "EventValidator": "validation.validator",
    "Events": "builders.events",
    "HttpReply": "hosting.http",
    "HttpRequest": "hosting.http",
    "InvalidType": "errors",
    "InvalidValue": "errors",
    "OrderGuard": "order",
    "OutOfOrder": "errors",
    "Report": "validation.report",
    "ResponseContext": "hosting.context",
    "ResponseEventStream": "builders.stream",
    "ResponseObject": "protocol.response",
    "ResponseUsage": "protocol.response",
    "ResponsesServer": "hosting.server",
    "ResponsesServerOptions": "hosting.options",
    "ResponsesStreamError": "errors",
    "TextResponse": "builders.text_response",
    "Violation": "validation.report",
    "accumulate": "accumulator",
    "check_handler": "checking.runs",
    "check_handler_async": "checking.runs",
    "flatten": "builders.events",
    "validate_events": "validation.whole",
}

__all__ = [
    "Accumulator",
    "AsyncEvents",
    "CheckReport",
    "CreateResponse",
    "DecodeError",
    "EventValidator",
    "Events",
    "HttpReply",
    "HttpRequest",
    "InvalidType",
    "InvalidValue",
    "OrderGuard",
    "OutOfOrder",
    "Report",
    "ResponseContext",
    "ResponseEventStream",
    "ResponseObject",
    "ResponseUsage",
    "ResponsesServer",
    "ResponsesServerOptions",
    "ResponsesStreamError",
    "TextResponse",
    "Violation",
    "__version__",
    "accumulate",
    "check_handler",
    "check_handler_async",
    "flatten",
    "validate_events",
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
