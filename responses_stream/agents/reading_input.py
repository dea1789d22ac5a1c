"""`run_input`: the body of a request as what an agent needs to know, for handlers and for routes of one's own.

The short forms of the protocol are written out: a string is a message of the user, the content of a message is a list
of parts, and parts that stand in the input by themselves are gathered into a message. Everything else, from results of
calls to items that nobody has heard of, stays as it came.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import UNSET

from responses_stream.agents.turn import RunInput, SessionAnchor
from responses_stream.errors import DecodeError, InvalidType, InvalidValue, Problem
from responses_stream.protocol.base import UnknownItem, UnknownPart, Wire
from responses_stream.protocol.codec import decode_union, encode, from_json, to_builtins
from responses_stream.protocol.conversions import get_content_expanded
from responses_stream.protocol.items import InputItem, InputMessage, ItemReference
from responses_stream.protocol.parts import ContentPart, ResponseInputFile, ResponseInputImage, ResponseInputText
from responses_stream.protocol.request import CreateResponse
from responses_stream.protocol.response import ErrorBody, ErrorPayload
from responses_stream.protocol.tools import JsonObject

__all__ = ["error_body", "run_input"]

# H21.4: about transport, history and the platform; the rest of the body is for the agent.
_NOT_OPTIONS: Final = frozenset(
    {
        "agent_reference",
        "agent_session_id",
        "background",
        "background_options",
        "conversation",
        "input",
        "previous_response_id",
        "response_id",
        "store",
        "stream",
        "stream_options",
    }
)
_PARTS: Final = frozenset(
    {"input_text", "output_text", "text", "input_image", "input_file", "input_audio", "input_video"}
)
_SOURCES: Final = {
    "input_image": ("image_url", "file_id"),
    "input_file": ("file_url", "file_id", "file_data"),
}
_BAD_REQUEST: Final = "invalid_request"
_BAD_REQUEST_TYPE: Final = "invalid_request_error"


def run_input(body: CreateResponse | Mapping[str, Any] | bytes | str) -> RunInput:
    """Return what a request asks of an agent (H21.1-H21.6, H21.31).

    Members that are null count as absent (decision 20). Without `input` there are no messages.

    Args:
        body: the body of the request: its JSON, the plain data of it, or a `CreateResponse`.

    Raises:
        DecodeError: it is not JSON.
        InvalidValue: it is no object, or something in it cannot be understood; `argument` is the JSON path, such as
            ``input[3].content``. `error_body` makes the answer of it.
        InvalidType: *body* is none of these.
    """
    if isinstance(body, bytes | str):
        body = from_json(body)
        if not isinstance(body, Mapping):
            raise InvalidValue("body", f"is {_named(body)}; it has to be an object")
    if isinstance(body, CreateResponse):
        members = to_builtins(msgspec.structs.replace(body, input=UNSET)) | {"input": body.input}
    elif isinstance(body, Mapping):
        members = dict(body)
    else:
        raise InvalidType("body", "CreateResponse, a dict, or JSON", body)
    members = {name: value for name, value in members.items() if value is not None and value is not UNSET}
    stream = members.get("stream", False)
    if not isinstance(stream, bool):
        raise InvalidValue("stream", f"is {_named(stream)}; it has to be true or false")
    return RunInput(
        messages=_messages(members["input"]) if "input" in members else [],
        options={name: value for name, value in members.items() if name not in _NOT_OPTIONS},
        stream=stream,
        session=_anchor(members),
        caller=_caller(members),
    )


def error_body(error: InvalidValue | InvalidType | DecodeError) -> bytes:
    """Return the JSON body of a 400 for what `run_input` raised (decision 19).

    Its `param` is the member that is at fault, where one is.
    """
    argument = None if isinstance(error, DecodeError) else error.argument
    problems = error.problems if isinstance(error, DecodeError) else ()
    details: list[JsonObject] = [
        {"code": "invalid_value", "message": problem.message, "param": problem.path, "type": _BAD_REQUEST_TYPE}
        for problem in problems
    ]
    return encode(
        ErrorBody(
            error=ErrorPayload(
                code=_BAD_REQUEST,
                message=str(error),
                param=None if argument == "body" else argument,
                type=_BAD_REQUEST_TYPE,
                details=details or UNSET,
            )
        )
    )


def _anchor(members: Mapping[str, Any]) -> SessionAnchor | None:
    """Return what the request goes on from (H21.6); an empty id names nothing (H8.16k)."""
    previous, conversation = members.get("previous_response_id"), members.get("conversation")
    if not isinstance(previous, str | None):
        raise InvalidValue("previous_response_id", f"is {_named(previous)}; it has to be a string")
    if isinstance(conversation, Mapping):
        conversation, where = conversation.get("id"), "conversation.id"
    else:
        where = "conversation"
    if not isinstance(conversation, str | None):
        raise InvalidValue(where, f"is {_named(conversation)}; it has to be a string")
    if previous and conversation:
        raise InvalidValue(
            "conversation", "cannot be given together with previous_response_id: a response goes on from one"
        )
    if previous:
        return SessionAnchor(previous, "snapshot")
    return SessionAnchor(conversation, "head") if conversation else None


def _caller(members: Mapping[str, Any]) -> str | None:
    names = (members.get("safety_identifier"), members.get("user"))
    return next((name for name in names if isinstance(name, str) and name), None)


def _messages(given: object) -> list[InputItem]:
    if isinstance(given, str):
        return [InputMessage(role="user", content=[ResponseInputText(text=given)])]
    if not isinstance(given, list | tuple):
        raise InvalidValue("input", f"is {_named(given)}; it has to be a string or a list")
    if not given:
        raise InvalidValue("input", "is an empty list; there has to be something in it")
    messages: list[InputItem] = []
    loose: list[ContentPart] = []
    for at, entry in enumerate(given):
        path = f"input[{at}]"
        if isinstance(entry, UnknownItem) or not isinstance(entry, Wire):
            # What stands by itself is no item, whether or not somebody has read the body before.
            entry = _members(entry, path)
            if entry.get("type") in _PARTS:
                loose.append(_part(entry, path))
                continue
        if loose:
            messages.append(InputMessage(role="user", content=loose))
            loose = []
        if isinstance(entry, InputMessage):
            messages.append(_message(entry, path))
        else:
            messages.append(_item(entry, path))
    if loose:
        messages.append(InputMessage(role="user", content=loose))
    return messages


def _members(entry: object, path: str) -> Mapping[str, Any]:
    """Return the members of an item or a part; its type has to be a string where it is there."""
    members = to_builtins(entry) if isinstance(entry, Wire) else entry
    if not isinstance(members, Mapping):
        raise InvalidValue(path, f"is {_named(members)}; it has to be an object")
    kind = members.get("type")
    if not isinstance(kind, str | None):
        raise InvalidValue(f"{path}.type", f"is {_named(kind)}; it has to be a string")
    return members


def _item(given: Any, path: str) -> InputItem:
    """Return an item that is no message, or that came as plain data."""
    item: InputItem = _read(given, path) if isinstance(given, Mapping) else given
    return msgspec.structs.replace(item, type="item_reference") if isinstance(item, ItemReference) else item


def _read(members: Mapping[str, Any], path: str) -> InputItem:
    kind = members.get("type")
    if kind == "message" or (kind is None and ("role" in members or "content" in members)):
        content, role = members.get("content"), members.get("role")
        if not isinstance(role, str | None):
            raise InvalidValue(f"{path}.role", f"is {_named(role)}; it has to be a string")
        if not isinstance(content, str | list | tuple):
            raise InvalidValue(f"{path}.content", f"is {_named(content)}; it has to be a string or a list")
        shell = {**members, "type": "message", "role": role or "user", "content": ""}
        message: InputMessage = _decoded(shell, InputItem, path)
        return _message(msgspec.structs.replace(message, content=content), path)
    if kind is None and not isinstance(members.get("id"), str):
        raise InvalidValue(f"{path}.type", "is missing")
    item: InputItem = _decoded(members, InputItem, path)
    return item


def _message(message: InputMessage, path: str) -> InputMessage:
    """Return *message* with its content as parts; they may be plain data still."""
    if isinstance(message.content, str):
        return msgspec.structs.replace(message, type="message", content=get_content_expanded(message))
    parts = [_part(part, f"{path}.content[{at}]") for at, part in enumerate(message.content)]
    return msgspec.structs.replace(message, type="message", content=parts)


def _part(given: object, path: str) -> ContentPart:
    """Return a part of content; what is to be looked at has to be somewhere (H21.3)."""
    # Where something did not fit when it was read, it is read again.
    if isinstance(given, Wire) and not isinstance(given, UnknownPart) and given.extra is UNSET:
        part: ContentPart = given  # type: ignore[assignment]  # what stands in `content` is what may stand there
    else:
        members = _members(given, path)
        if members.get("type") is None:
            raise InvalidValue(f"{path}.type", "is missing")
        url = members.get("image_url")
        if members["type"] == "input_image" and isinstance(url, Mapping):
            # The form of Chat Completions.
            members = {**members, "image_url": url.get("url")}
            if members.get("detail") is None and url.get("detail") is not None:
                members["detail"] = url["detail"]
        part = _decoded(members, ContentPart, path)
    if isinstance(part, ResponseInputImage | ResponseInputFile):
        sources = _SOURCES[part.type]
        if not any(isinstance(found := getattr(part, source), str) and found for source in sources):
            raise InvalidValue(path, f"is of type {part.type} and has no {' or '.join(sources)}")
    return part


def _decoded(members: Mapping[str, Any], union: Any, path: str) -> Any:
    try:
        return decode_union(dict(members), union, "input", strict=True)
    except DecodeError as error:
        problem = error.problems[0] if error.problems else Problem("$", error.reason)
        raise InvalidValue(path + problem.path.removeprefix("$"), problem.message) from None


def _named(value: object) -> str:
    """Name what came as JSON does."""
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "an object" if isinstance(value, Mapping) else "a list" if isinstance(value, list | tuple) else "no JSON"
