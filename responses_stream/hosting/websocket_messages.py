"""What travels on a WebSocket: the messages of a client, read, and events and errors as messages of the server.

One text message is one JSON object, in both directions (W2, W3, W9).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs
import msgspec

from responses_stream.errors import DecodeError
from responses_stream.hosting.errors import (
    CONNECTION_OVER,
    INTERNAL_CODE,
    INTERNAL_MESSAGE,
    SERVER_TYPE,
    USER_TYPE,
    HttpError,
)
from responses_stream.hosting.http import HttpReply
from responses_stream.hosting.request_ids import request_id_of
from responses_stream.protocol.codec import from_json

_CREATE: Final = "response.create"
_STEER: Final = "response.steer"
_NOT_HERE: Final = ("stream", "stream_options", "background")
_TRUE: Final = msgspec.Raw(b"true")

_ERROR: Final = b"event: error\n"
_DATA: Final = b"data: "
_END: Final = b"\n\n"
_DONE: Final = b"[DONE]"

# What a response fails with that the server has stopped, and what that is over HTTP; all else is a 500.
_STATUS: Final = {
    "server_shutting_down": 503,
    "run_timeout": 503,
    "response_too_large": 503,
    CONNECTION_OVER: 400,
}


@attrs.frozen(kw_only=True)
class Asked:
    """A message of a client, read.

    Attributes:
        body: the body of the `POST` that it stands for; empty where it is refused.
        refused: why it is refused, where it is.
        previous: the response that it continues, as far as it could be read.
        lane: its `stream_id`, which an answer has to repeat (R204).
    """

    body: bytes = b""
    refused: HttpError | None = None
    previous: str | None = None
    lane: str | None = None


def read_message(message: str) -> Asked:
    """Return what a message asks for (W2). It takes as long as it is large; no value within is looked at."""
    try:
        members = msgspec.json.decode(message, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        return Asked(refused=bad_message("A message is a JSON object."))
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return Asked(refused=_not_json(message))
    lane, previous = _text(members.get("stream_id")), _text(members.get("previous_response_id"))
    refused = _refusal(members)
    if refused is not None:
        return Asked(refused=refused, previous=previous, lane=lane)
    for member in ("type", "stream_id"):
        members.pop(member, None)
    members["stream"] = _TRUE
    # The values stand as they came: what was refused over HTTP would be refused here, and what was kept is kept.
    return Asked(body=msgspec.json.encode(members), previous=previous)


def bad_message(message: str, param: str | None = None) -> HttpError:
    """Return the error of a message that is none (W10)."""
    return HttpError(400, "invalid_request", message, param=param)


def error_message(error: HttpError, lane: str | None = None) -> str:
    """Return an error that answers no request of HTTP, as a message (W9)."""
    return reply_message(error.reply(request_id_of(None)), lane)


def reply_message(reply: HttpReply, lane: str | None = None) -> str:
    """Return the error that a turn was answered with, as a message (W9)."""
    assert isinstance(reply.body, bytes)
    error = msgspec.json.decode(reply.body)["error"]
    status = 400 if error["code"] == "previous_response_not_found" else reply.status  # W6
    lanes = {} if lane is None else {"stream_id": lane}
    return msgspec.json.encode({"type": "error", "status": status, "error": error, **lanes}).decode()


def event_messages(frames: bytes) -> tuple[list[str], str | None]:
    """Take the events out of the frames of SSE (W3); the marker of the end and signs of life belong to those.

    Returns:
        The messages, and the code of the `error` that is one of them.
    """
    messages: list[str] = []
    told: str | None = None
    for frame in frames.split(_END):
        _, _, data = frame.partition(_DATA)
        if not data or data == _DONE:
            continue
        if frame.startswith(_ERROR):
            told, data = _with_status(data)
        messages.append(data.decode())
    return messages, told


def _refusal(members: Mapping[str, msgspec.Raw]) -> HttpError | None:
    kind = _text(members.get("type"))
    if kind == _STEER:
        return _unsupported("This server cannot steer a response that it is making.", "type")
    if kind != _CREATE:
        return bad_message(f"The type of a message has to be {_CREATE}.", "type")
    for member in _NOT_HERE:
        if member in members:
            return _unsupported(f"{member} has no meaning on a WebSocket; leave it out.", member)
    if bytes(members.get("stream_id", b"null")) != b"null":
        return _unsupported("This server has no lanes: it answers one message after the other.", "stream_id")
    if bytes(members.get("generate", b"true")) == b"false":
        return _unsupported("This server has nothing to warm up; leave generate out.", "generate")
    return None


def _unsupported(message: str, param: str) -> HttpError:
    return HttpError(400, "unsupported_parameter", message, param=param)


def _not_json(message: str) -> HttpError:
    try:
        from_json(message)
    except DecodeError as error:
        return HttpError(400, USER_TYPE, f"the message is {error}")
    return HttpError(400, USER_TYPE, "the message is not JSON")


def _text(raw: msgspec.Raw | None) -> str | None:
    try:
        return None if raw is None else msgspec.json.decode(raw, type=str)
    except (msgspec.DecodeError, UnicodeError):
        return None


def _with_status(data: bytes) -> tuple[str, bytes]:
    """Return the code of an `error` event, and the event with all that HTTP has other places for (W9, R207)."""
    event: dict[str, Any] = msgspec.json.decode(data)
    nested = event.get("error")
    error = dict(nested) if isinstance(nested, dict) else {}
    for member, otherwise in (("code", INTERNAL_CODE), ("message", INTERNAL_MESSAGE)):
        error[member] = next((one for one in (error.get(member), event.get(member)) if _says(one)), otherwise)
    error = {"param": event.get("param"), "type": SERVER_TYPE} | error
    status = event.get("status")
    if type(status) is not int:
        status = _STATUS.get(error["code"], 500)
    return error["code"], msgspec.json.encode(event | {"status": status, "error": error})


def _says(value: object) -> bool:
    return isinstance(value, str) and bool(value)
