"""`POST /responses/compact`: a context goes in, a shorter one comes out (W20 to W23).

Compaction is the application's work, because it needs a model: a server offers a hook for it, and does the rest.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

import anyio.to_thread
import attrs
import msgspec

from responses_stream.errors import InvalidType
from responses_stream.hosting.context import ModeFlags, ResponseContext, SyncResponseContext
from responses_stream.hosting.errors import HttpError, check_may_wait, internal_error
from responses_stream.hosting.foreign import item_of
from responses_stream.hosting.host import Host, history_before
from responses_stream.hosting.http import HttpReply
from responses_stream.hosting.lookups import Lookups
from responses_stream.hosting.queries import query_of
from responses_stream.hosting.requests import check_input, client_headers, read_json
from responses_stream.hosting.routing import Call
from responses_stream.protocol.codec import decode_as, encode
from responses_stream.protocol.ids import new_id
from responses_stream.protocol.items import OutputItem
from responses_stream.protocol.request import CompactedResponse, CompactResponse, CreateResponse, given
from responses_stream.protocol.response import ResponseUsage

_log: Final = logging.getLogger("responses_stream")
_LONGEST_CACHE_KEY: Final = 64
_PREFIX: Final = "cmp"
_ZERO: Final = ResponseUsage(input_tokens=0, output_tokens=0, total_tokens=0)

Compacted: TypeAlias = Iterable[OutputItem | Mapping[str, Any]] | Mapping[str, Any]
"""The items of the shorter context, or a dict with them as ``output``, and ``usage`` where it is known."""

CompactionFunction: TypeAlias = (
    Callable[[CompactResponse, ResponseContext], Compacted | Awaitable[Compacted]]
    | Callable[[CompactResponse, SyncResponseContext], Compacted]
)
"""Takes ``(request, context)`` and returns what it makes of the context; async or not."""


@attrs.frozen
class CompactionHandler:
    """A function that compacts.

    Attributes:
        name: what the log calls it.
    """

    name: str
    _function: Callable[..., Any]

    @classmethod
    def of(cls, function: Callable[..., Any]) -> CompactionHandler:
        """Return *function* as a handler.

        Raises:
            InvalidType: it does not take ``(request, context)`` by position.
        """
        try:
            inspect.signature(function).bind(None, None)
        except (TypeError, ValueError):
            raise InvalidType("compaction handler", "a function that takes (request, context)", function) from None
        return cls(getattr(function, "__qualname__", type(function).__qualname__), function)

    async def compact(
        self, request: CompactResponse, context: ResponseContext, threads: anyio.CapacityLimiter
    ) -> object:
        """Run the function; one that is not async runs in a thread."""
        if inspect.iscoroutinefunction(self._function):
            return await self._function(request, context)
        made = await anyio.to_thread.run_sync(
            lambda: [self._function(request, context.blocking())], limiter=threads, abandon_on_cancel=True
        )
        return await made[0] if inspect.isawaitable(made[0]) else made[0]


async def compact(host: Host, call: Call) -> HttpReply:
    """Answer `POST /responses/compact`.

    Raises:
        HttpError: the request is refused (400, 404), the server does not compact (501), or its handler failed (500).
    """
    assert isinstance(call.request.body, bytes)
    handler = host.compaction_handler
    if handler is None:
        message = "This server does not support compaction."
        raise HttpError(501, "not_supported", message, source="platform")
    if host.runs.draining:
        host.runs.admit()
    check_may_wait(call.request)
    home = await host.ask(host.ready())
    request = read_json(call.request.body, CompactResponse, host.options.max_json_depth)
    check_input(request.input, host.options.max_input_items)
    if len(given(request.prompt_cache_key) or "") > _LONGEST_CACHE_KEY:
        message = f"prompt_cache_key must have at most {_LONGEST_CACHE_KEY} characters"
        raise HttpError(400, "invalid_request", message, param="prompt_cache_key")
    context = await _context(host, call, request)
    try:
        made = await handler.compact(request, context, home.threads)
        compacted = _compacted(made, context)
    except HttpError:
        raise
    except Exception:
        _log.exception("compaction handler %s failed", handler.name)
        raise internal_error("upstream") from None
    return host.json(call, encode(compacted))


async def _context(host: Host, call: Call, request: CompactResponse) -> ResponseContext:
    identity = await host.identity(call)
    whole = CreateResponse(
        model=request.model,
        input=request.input,
        instructions=request.instructions,
        previous_response_id=request.previous_response_id,
        prompt_cache_key=request.prompt_cache_key,
    )
    response_id = new_id(_PREFIX, given(request.previous_response_id))
    before = await history_before(host, whole, identity)
    assert isinstance(call.request.body, bytes)
    return ResponseContext(
        response_id=response_id,
        request=whole,
        raw_body=call.request.body,
        created_at=int(host.clock()),
        mode_flags=ModeFlags(stream=False, store=False, background=False),
        client_headers=client_headers(call.request),
        query_parameters=query_of(call.request),
        isolation=identity,
        call_id=call.request.header("x-agent-foundry-call-id"),
        clock=host.clock,
        lookups=Lookups(host.store, identity.partition, response_id, whole, before),
    )


def _compacted(made: object, context: ResponseContext) -> CompactedResponse:
    """Complete what a handler returned: the server adds what it did not say."""
    members: dict[str, Any] = dict(made) if isinstance(made, Mapping) else {"output": made}
    output = members.get("output")
    if not isinstance(output, Iterable) or isinstance(output, str | bytes | Mapping):
        raise InvalidType("what the compaction handler returned", "items, or a dict with `output`", made)
    members["output"] = []
    whole = {"id": context.response_id, "object": "response.compaction", "created_at": context.created_at}
    compacted = decode_as({**whole, "usage": msgspec.to_builtins(_ZERO), **members}, CompactedResponse)
    return msgspec.structs.replace(compacted, output=[item_of(item) for item in output])
