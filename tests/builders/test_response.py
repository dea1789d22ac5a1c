"""The response of a stream: what it echoes, how it is configured, and how a stream goes on from a stored one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from responses_stream import CreateResponse, OutOfOrder, ResponseEventStream, ResponseObject, accumulate
from responses_stream.errors import InvalidType, InvalidValue
from responses_stream.protocol.codec import decode_as, to_builtins
from responses_stream.protocol.events import ResponseOutputItemDoneEvent, ResponseStreamEvent
from responses_stream.protocol.tools import FunctionTool, McpTool
from responses_stream.sse import encode_event

from .oracle import judge
from .programs import Program, as_dicts, programs
from .test_arguments import BAD

DEFAULTS: Final[dict[str, Any]] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1767225600,
    "completed_at": None,
    "status": "in_progress",
    "error": None,
    "incomplete_details": None,
    "model": "",
    "previous_response_id": None,
    "instructions": None,
    "output": [],
    "tools": [],
    "tool_choice": "auto",
    "truncation": "disabled",
    "parallel_tool_calls": True,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "top_p": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "top_logprobs": 0,
    "temperature": 1,
    "reasoning": None,
    "usage": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "store": True,
    "background": False,
    "service_tier": "auto",
    "metadata": {},
    "safety_identifier": None,
    "prompt_cache_key": None,
}
"""What a response says whose request says nothing (decision 1, W31)."""

# Every member of a request that is echoed as it came.
ECHOED: Final[dict[str, Any]] = {
    "model": "tutor",
    "instructions": "Be kind.",
    "previous_response_id": "resp_0",
    "tool_choice": {"type": "function", "name": "f"},
    "parallel_tool_calls": False,
    "max_tool_calls": 3,
    "background": True,
    "store": False,
    "text": {"format": {"type": "json_object"}, "verbosity": "low"},
    "reasoning": {"effort": "low", "summary": "auto"},
    "temperature": 0.2,
    "top_p": 0.9,
    "presence_penalty": 0.1,
    "frequency_penalty": -0.1,
    "top_logprobs": 5,
    "max_output_tokens": 100,
    "truncation": "auto",
    "metadata": {"team": "a"},
    "service_tier": "flex",
    "safety_identifier": "u1",
    "prompt_cache_key": "k",
    "prompt_cache_retention": "24h",
    "prompt_cache_options": {"mode": "explicit"},
    "prompt": {"id": "pmpt_1", "version": "2", "variables": {"a": "b"}},
    "moderation": {"input": "auto"},
    "image": {"context_compression": "enabled"},
    "access_programs": {"cyber": True},
    "user": "u1",
    "agent_reference": {"type": "agent_reference", "name": "tutor", "version": "1"},
    "agent_session_id": "s1",
}
NOT_ECHOED: Final = {
    *("input", "stream", "stream_options", "include", "context_management", "structured_inputs", "response_id"),
    *("conversation", "tools"),  # in another form
    "background_options",  # of openai 3.54, whose responses do not show it
}


def stream_of(request: Any = None, **arguments: Any) -> ResponseEventStream:
    return ResponseEventStream("resp_1", request, clock=lambda: 1767225600, **arguments)


def created(stream: ResponseEventStream) -> dict[str, Any]:
    return to_builtins(stream.emit_created().response)


def test_without_a_request_everything_has_its_documented_default() -> None:
    assert created(stream_of()) == DEFAULTS


@pytest.mark.parametrize("member", ECHOED)
def test_what_the_request_says_is_echoed(member: str) -> None:
    assert created(stream_of({member: ECHOED[member]})) == DEFAULTS | {member: ECHOED[member]}


@pytest.mark.parametrize("member", [*ECHOED, "tools", "conversation"])
def test_null_counts_as_absent(member: str) -> None:
    assert created(stream_of({member: None})) == DEFAULTS  # decision 20


def test_every_member_of_a_request_is_echoed_or_known_not_to_be() -> None:
    assert {*CreateResponse.__struct_fields__} - {"extra"} == {*ECHOED} | NOT_ECHOED


@pytest.mark.parametrize("conversation", ["conv_1", {"id": "conv_1"}])
def test_a_conversation_is_always_echoed_as_an_object(conversation: Any) -> None:
    assert created(stream_of({"conversation": conversation}))["conversation"] == {"id": "conv_1"}


def test_what_a_request_leaves_out_within_is_filled_in() -> None:
    echo = created(
        stream_of(
            {
                "reasoning": {"effort": "low"},
                "text": {"format": {"type": "json_schema", "name": "n", "schema": {}}},
                "tool_choice": {"type": "allowed_tools", "tools": []},
            }
        )
    )
    assert echo["reasoning"] == {"effort": "low", "summary": None}
    assert echo["text"]["verbosity"] == "medium"
    schema: dict[str, Any] = {"type": "json_schema", "name": "n", "schema": {}, "description": None, "strict": False}
    assert echo["text"]["format"] == schema
    assert echo["tool_choice"]["mode"] == "auto"


TOOLS: Final[list[dict[str, Any]]] = [
    {"type": "function", "name": "f"},
    {"type": "namespace", "name": "n", "description": "d", "tools": [{"type": "function", "name": "g"}]},
    {"type": "mcp", "server_label": "docs", "server_url": "https://example.com", "authorization": "Bearer s3cret"},
    {"type": "acme:tool", "power": 9},
]
IN_FULL: Final = {"description": None, "parameters": None, "strict": None}
TOOLS_IN_FULL: Final[list[dict[str, Any]]] = [
    TOOLS[0] | IN_FULL,
    TOOLS[1] | {"tools": [{"type": "function", "name": "g"} | IN_FULL]},
    {name: value for name, value in TOOLS[2].items() if name != "authorization"},
    TOOLS[3],
]


def test_tools_are_echoed_in_full_and_without_secrets() -> None:
    assert created(stream_of({"tools": TOOLS}))["tools"] == TOOLS_IN_FULL


def test_tools_that_a_handler_assigns_are_in_full_and_without_secrets_too() -> None:
    stream = stream_of()
    stream.response.tools = decode_as({"tools": TOOLS}, CreateResponse).tools  # type: ignore[assignment]
    assert created(stream)["tools"] == TOOLS_IN_FULL


def test_a_typed_request_is_as_good_as_a_dict() -> None:
    typed = CreateResponse(model="tutor", tools=[FunctionTool(name="f"), McpTool(server_label="s", authorization="x")])
    assert created(stream_of(typed)) == created(stream_of(to_builtins(typed)))


@pytest.mark.parametrize(
    ("request_", "where"),
    [
        ({"temperature": "warm"}, r"\$\.temperature"),
        ({"metadata": {"a": 1}}, r"\$\.metadata\.a"),
        ({"tools": [{"type": "function"}]}, r"\$\.tools\[0\]\.name"),
        ({"model": "a\ud800"}, "request.model: holds a lone surrogate at character 1"),
        ({"metadata": {"a": object()}}, "request.metadata.a: expected plain JSON"),
        ({"temperature": float("nan")}, "request.temperature: is nan"),
        ({"metadata": {1: "a"}}, "a key of request.metadata: expected a string, got int"),
        (3, "request: expected CreateResponse or a dict, got int"),
    ],
)
def test_a_request_that_does_not_fit_is_refused_with_its_path(request_: Any, where: str) -> None:
    with pytest.raises((InvalidValue, InvalidType), match=where):
        stream_of(request_)


def test_what_the_owner_of_the_request_changes_later_changes_no_event() -> None:
    request: dict[str, Any] = copy.deepcopy({**ECHOED, "tools": TOOLS, "conversation": {"id": "conv_1"}})
    stream = stream_of(request)
    request["metadata"]["team"] = "b"
    events = [stream.emit_created(), stream.emit_in_progress()]
    frames = [encode_event(event) for event in events]
    _spoil(request)
    assert [encode_event(event) for event in events] == frames  # H3.30
    assert to_builtins(stream.emit_completed().response)["metadata"] == {"team": "a"}


def _spoil(value: Any) -> None:
    if isinstance(value, dict):
        for inner in list(value.values()):
            _spoil(inner)
        value.clear()
    elif isinstance(value, list):
        for inner in value:
            _spoil(inner)
        value.clear()


# Configuration.


@pytest.mark.parametrize("member", [*ECHOED, "conversation"])
def test_the_response_can_be_configured_before_created(member: str) -> None:
    value = (ECHOED | {"conversation": {"id": "conv_1"}})[member]
    stream = stream_of({"model": "tutor"})
    setattr(stream.response, member, value)
    echo = created(stream)
    assert echo == DEFAULTS | {"model": "tutor", member: value}
    assert to_builtins(stream.emit_completed().response)[member] == value  # R047


def test_what_was_configured_may_be_changed_in_place() -> None:
    stream = stream_of({"metadata": {"a": "b"}})
    assert isinstance(stream.response.metadata, dict)
    stream.response.metadata["c"] = "d"
    stream.response.tools.append(FunctionTool(name="f"))
    echo = created(stream)
    assert echo["metadata"] == {"a": "b", "c": "d"}
    assert echo["tools"] == [{"type": "function", "name": "f", **IN_FULL}]


@pytest.mark.parametrize(
    ("member", "value", "where"),
    [
        ("temperature", "warm", r"\$\.temperature: expected number or null, got string"),
        ("metadata", {"a": 1}, r"\$\.metadata\.a: expected string, got integer"),
        ("metadata", {"a": "\ud800"}, "response.metadata.a: holds a lone surrogate"),
        ("metadata", object(), "response: expected plain JSON"),
        ("instructions", "a\ud800", "response.instructions: holds a lone surrogate at character 1"),
        ("tools", [{"type": "function"}], r"\$\.tools\[0\]\.name: is required and missing"),
        ("tools", None, r"\$\.tools: expected array, got null"),
        ("model", None, r"response\.model: expected a value \(R053\), got NoneType"),
        ("tool_choice", None, r"\$\.tool_choice: expected object or string, got null"),
        ("parallel_tool_calls", None, r"\$\.parallel_tool_calls: expected boolean, got null"),
        ("instructions", UNSET, r"response\.instructions: expected a value \(R053\), got UnsetType"),
        ("temperature", UNSET, r"response\.temperature: expected a value \(R053\), got UnsetType"),
        ("top_p", float("inf"), "response.top_p: is inf, which JSON cannot say"),
    ],
)
def test_a_wrong_configuration_is_refused_at_created_with_its_path(member: str, value: Any, where: str) -> None:
    stream = stream_of()
    good = getattr(stream.response, member)
    setattr(stream.response, member, value)
    with pytest.raises((InvalidValue, InvalidType), match=where):
        stream.emit_created()
    # Nothing was changed: it can be mended.
    setattr(stream.response, member, good)
    assert created(stream) == DEFAULTS


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("id", "resp_2"),
        ("object", "thing"),
        ("created_at", 0),
        ("status", "completed"),
        ("output", [{"type": "acme:x"}]),
        ("error", {"code": "c", "message": "m"}),
        ("incomplete_details", {"reason": "r"}),
        ("completed_at", 1),
        ("usage", {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}),
    ],
)
def test_what_the_stream_fills_in_cannot_be_configured(member: str, value: Any) -> None:
    stream = stream_of()
    setattr(stream.response, member, value)
    with pytest.raises(InvalidValue, match=rf"response\.{member}: is filled in by the stream"):
        stream.emit_created()


def test_an_item_cannot_be_slipped_into_the_output() -> None:
    stream = stream_of()
    stream.response.output.append({"type": "acme:x"})  # type: ignore[arg-type]
    with pytest.raises(InvalidValue, match=r"response\.output"):
        stream.emit_created()  # R045


def test_a_misspelt_member_is_refused_at_once() -> None:
    with pytest.raises(AttributeError):
        stream_of().response.temprature = 0.5  # type: ignore[attr-defined]


def test_after_created_the_response_can_only_be_read() -> None:
    stream = stream_of()
    stream.emit_created()
    with pytest.raises(OutOfOrder, match=r"configured before response\.created is emitted") as refused:
        stream.response.temperature = 0.5
    assert refused.value.called == "response.temperature = ..."


def test_so_can_a_response_that_somebody_kept() -> None:
    stream = stream_of()
    kept = stream.response
    kept.temperature = 0.5
    stream.emit_created()
    with pytest.raises(OutOfOrder, match=r"configured before response\.created is emitted"):
        kept.temperature = 0.7
    assert (kept.temperature, stream.emit_completed().response.temperature) == (0.5, 0.5)


def test_after_created_the_response_shows_what_was_done() -> None:
    stream = stream_of()
    seen = [stream.response.status]
    stream.emit_created(status="queued")
    seen.append(stream.response.status)
    stream.emit_in_progress()
    open_message = stream.add_output_item_message()
    list(stream.output_item_message("Hello"))
    open_message.emit_added()
    seen.append(stream.response.status)
    assert stream.response.output_text == "Hello"
    assert len(stream.response.output) == 1
    terminal = stream.emit_failed("c", "m")
    assert stream.response == terminal.response
    assert [*seen, stream.response.status] == ["in_progress", "queued", "in_progress", "failed"]


def test_what_is_done_with_a_look_at_the_response_changes_no_event() -> None:
    stream = stream_of({"tools": [{"type": "function", "name": "f", "parameters": {"a": {}}}], "metadata": {"a": "b"}})
    draft = stream.response
    events: list[ResponseStreamEvent] = [stream.emit_created(), stream.emit_in_progress()]
    events += stream.output_item_message(["Hello"])
    frames = [encode_event(event) for event in events]
    for look in (draft, stream.response):
        _spoil(look.metadata)
        for tool in look.tools:
            assert isinstance(tool, FunctionTool)
            _spoil(tool.parameters)
        for item in look.output:
            _spoil(getattr(item, "content", None))
        look.tools.clear()
        look.output.clear()
    assert [encode_event(event) for event in events] == frames
    events.append(stream.emit_completed())
    assert judge(as_dicts(events)) == []  # R047, R181


# Going on from a stored response (H17.20).

STORED: Final[dict[str, Any]] = {
    "id": "resp_1",
    "created_at": 1767225000,
    "status": "in_progress",
    "model": "tutor",
    "metadata": {"team": "a"},
    "tools": TOOLS,
    "output": [
        {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "call_1",
            "name": "f",
            "arguments": "",
            "status": "completed",
        },
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": []},
    ],
}


def test_a_stream_goes_on_behind_the_items_that_were_there() -> None:
    stream = stream_of(response=STORED)
    events: list[Any] = [stream.emit_in_progress()]
    assert to_builtins(events[0].response)["output"] == STORED["output"]
    message = stream.add_output_item_message()
    events += [message.emit_added(), message.emit_done()]
    assert [event.output_index for event in events[1:]] == [2, 2]
    events.append(stream.emit_completed())
    response = to_builtins(events[-1].response)
    assert response["output"][:2] == STORED["output"]
    assert len(response["output"]) == 3
    assert (response["created_at"], response["model"], response["metadata"]) == (1767225000, "tutor", {"team": "a"})
    assert response["tools"] == TOOLS_IN_FULL
    assert judge(as_dicts(events), STORED["output"]) == []
    assert accumulate(events) == events[-1].response


def test_a_stored_response_without_items_begins_as_usual() -> None:
    stream = stream_of(response={**STORED, "status": "queued", "output": []})
    events: list[ResponseStreamEvent] = [stream.emit_created(), stream.emit_in_progress(), stream.emit_completed()]
    assert judge(as_dicts(events)) == []


@pytest.mark.parametrize("status", ["completed", "failed", "incomplete", "cancelled"])
def test_a_response_that_has_ended_can_only_be_read(status: str) -> None:
    stream = stream_of(response={**STORED, "status": status})
    assert stream.response.status == status
    with pytest.raises(OutOfOrder, match="nothing, it is closed"):
        stream.emit_in_progress()


def test_how_the_response_before_ended_is_not_carried_on() -> None:
    ended = {
        "error": {"code": "c", "message": "m"},
        "incomplete_details": {"reason": "r"},
        "completed_at": 5,
        "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2},
        "object": "thing",
    }
    stream = stream_of(response={**STORED, **ended})
    events: list[ResponseStreamEvent] = [stream.emit_in_progress(), stream.emit_completed()]
    assert judge(as_dicts(events), STORED["output"]) == []  # R044, R050-R052


def test_a_typed_response_is_as_good_as_a_dict() -> None:
    typed = decode_as(STORED, ResponseObject)
    one, two = stream_of(response=typed), stream_of(response=STORED)
    assert one.emit_in_progress() == two.emit_in_progress()


def _item(at: int, **members: Any) -> dict[str, Any]:
    output = copy.deepcopy(STORED["output"])
    output[at] |= members
    return {**STORED, "output": output}


@pytest.mark.parametrize(
    ("response", "where"),
    [
        ({**STORED, "id": "resp_2"}, "R042"),
        (_item(1, status="in_progress"), r"response\.output\[1\]\.status: is 'in_progress'.*R089"),
        (_item(1, status="incomplete"), r"response\.output\[1\]\.status: is 'incomplete'.*R059"),
        (_item(1, id="fc_1"), "R064"),
        (_item(1, id=""), "item_id: is empty"),
        (_item(0, id=None), r"response\.output\[0\]\.id: is missing \(R067\)"),
        (_item(0, call_id=""), "call_id: is empty"),
        ({**STORED, "metadata": {"a": 1}}, r"\$\.metadata\.a"),
        ({**STORED, "output": [{"type": "message"}]}, r"\$\.output\[0\]"),
    ],
)
def test_a_response_that_nothing_can_follow_is_refused(response: Any, where: str) -> None:
    with pytest.raises(InvalidValue, match=where):
        stream_of(response=response)


def test_a_response_of_the_wrong_type_is_refused() -> None:
    with pytest.raises(InvalidType, match="response: expected ResponseObject or a dict, got list"):
        stream_of(response=[])


def test_ids_of_items_that_were_there_are_taken() -> None:
    stream = stream_of(response=STORED)
    stream.emit_in_progress()
    with pytest.raises(InvalidValue, match="R064"):
        stream.add_output_item_message(item_id="msg_1")
    with pytest.raises(InvalidValue, match="R162"):
        stream.add_output_item_function_call("f", "call_1")


@settings(deadline=None, max_examples=40)
@given(programs(), st.data())
def test_any_program_can_be_gone_on_from_where_it_was_left(first: Program, data: st.DataObject) -> None:
    """What a poller sees of a response is a place to go on from, unless its last item was cut short."""
    told = first.events[: data.draw(st.integers(1, len(first.events)))]
    done = {event.output_index: event.item for event in told if isinstance(event, ResponseOutputItemDoneEvent)}
    stored = [to_builtins(done[index]) for index in sorted(done)]
    if any(item.get("status") == "incomplete" for item in stored):
        return
    second = Program(data.draw, stream_of(response={"id": "resp_1", "status": "in_progress", "output": stored}))
    if not stored:
        second.call(second.stream.emit_created, None)
    second.call(second.stream.emit_in_progress, None)
    for _ in range(data.draw(st.integers(0, 6))):
        second.step()
    second.finish_items()
    second.end()
    assert judge(as_dicts(second.events), stored) == []


# Whatever is put in: it is refused with its place, or what comes out is right.


def _judged(make: Callable[[], ResponseEventStream], change: Callable[[ResponseEventStream], object]) -> None:
    try:
        stream = make()
        change(stream)
        events: list[ResponseStreamEvent] = [stream.emit_created()]
    except (InvalidType, InvalidValue):
        return
    except OutOfOrder:
        assert stream.response.status not in ("queued", "in_progress")
        return
    events += [stream.emit_in_progress(), *stream.output_item_message("Hello"), stream.emit_completed()]
    assert judge(as_dicts(events)) == []


@pytest.mark.parametrize("member", [name for name in CreateResponse.__struct_fields__ if name != "extra"])
def test_whatever_a_request_says_is_refused_or_echoed_rightly(member: str) -> None:
    for bad in BAD.values():
        _judged(partial(stream_of, {member: bad}), lambda _: None)


@pytest.mark.parametrize("member", ResponseObject.__struct_fields__)
def test_whatever_is_assigned_is_refused_or_said_rightly(member: str) -> None:
    for bad in [*BAD.values(), UNSET]:
        _judged(stream_of, lambda stream, bad=bad: setattr(stream.response, member, bad))  # type: ignore[misc]


@pytest.mark.parametrize("member", [name for name in ResponseObject.__struct_fields__ if name not in ("extra", "id")])
def test_whatever_a_stored_response_says_is_refused_or_gone_on_from_rightly(member: str) -> None:
    for bad in BAD.values():
        _judged(partial(stream_of, response={"id": "resp_1", "output": [], member: bad}), lambda _: None)
