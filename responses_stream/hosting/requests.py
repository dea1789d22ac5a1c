"""The body of a request: read within its limit, decoded, checked, and completed with the defaults.

Each check is of hosting-contract.md section 8.2, in its order; what fails is an `HttpError` that names the member.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, TypeVar

import msgspec

from responses_stream.errors import DecodeError
from responses_stream.hosting.errors import USER_TYPE, HttpError
from responses_stream.hosting.http import HttpRequest
from responses_stream.hosting.modes import mode_of
from responses_stream.hosting.options import ResponsesServerOptions
from responses_stream.protocol.base import AgentReference, Wire
from responses_stream.protocol.codec import decode_as, from_json
from responses_stream.protocol.ids import is_response_id
from responses_stream.protocol.request import CreateResponse, given

W = TypeVar("W", bound=Wire)

LARGE_BODY: Final = 512 * 1024
"""From how many bytes on a body is read in a thread: it would hold up the tokens of everybody else (pains.md F3)."""

_MOST_METADATA: Final = 16
_LONGEST_KEY: Final = 64
_LONGEST_VALUE: Final = 512
_CLIENT_HEADER: Final = "x-client-"
_DIGITS: Final = re.compile(r"[0-9]+\Z")

# request-response.md section 2.1, C05 to C07: the least and the most that a number may be.
_RANGES: Final = (
    ("temperature", 0, 2),
    ("top_p", 0, 1),
    ("top_logprobs", 0, 20),
    ("max_output_tokens", 16, None),
    ("max_tool_calls", 1, None),
)


async def read_body(request: HttpRequest, most: int) -> bytes:
    """Return the whole body.

    Raises:
        HttpError: it has more than *most* bytes (413); no more than that was read.
        Exception: what the transport raises while its client sends.
    """
    announced = request.header("content-length") or ""
    if _DIGITS.match(announced) and int(announced[:20]) > most:
        raise _too_large(most)
    if isinstance(request.body, bytes):
        if len(request.body) > most:
            raise _too_large(most)
        return request.body
    pieces: list[bytes] = []
    size = 0
    async for piece in request.body:
        size += len(piece)
        if size > most:
            raise _too_large(most)
        pieces.append(piece)
    return b"".join(pieces)


def parse_create(body: bytes, options: ResponsesServerOptions) -> CreateResponse:
    """Return what *body* asks for; its model is set, trimmed, or empty where nobody named one (H8.12).

    Raises:
        HttpError: the body is not JSON, is no object, is nested too deeply, or does not fit; or it asks for what
            cannot be (400).
    """
    request = read_json(body, CreateResponse, options.max_json_depth)
    _check_agent(given(request.agent_reference))
    model = (request.model or "").strip() or (options.default_model or "").strip()
    request = msgspec.structs.replace(request, model=model)
    mode_of(request)
    if given(request.stream_options) is not None and not request.stream:
        raise HttpError(400, "invalid_mode", "stream_options requires stream=true", param="stream")
    _check_metadata(given(request.metadata) or {})
    for member, least, most in _RANGES:
        _check_range(member, given(getattr(request, member)), least, most)
    if request.previous_response_id and request.conversation:
        message = "previous_response_id and conversation cannot be given together."
        raise HttpError(400, "invalid_request", message, param="conversation")
    check_input(request.input, options.max_input_items)
    return request


def check_input(items: object, most: int) -> None:
    """Check how many items an input has (decision 27).

    Raises:
        HttpError: too many (400).
    """
    if isinstance(items, list) and len(items) > most:
        message = f"input must have at most {most} items, got {len(items)}"
        raise HttpError(400, "invalid_request", message, param="input")


def wanted_id(asked: HttpRequest, request: CreateResponse, options: ResponsesServerOptions) -> str | None:
    """Return the id that a request wants its response to have, if it does (H9.16).

    Raises:
        HttpError: it has not the form of one (H8.17, H8.18).
    """
    wanted = (asked.header("x-agent-response-id") or "").strip() or given(request.response_id)
    if wanted is None:
        return None
    if not wanted.strip():
        raise HttpError(400, "invalid_request", "response_id must be a non-empty string", param="response_id")
    if not is_response_id(wanted, options.id_prefix):
        message = (
            f"response_id must be in format {options.id_prefix}_<18-char partition key><32-char alphanumeric entropy>"
        )
        raise HttpError(400, "invalid_request", message, param="response_id")
    return wanted


def client_headers(asked: HttpRequest) -> dict[str, str]:
    """Return the headers that a client means for the handler (H9.6)."""
    return {name: value for name, value in asked.headers if name.startswith(_CLIENT_HEADER)}


def read_json(body: bytes, kind: type[W], deepest: int) -> W:
    """Return the body of a request (H8.6, H8.8, H8.9).

    Raises:
        HttpError: it is not JSON, is no object, is nested deeper than *deepest* levels, or does not fit *kind*.
    """
    try:
        data = from_json(body)
    except DecodeError as error:
        raise HttpError(400, USER_TYPE, f"request body is {error}") from None
    if not isinstance(data, dict):
        raise HttpError(400, "invalid_request", "request body must be a JSON object")
    if _deeper_than(data, deepest):
        raise HttpError(400, "invalid_request", f"request body is nested deeper than {deepest} levels")
    try:
        return decode_as(data, kind, strict=True)
    except DecodeError as error:
        message = "request body failed schema validation"
        raise HttpError(400, "invalid_request", message, problems=error.problems) from None


def _deeper_than(data: object, deepest: int) -> bool:
    level = [data]
    for _ in range(deepest):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ())
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def _check_agent(agent: AgentReference | None) -> None:
    """H8.19."""
    if agent is None:
        return
    if given(agent.type) != "agent_reference":
        message, param = "agent_reference.type must be 'agent_reference'", "agent_reference.type"
        raise HttpError(400, "invalid_request", message, param=param)
    if not (given(agent.name) or "").strip():
        message, param = "agent_reference.name must be a non-empty string", "agent_reference.name"
        raise HttpError(400, "invalid_request", message, param=param)


def _check_metadata(metadata: Mapping[str, str]) -> None:
    """H8.11."""
    if len(metadata) > _MOST_METADATA:
        raise _bad_metadata(f"metadata must have at most {_MOST_METADATA} keys")
    for key, value in metadata.items():
        if len(key) > _LONGEST_KEY:
            raise _bad_metadata(f"metadata keys must be at most {_LONGEST_KEY} characters")
        if len(value) > _LONGEST_VALUE:
            raise _bad_metadata(f"metadata values must be at most {_LONGEST_VALUE} characters")


def _bad_metadata(message: str) -> HttpError:
    return HttpError(400, "invalid_request", message, param="metadata")


def _check_range(member: str, value: float | None, least: float, most: float | None) -> None:
    if value is None or (value >= least and (most is None or value <= most)):
        return
    wanted = f"at least {least}" if most is None else f"between {least} and {most}"
    raise HttpError(400, "invalid_request", f"{member} must be {wanted}", param=member)


def _too_large(most: int) -> HttpError:
    return HttpError(413, "request_too_large", f"The request body is larger than {most} bytes.")
