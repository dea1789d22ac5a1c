"""What a handler is asked: every kind of input that the protocol has, the plain ones first, then the awkward ones.

An awkward input is one that is legal and that a handler is likely to have forgotten: no text at all, text that breaks
lines or that counts differently in bytes and in characters, items that nobody has heard of, and a great many of them.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from typing import Any, Final, Literal, TypeAlias, get_args

import attrs

from responses_stream.errors import InvalidValue

Kind: TypeAlias = Literal["text", "messages", "parts", "items", "conversation", "absent", "settings"]
"""A kind of input: a string; messages; content of several parts; calls and other items; several turns; none; and plain
text with tools, instructions and the like beside it."""

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

OWN: Final = "request"
"""The kind of the requests that somebody brings along."""


@attrs.frozen
class Probe:
    """One thing to ask a handler.

    Attributes:
        name: what reports call it.
        kind: which kind of input it is; `request` where somebody brought it along.
        members: the body of the request, but for its mode and its model.
        trusted: whether the engine is sure to take it. It may refuse what somebody brought along, and what is large.
    """

    name: str
    kind: Kind | Literal["request"]
    members: Mapping[str, Any]
    trusted: bool = True


def probes(inputs: Collection[str] | None = None, requests: Collection[Mapping[str, Any]] = ()) -> tuple[Probe, ...]:
    """Return what a handler is asked that declares the kinds *inputs*, all by default, and then *requests*.

    Raises:
        InvalidValue: *inputs* names a kind that there is not.
    """
    wanted = KINDS if inputs is None else inputs
    for kind in wanted:
        if kind not in KINDS:
            raise InvalidValue("inputs", f"{kind!r} is no kind of input; they are {', '.join(KINDS)}")
    chosen = [probe for probe in _PROBES if probe.kind in wanted]
    own = [Probe(f"request {number}", OWN, request, trusted=False) for number, request in enumerate(requests, 1)]
    return (*chosen, *own)


def _user(content: Any) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": content}


def _assistant(text: str) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": []}
    return {"type": "message", "id": "msg_check", "role": "assistant", "status": "completed", "content": [part]}


_QUESTION: Final = "Why is the sky blue?"

# The smallest PNG: one transparent pixel.
_PIXEL: Final = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAAC0lEQVR42mNgAAIAAAUAAen63NgAAAAASUVORK5CYII="
_TEXT_PART: Final = {"type": "input_text", "text": _QUESTION}
_IMAGE_PART: Final = {"type": "input_image", "image_url": f"data:image/png;base64,{_PIXEL}", "detail": "auto"}
_FILE_PART: Final = {
    "type": "input_file",
    "filename": "sky.txt",
    "file_data": f"data:text/plain;base64,{base64.b64encode(b'Blue.').decode()}",
}
_CALL: Final = {"type": "function_call", "call_id": "call_check", "name": "get_weather", "arguments": '{"city":"Oslo"}'}
_OUTPUT: Final = {"type": "function_call_output", "call_id": "call_check", "output": '{"sky":"blue"}'}
_TOOL: Final = {
    "type": "function",
    "name": "get_weather",
    "description": "Tells the weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}

_TEXTS: Final[Mapping[str, str]] = {
    "a question": _QUESTION,
    "empty": "",
    "lone newlines": "\n\r\n\r",
    "combining marks": "Cafe\u0301 a\u030a Z\u0351\u036b\u0343\u036a",
    # A family of four, a flag and a thumb: one sign each, made of up to seven characters.
    "emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \U0001f1f3\U0001f1f4 \U0001f44d\U0001f3fd",
    "right to left": "\u0644\u0645\u0627\u0630\u0627 \u202b\u05dc\u05de\u05d4\u202c (1, 2)?",
    "U+2028 and U+2029": "one\u2028two\u2029three\u0085four",
    "NUL": "before\0after",
    "noncharacters": "\ufeff\uffff\U0010ffff",
    # Who writes frames by hand writes these as frames.
    "text that looks like frames": 'one\n\ndata: [DONE]\n\nevent: error\ndata: {"type":"error"}\n\n',
    "very long": "Why is the sky blue? " * 5000,
}

_MESSAGES: Final[Mapping[str, Any]] = {
    "a message": [_user(_QUESTION)],
    "a message without a type": [{"role": "user", "content": _QUESTION}],
    "a message of the developer": [{"type": "message", "role": "developer", "content": "Be brief."}, _user(_QUESTION)],
    "an empty list": [],
    "a message without text": [_user("")],
    "a thousand messages": [_user(f"Message {number}") for number in range(1000)],
}

_PARTS: Final[Mapping[str, Any]] = {
    "one part": [_user([_TEXT_PART])],
    "text, image and file": [_user([_TEXT_PART, _IMAGE_PART, _FILE_PART])],
    "an image alone": [_user([_IMAGE_PART])],
    "no part at all": [_user([])],
    "an unknown part": [_user([{"type": "acme:scent", "name": "rain"}, _TEXT_PART])],
}

_ITEMS: Final[Mapping[str, Any]] = {
    "a call and its output": [_user("What is the weather in Oslo?"), _CALL, _OUTPUT],
    "an output in parts": [_CALL, {**_OUTPUT, "output": [{"type": "input_text", "text": "blue"}]}],
    "an output without its call": [_OUTPUT],
    "reasoning sent back": [
        {"type": "reasoning", "id": "rs_check", "summary": [{"type": "summary_text", "text": "Light scatters."}]},
        _user(_QUESTION),
    ],
    "an item of an unknown type": [{"type": "acme:thing", "id": "thing_check", "weight": 3}, _user(_QUESTION)],
}

_CONVERSATIONS: Final[Mapping[str, Any]] = {
    "four turns": [
        {"type": "message", "role": "system", "content": "You are a tutor."},
        _user(_QUESTION),
        _assistant("Air scatters blue light most."),
        _user([{"type": "input_text", "text": "And why is it red in the evening?"}]),
    ],
    "the assistant speaks last": [_user(_QUESTION), _assistant("Air scatters blue light most.")],
}

_SETTINGS: Final[Mapping[str, Mapping[str, Any]]] = {
    "tools": {"tools": [_TOOL]},
    "tools that have to be called": {"tools": [_TOOL], "tool_choice": "required"},
    "one tool chosen": {"tools": [_TOOL], "tool_choice": {"type": "function", "name": "get_weather"}},
    "tools that may not be called": {"tools": [_TOOL], "tool_choice": "none"},
    "instructions": {"instructions": "Answer in one sentence. \u2600"},
    "metadata": {"metadata": {"team": "a", "empty": ""}},
    "temperature 0": {"temperature": 0, "top_p": 1},
}


def _all_of(kind: Kind, inputs: Mapping[str, Any]) -> list[Probe]:
    return [
        Probe(name, kind, {"input": given}, trusted="very" not in name and "thousand" not in name)
        for name, given in inputs.items()
    ]


_PROBES: Final[tuple[Probe, ...]] = (
    *_all_of("text", _TEXTS),
    *_all_of("messages", _MESSAGES),
    *_all_of("parts", _PARTS),
    *_all_of("items", _ITEMS),
    *_all_of("conversation", _CONVERSATIONS),
    Probe("no input", "absent", {}),
    Probe("input null", "absent", {"input": None}),
    *(Probe(name, "settings", {"input": _QUESTION, **members}) for name, members in _SETTINGS.items()),
)
