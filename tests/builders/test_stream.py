"""`ResponseEventStream`: the lifecycle of a response, and what each way to end it says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest

from responses_stream import OutOfOrder, ResponseEventStream
from responses_stream.builders.item import ItemBuilder
from responses_stream.errors import InvalidType, InvalidValue
from responses_stream.protocol.base import Event
from responses_stream.protocol.codec import to_builtins
from responses_stream.protocol.ids import partition_of
from responses_stream.protocol.response import ResponseUsage

from . import samples
from .oracle import judge
from .programs import as_dicts, state_of

Stream = ResponseEventStream


def _stream(*calls: Callable[[Stream], object]) -> Stream:
    stream = Stream("resp_1", {"model": "m"}, clock=lambda: 1767225600.9)
    for call in calls:
        call(stream)
    return stream


def _cut(stream: Stream) -> None:
    message = stream.add_output_item_message()
    message.emit_added()
    message.emit_done(status="incomplete")


CALLS: Final[dict[str, Callable[[Stream], Event]]] = {
    "created": lambda stream: stream.emit_created(),
    "created as queued": lambda stream: stream.emit_created(status="queued"),
    "queued": lambda stream: stream.emit_queued(),
    "in_progress": lambda stream: stream.emit_in_progress(),
    "completed": lambda stream: stream.emit_completed(),
    "failed": lambda stream: stream.emit_failed(),
    "cancelled": lambda stream: stream.emit_cancelled(),
    "incomplete": lambda stream: stream.emit_incomplete(),
    "error": lambda stream: stream.emit_error(),
    "an item": lambda stream: stream.add_output_item_message().emit_added(),
}

_created, _running = CALLS["created"], (CALLS["created"], CALLS["in_progress"])

# For each state, how to get there, and what may be called there (decisions 30 and 31, H3.10, H17.20).
STATES: Final[dict[str, tuple[Callable[[], Stream], set[str]]]] = {
    "before response.created": (_stream, {"created", "created as queued", "error"}),
    "created": (
        lambda: _stream(_created),
        {"in_progress", "completed", "incomplete", "failed", "cancelled", "error"},
    ),
    "created as queued": (
        lambda: _stream(CALLS["created as queued"]),
        {"queued", "in_progress", "failed", "cancelled", "error"},
    ),
    "queued": (
        lambda: _stream(CALLS["created as queued"], CALLS["queued"]),
        {"in_progress", "failed", "cancelled", "error"},
    ),
    "in progress": (
        lambda: _stream(*_running),
        {"an item", "completed", "incomplete", "failed", "cancelled", "error"},
    ),
    "in progress with open items": (
        lambda: _stream(*_running, CALLS["an item"]),
        {"an item", "failed", "cancelled", "error"},
    ),
    "cut short": (lambda: _stream(*_running, _cut), {"incomplete", "failed", "cancelled", "error"}),
    "error told": (lambda: _stream(*_running, CALLS["error"]), {"failed", "cancelled"}),
    "resumed": (
        lambda: Stream("resp_1", response=_stored()),
        {"in_progress", "completed", "incomplete", "failed", "cancelled", "error"},
    ),
    "ended": (lambda: _stream(*_running, CALLS["completed"]), set()),
    "ended by an error alone": (lambda: _stream(CALLS["error"]), set()),
    "ended, and gone on from": (lambda: Stream("resp_1", response=_stored(status="completed")), set()),
}

# The names that refusals use for what the table above calls by method.
_ADVISED: Final = {
    "created": "response.created",
    "created as queued": "response.created[queued]",
    "queued": "response.queued",
    "in_progress": "response.in_progress",
    "completed": "response.completed",
    "failed": "response.failed",
    "cancelled": "response.failed",
    "incomplete": "response.incomplete",
    "error": "error",
    "an item": "response.output_item.added",
}


def _stored(status: str = "in_progress") -> dict[str, Any]:
    item = {"type": "program", "id": "cm_1", "call_id": "call_0", "code": "1", "fingerprint": "f"}
    return {"id": "resp_1", "created_at": 1, "model": "m", "status": status, "output": [item]}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("state", STATES)
def test_each_state_allows_what_the_table_says_and_refuses_the_rest(state: str, call: str) -> None:
    make, allowed = STATES[state]
    stream = make()
    before = state_of(stream._core, set())
    if call in allowed:
        CALLS[call](stream)
        return
    with pytest.raises(OutOfOrder) as refused:
        CALLS[call](stream)
    assert refused.value.called.startswith(_ADVISED[call])
    advised = set(refused.value.allowed) - {"events of open items"}
    assert advised == {_ADVISED[one] for one in allowed}
    assert "R0" in refused.value.reason or "R1" in refused.value.reason
    for part in (refused.value.called, refused.value.state, *(refused.value.allowed or ("nothing, it is closed",))):
        assert part in str(refused.value)
    # An item that could not be added has taken an id, and that is all.
    assert call == "an item" or state_of(stream._core, set()) == before


def test_an_item_that_was_refused_can_be_added_later() -> None:
    stream = _stream(_created)
    message = stream.add_output_item_message(item_id="msg_1")
    with pytest.raises(OutOfOrder, match="R061"):
        message.emit_added()
    stream.emit_in_progress()
    assert message.emit_added().sequence_number == 2


def test_numbers_count_from_0_and_a_refused_call_takes_none() -> None:
    stream = _stream()
    with pytest.raises(OutOfOrder):
        stream.emit_in_progress()
    with pytest.raises(InvalidValue):
        stream.emit_created(status="completed")  # type: ignore[arg-type]
    numbers = [stream.emit_created().sequence_number, stream.emit_in_progress().sequence_number]
    with pytest.raises(OutOfOrder):
        stream.emit_created()
    assert [*numbers, stream.emit_completed().sequence_number] == [0, 1, 2]


def test_each_lifecycle_event_says_the_response_as_it_then_was() -> None:
    stream = _stream()
    said = [stream.emit_created(status="queued"), stream.emit_queued(), stream.emit_in_progress()]
    ended = stream.emit_completed(usage=samples.USAGE)
    assert [event.response.status for event in [*said, ended]] == ["queued", "queued", "in_progress", "completed"]
    assert [event.response.output for event in said] == [[], [], []]
    assert {event.response.id for event in [*said, ended]} == {"resp_1"}
    assert {event.response.created_at for event in [*said, ended]} == {1767225600}


def test_completed_says_when_and_what_it_cost() -> None:
    stream = _stream(*_running)
    items = [event for event in stream.output_item_message("Hello") if event.type.endswith("item.done")]
    response = stream.emit_completed(usage=samples.USAGE).response
    assert response.completed_at == 1767225600  # R052
    assert response.error is response.incomplete_details is None
    assert to_builtins(response)["usage"] == samples.USAGE
    assert response.output == [getattr(event, "item", None) for event in items]


def test_completed_at_is_never_before_created_at() -> None:
    times = iter([1000.0, 10.0])
    stream = Stream("resp_1", clock=lambda: next(times))
    stream.emit_created()
    assert stream.emit_completed().response.completed_at == 1000  # R052


def test_usage_is_filled_in_full_and_may_come_typed() -> None:
    usage = ResponseUsage(input_tokens=1, output_tokens=2, total_tokens=3)
    said = to_builtins(_stream(*_running).emit_incomplete(usage=usage).response)["usage"]
    assert said == {
        "input_tokens": 1,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 3,
    }  # B1


WRONG_USAGE: Final[dict[str, tuple[Any, str]]] = {
    "a sum that is none": ({"total_tokens": 16}, "usage.total_tokens"),
    "a negative count": ({"input_tokens": -12, "total_tokens": -9}, "usage.input_tokens"),
    "a negative detail": ({"input_tokens_details": {"cached_tokens": -1}}, "cached_tokens"),
    "a negative cache write": ({"input_tokens_details": {"cache_write_tokens": -1}}, "cache_write_tokens"),
    "more cached than read": ({"input_tokens_details": {"cached_tokens": 13}}, "cached_tokens"),
    "more thought than written": ({"output_tokens_details": {"reasoning_tokens": 4}}, "reasoning_tokens"),
    "a text": ({"input_tokens": "12"}, "input_tokens"),
    "a boolean": ({"input_tokens": True, "total_tokens": 4}, "input_tokens"),
}


@pytest.mark.parametrize("what", WRONG_USAGE)
@pytest.mark.parametrize("end", ["emit_completed", "emit_failed", "emit_incomplete"])
def test_usage_that_does_not_add_up_is_refused(end: str, what: str) -> None:
    stream = _stream(*_running)
    wrong, where = WRONG_USAGE[what]
    with pytest.raises(InvalidValue, match=where):
        getattr(stream, end)(usage=samples.USAGE | wrong)
    assert stream.emit_completed(usage=samples.USAGE).sequence_number == 2  # R057: nothing was changed


def test_usage_that_is_none_at_all_is_a_type_error() -> None:
    with pytest.raises(InvalidType, match="usage: expected ResponseUsage or a dict, got int"):
        _stream(*_running).emit_completed(usage=3)  # type: ignore[arg-type]


def test_failed_says_why_and_keeps_what_was_done() -> None:
    stream = _stream(*_running)
    list(stream.output_item_message("Hello"))
    stream.add_output_item_message().emit_added()
    response = stream.emit_failed("rate_limit_exceeded", "Too many.", usage=samples.USAGE).response
    assert to_builtins(response)["error"] == {"code": "rate_limit_exceeded", "message": "Too many."}  # R050, H3.38
    assert response.status == "failed"
    assert response.completed_at is None
    assert len(response.output) == 1  # decision 10: what is open is left out


def test_failed_says_nothing_of_a_reason_that_was_not_given() -> None:
    error = to_builtins(_stream(*_running).emit_failed().response)["error"]
    assert error == {"code": "server_error", "message": "An internal server error occurred."}  # H17.21


def test_cancelled_is_a_failure_without_error_and_output() -> None:
    stream = _stream(*_running)
    list(stream.output_item_message("Hello"))
    event = stream.emit_cancelled()
    assert event.type == "response.failed"  # decision 6
    assert (event.response.status, event.response.output, event.response.error) == ("cancelled", [], None)  # H4.8


@pytest.mark.parametrize("reason", ["max_output_tokens", "content_filter", "acme:bored"])
def test_incomplete_says_its_reason(reason: str) -> None:
    stream = _stream(*_running)
    events = list(stream.output_item_message("Hel", status="incomplete"))
    response = stream.emit_incomplete(reason).response
    assert to_builtins(response)["incomplete_details"] == {"reason": reason}  # R051
    assert response.output == [getattr(events[-1], "item", None)]  # R183
    assert response.completed_at is None


def test_an_error_has_both_shapes() -> None:
    event = to_builtins(_stream(*_running).emit_error("bad_input", "No.", param="input"))
    flat = {"code": "bad_input", "message": "No.", "param": "input"}
    assert {name: event[name] for name in flat} == flat
    assert event["error"] == {**flat, "type": "bad_input"}  # decision 5


def test_an_error_alone_is_a_whole_stream() -> None:
    stream = _stream()
    assert judge(as_dicts([stream.emit_error()])) == []  # H3.10


def test_after_an_error_nothing_but_failed_can_be_said() -> None:
    stream = _stream(*_running)
    message = stream.add_output_item_message()
    part = message.add_text_content()
    events = [message.emit_added(), part.emit_added(), stream.emit_error()]
    for call in (lambda: part.emit_delta("x"), message.emit_done, stream.emit_completed, stream.emit_error):
        with pytest.raises(OutOfOrder):
            call()
    events.append(stream.emit_failed())
    assert [event.sequence_number for event in events] == [2, 3, 4, 5]


def test_items_may_be_open_together_and_interleave() -> None:
    stream = _stream()
    one, two = (stream.add_output_item_function_call("f", f"call_{at}") for at in (1, 2))
    assert (one.output_index, two.output_index) == (0, 0)  # not added yet: where it would come now
    events: list[Any] = [stream.emit_created(), stream.emit_in_progress(), two.emit_added(), one.emit_added()]
    assert (one.output_index, two.output_index) == (1, 0)
    events += [one.emit_arguments_delta("1"), two.emit_arguments_delta("2"), one.emit_arguments_done()]
    events += [one.emit_done(), two.emit_arguments_done(), two.emit_done()]
    with pytest.raises(OutOfOrder):
        one.emit_done()
    terminal = stream.emit_completed()
    assert [item.arguments for item in terminal.response.output] == ["2", "1"]  # type: ignore[union-attr]
    assert judge(as_dicts([*events, terminal])) == []


def test_an_incomplete_item_is_the_last_one() -> None:
    stream = _stream(*_running)
    first, last = stream.add_output_item_message(), stream.add_output_item_message()
    first.emit_added()
    last.emit_added()
    with pytest.raises(OutOfOrder, match="R059"):
        first.emit_done(status="incomplete")
    last.emit_done(status="incomplete")
    with pytest.raises(OutOfOrder, match="R059"):
        first.emit_done(status="incomplete")
    first.emit_done()
    with pytest.raises(OutOfOrder, match="R059"):
        stream.emit_completed()
    assert stream.emit_incomplete().response.status == "incomplete"


def test_open_items_are_named_when_the_response_cannot_end() -> None:
    stream = _stream(*_running)
    stream.add_output_item_message(item_id="msg_1").emit_added()
    stream.add_output_item_reasoning(item_id="rs_1").emit_added()
    with pytest.raises(OutOfOrder, match=r"open: msg_1 at 0, rs_1 at 1 \(R079\)"):
        stream.emit_completed()
    with pytest.raises(OutOfOrder, match="R088"):
        stream.emit_incomplete()


def test_ids_are_made_in_the_partition_of_the_response() -> None:
    response_id = "caresp_" + "a" * 18 + "b" * 32
    stream = Stream(response_id)
    item = stream.add_output_item_reasoning()
    assert item.item_id.startswith("rs_")
    assert partition_of(item.item_id) == "a" * 18


def test_ids_can_be_made_by_somebody_else() -> None:
    stream = Stream("resp_1", make_item_id=lambda item_type, response_id: f"{item_type} of {response_id}")
    assert stream.add_output_item_message().item_id == "message of resp_1"
    with pytest.raises(InvalidValue, match="already the id"):
        stream.add_output_item_message()


@pytest.mark.parametrize("response_id", ["", "a\ud800", None, 3])
def test_a_response_has_an_id(response_id: Any) -> None:
    with pytest.raises((InvalidValue, InvalidType), match="response_id"):
        Stream(response_id)


def test_an_id_that_was_refused_with_its_call_is_still_free() -> None:
    stream = _stream(*_running)
    wrong: Any = 3
    for call in (
        lambda: stream.output_item_message(wrong, item_id="item_1"),
        lambda: stream.output_item_refusal(wrong, item_id="item_1"),
        lambda: stream.output_item_reasoning(wrong, item_id="item_1"),
        lambda: stream.output_item_function_call("f", "call_1", wrong, item_id="item_1"),
        lambda: stream.add_output_item_function_call("f", "call_1", namespace=wrong, item_id="item_1"),
        lambda: stream.add_output_item_mcp_call("docs", "f", approval_request_id=wrong, item_id="item_1"),
    ):
        with pytest.raises(InvalidType):
            call()
    assert stream.add_output_item_function_call("f", "call_1", item_id="item_1").item_id == "item_1"


def test_what_a_builder_was_made_with_cannot_be_changed() -> None:
    stream = _stream(*_running)
    call = stream.add_output_item_function_call("f", "call_1")
    shell = stream.add_output_item_shell_call("call_2")
    message = stream.add_output_item_message(phase="commentary")
    part = message.add_text_content()
    fixed: list[tuple[Any, str]] = [
        *((call, name) for name in ("item_id", "call_id", "name", "output_index")),
        *((shell, name) for name in ("item_id", "call_id")),
        *((message, name) for name in ("item_id", "phase")),
        (part, "index"),
        (stream, "response_id"),
        (stream, "response"),
    ]
    for builder, name in fixed:
        with pytest.raises(AttributeError):
            setattr(builder, name, "other")  # R074, R075, R076, R081


def test_builders_tell_where_they_stand() -> None:
    stream = _stream(*_running)
    message = stream.add_output_item_message(item_id="msg_1")
    assert (repr(stream), repr(message)) == (
        "<ResponseEventStream resp_1, in progress, 2 events>",
        "<MessageBuilder msg_1 absent>",
    )
    message.emit_added()
    part = message.add_text_content()
    assert repr(part) == "<TextContentBuilder output_text of msg_1, absent>"
    part.emit_added()
    assert repr(part) == "<TextContentBuilder output_text 0 of msg_1, open>"


def test_every_factory_makes_a_builder_and_says_nothing() -> None:
    for kind, arguments in samples.FACTORIES.items():
        stream = _stream(*_running)
        builder = getattr(stream, f"add_output_item_{kind}")(**arguments)
        assert isinstance(builder, ItemBuilder)
        assert stream.emit_completed().sequence_number == 2
