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
    from responses_stream.builders.events import AsyncYield as AsyncYield
    from responses_stream.builders.events import Events as Events
    from responses_stream.builders.events import SyncYield as SyncYield
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
    from responses_stream.guarding import encode_stream as encode_stream
    from responses_stream.guarding import guarded as guarded
    from responses_stream.hosting.cancellation import CancellationSignal as CancellationSignal
    from responses_stream.hosting.cancellation import Cause as Cause
    from responses_stream.hosting.context import ResponseContext as ResponseContext
    from responses_stream.hosting.context import SyncResponseContext as SyncResponseContext
    from responses_stream.hosting.errors import HttpError as HttpError
    from responses_stream.hosting.http import HttpReply as HttpReply
    from responses_stream.hosting.http import HttpRequest as HttpRequest
    from responses_stream.hosting.identity import Identity as Identity
    from responses_stream.hosting.options import ResponsesServerOptions as ResponsesServerOptions
    from responses_stream.hosting.server import ResponsesServer as ResponsesServer
    from responses_stream.hosting.settings import BadOption as BadOption
    from responses_stream.hosting.settings import load_options as load_options
    from responses_stream.order import OrderGuard as OrderGuard
    from responses_stream.protocol.conversions import get_content_expanded as get_content_expanded
    from responses_stream.protocol.conversions import get_conversation_expanded as get_conversation_expanded
    from responses_stream.protocol.conversions import get_conversation_id as get_conversation_id
    from responses_stream.protocol.conversions import get_input_expanded as get_input_expanded
    from responses_stream.protocol.conversions import get_instruction_items as get_instruction_items
    from responses_stream.protocol.conversions import get_output_item_id as get_output_item_id
    from responses_stream.protocol.conversions import get_tool_choice_expanded as get_tool_choice_expanded
    from responses_stream.protocol.conversions import to_item as to_item
    from responses_stream.protocol.conversions import to_output_item as to_output_item
    from responses_stream.protocol.data_urls import decode_bytes as decode_bytes
    from responses_stream.protocol.data_urls import get_media_type as get_media_type
    from responses_stream.protocol.data_urls import is_data_url as is_data_url
    from responses_stream.protocol.data_urls import try_decode_bytes as try_decode_bytes
    from responses_stream.protocol.request import CompactResponse as CompactResponse
    from responses_stream.protocol.request import CreateResponse as CreateResponse
    from responses_stream.protocol.response import ResponseObject as ResponseObject
    from responses_stream.protocol.response import ResponseUsage as ResponseUsage
    from responses_stream.stores.base import ResponseStore as ResponseStore
    from responses_stream.stores.memory import MemoryStore as MemoryStore
    from responses_stream.stores.postgres import PostgresStore as PostgresStore
    from responses_stream.stores.redis import RedisStore as RedisStore
    from responses_stream.stores.sqlite import SqliteStore as SqliteStore
    from responses_stream.validation.report import Report as Report
    from responses_stream.validation.report import Violation as Violation
    from responses_stream.validation.validator import EventValidator as EventValidator
    from responses_stream.validation.whole import validate_events as validate_events

_HOMES: Final = {
    "Accumulator": "accumulator",
    "AsyncEvents": "builders.events",
    "AsyncYield": "builders.events",
    "BadOption": "hosting.settings",
    "CancellationSignal": "hosting.cancellation",
    "Cause": "hosting.cancellation",
    "CheckReport": "checking.report",
    "CompactResponse": "protocol.request",
    "CreateResponse": "protocol.request",
    "DecodeError": "errors",
    "EventValidator": "validation.validator",
    "Events": "builders.events",
    "HttpError": "hosting.errors",
    "HttpReply": "hosting.http",
    "HttpRequest": "hosting.http",
    "Identity": "hosting.identity",
    "InvalidType": "errors",
    "InvalidValue": "errors",
    "MemoryStore": "stores.memory",
    "OrderGuard": "order",
    "OutOfOrder": "errors",
    "PostgresStore": "stores.postgres",
    "RedisStore": "stores.redis",
    "Report": "validation.report",
    "ResponseContext": "hosting.context",
    "ResponseEventStream": "builders.stream",
    "ResponseObject": "protocol.response",
    "ResponseStore": "stores.base",
    "ResponseUsage": "protocol.response",
    "ResponsesServer": "hosting.server",
    "ResponsesServerOptions": "hosting.options",
    "ResponsesStreamError": "errors",
    "SqliteStore": "stores.sqlite",
    "SyncResponseContext": "hosting.context",
    "SyncYield": "builders.events",
    "TextResponse": "builders.text_response",
    "Violation": "validation.report",
    "accumulate": "accumulator",
    "check_handler": "checking.runs",
    "check_handler_async": "checking.runs",
    "decode_bytes": "protocol.data_urls",
    "encode_stream": "guarding",
    "flatten": "builders.events",
    "get_content_expanded": "protocol.conversions",
    "get_conversation_expanded": "protocol.conversions",
    "get_conversation_id": "protocol.conversions",
    "get_input_expanded": "protocol.conversions",
    "get_instruction_items": "protocol.conversions",
    "get_media_type": "protocol.data_urls",
    "get_output_item_id": "protocol.conversions",
    "get_tool_choice_expanded": "protocol.conversions",
    "guarded": "guarding",
    "is_data_url": "protocol.data_urls",
    "load_options": "hosting.settings",
    "to_item": "protocol.conversions",
    "to_output_item": "protocol.conversions",
    "try_decode_bytes": "protocol.data_urls",
    "validate_events": "validation.whole",
}

__all__ = [
    "Accumulator",
    "AsyncEvents",
    "AsyncYield",
    "BadOption",
    "CancellationSignal",
    "Cause",
    "CheckReport",
    "CompactResponse",
    "CreateResponse",
    "DecodeError",
    "EventValidator",
    "Events",
    "HttpError",
    "HttpReply",
    "HttpRequest",
    "Identity",
    "InvalidType",
    "InvalidValue",
    "MemoryStore",
    "OrderGuard",
    "OutOfOrder",
    "PostgresStore",
    "RedisStore",
    "Report",
    "ResponseContext",
    "ResponseEventStream",
    "ResponseObject",
    "ResponseStore",
    "ResponseUsage",
    "ResponsesServer",
    "ResponsesServerOptions",
    "ResponsesStreamError",
    "SqliteStore",
    "SyncResponseContext",
    "SyncYield",
    "TextResponse",
    "Violation",
    "__version__",
    "accumulate",
    "check_handler",
    "check_handler_async",
    "decode_bytes",
    "encode_stream",
    "flatten",
    "get_content_expanded",
    "get_conversation_expanded",
    "get_conversation_id",
    "get_input_expanded",
    "get_instruction_items",
    "get_media_type",
    "get_output_item_id",
    "get_tool_choice_expanded",
    "guarded",
    "is_data_url",
    "load_options",
    "to_item",
    "to_output_item",
    "try_decode_bytes",
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
