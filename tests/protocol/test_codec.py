"""The law of the codec: what comes in goes out again, and what does not fit is named by its place."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from responses_stream.errors import DecodeError, InvalidValue, Problem
from responses_stream.protocol import codec
from responses_stream.protocol.base import EXTRA_KEY, Unknown, UnknownEvent, Wire
from responses_stream.protocol.codec import (
    decode,
    decode_as,
    decode_event,
    decode_union,
    encode,
    from_json,
    to_builtins,
)
from responses_stream.protocol.events import (
    KeepaliveEvent,
    ResponseCreatedEvent,
    ResponseOutputItemDoneEvent,
    ResponseSteerAcceptedEvent,
    ResponseStreamEvent,
    ResponseTextDeltaEvent,
)
from responses_stream.protocol.items import InputItem, OutputItem, ResponseOutputMessage
from responses_stream.protocol.parts import Logprob, ResponseOutputText
from responses_stream.protocol.plans import branches_of, plan_of, tags_of
from responses_stream.protocol.request import CompactedResponse, CompactResponse, CreateResponse, ResponseItemList
from responses_stream.protocol.response import ErrorBody, ResponseObject
from responses_stream.protocol.tools import FunctionTool, ToolDefinition

from .facts import canonical
from .samples import variants
from .strategies import JSON, places, wire_json, wrong_values

EVENT_TYPES: Final = sorted(tags_of(ResponseStreamEvent))
BODY_TYPES: Final = (CreateResponse, ResponseObject, ResponseItemList, CompactResponse, CompactedResponse, ErrorBody)
ALL_STRUCTS: Final = [
    *tags_of(ResponseStreamEvent).values(),
    *tags_of(OutputItem).values(),
    *tags_of(ToolDefinition).values(),
    *BODY_TYPES,
]

law = settings(max_examples=75, deadline=None, suppress_health_check=[HealthCheck.too_slow])
kinds_of_events: st.SearchStrategy[type[Wire]] = st.sampled_from(EVENT_TYPES).map(
    tags_of(ResponseStreamEvent).__getitem__
)
kinds_of_bodies: st.SearchStrategy[type[Wire]] = st.sampled_from(BODY_TYPES)


def keepalive(member: str) -> str:
    """An event of a known type with one member more, whose JSON is *member*."""
    return f'{{"type":"keepalive","sequence_number":1,"x":{member}}}'


def attempt(read: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Return what *read* returns, or the `DecodeError` that it raises; any other error is one of the test."""
    try:
        return read(*args, **options)
    except DecodeError as error:
        return error


def survives(data: Any, value: Wire) -> None:
    assert canonical(json.loads(encode(value))) == canonical(data)
    assert canonical(to_builtins(value)) == canonical(data)


def with_a_member_more(data: Any) -> Any:
    """Return plain data with a member more in every object."""
    if isinstance(data, dict):
        return {**{name: with_a_member_more(member) for name, member in data.items()}, "acme": "x"}
    return [with_a_member_more(element) for element in data] if isinstance(data, list) else data


def wire_values(value: Any) -> Iterator[Wire]:
    """Yield *value* and every wire value below it."""
    if isinstance(value, list):
        for element in value:
            yield from wire_values(element)
    elif isinstance(value, Wire):
        yield value
        for attribute in value.__struct_fields__:
            yield from wire_values(getattr(value, attribute))


# What comes in goes out again


@law
@given(st.data())
def test_an_event_comes_out_as_it_went_in_whatever_its_members_are(data: st.DataObject) -> None:
    wire = data.draw(wire_json(data.draw(kinds_of_events), loose=True))
    survives(wire, decode(canonical(wire)))


@law
@given(st.data())
def test_an_event_that_fits_is_read_strictly_and_comes_out_the_same(data: st.DataObject) -> None:
    wire = data.draw(wire_json(data.draw(kinds_of_events)))
    event = decode(canonical(wire), strict=True)
    survives(wire, event)
    assert decode(encode(event), strict=True) == event == decode(canonical(wire))


@law
@given(st.data())
def test_a_body_comes_out_as_it_went_in_whatever_its_members_are(data: st.DataObject) -> None:
    struct = data.draw(kinds_of_bodies)
    wire = data.draw(wire_json(struct, loose=True))
    survives(wire, decode_as(wire, struct))


@law
@given(st.data())
def test_a_body_that_fits_is_read_strictly_and_comes_out_the_same(data: st.DataObject) -> None:
    struct = data.draw(kinds_of_bodies)
    wire = data.draw(wire_json(struct))
    survives(wire, decode_as(wire, struct, strict=True))


@pytest.mark.parametrize("struct", ALL_STRUCTS, ids=lambda struct: struct.__name__)
def test_a_member_that_nobody_lists_is_kept_at_every_depth_and_makes_no_type_unknown(struct: type[Wire]) -> None:
    for value in variants(struct):
        data = with_a_member_more(to_builtins(value))
        read = decode_as(data, struct, strict=True)
        survives(data, read)
        assert not [held for held in wire_values(read) if isinstance(held, Unknown)]
        assert all(held.extra == {"acme": "x"} for held in wire_values(read))


@law
@given(JSON, st.sampled_from([OutputItem, InputItem, ToolDefinition]))
def test_a_tolerant_reader_keeps_any_object_as_an_item_or_tool(data: Any, union: Any) -> None:
    if isinstance(data, dict):
        survives(data, decode_union(data, union, "thing"))
    else:
        with pytest.raises(DecodeError) as caught:
            decode_union(data, union, "thing")
        assert caught.value.problems[0].path == "$"


@law
@given(JSON)
def test_any_json_is_an_event_or_a_decode_error(data: Any) -> None:
    found = attempt(decode, canonical(data))
    if isinstance(found, DecodeError):
        assert found.problems
    else:
        survives(data, found)


@law
@given(st.binary() | st.text())
def test_any_bytes_are_an_event_or_a_decode_error(data: bytes | str) -> None:
    assert str(attempt(decode, data))


# What does not fit is named by its place


@law
@given(st.data())
def test_a_strict_reader_tells_every_misfit_by_its_path_and_nothing_else(data: st.DataObject) -> None:
    struct = data.draw(kinds_of_bodies | kinds_of_events)
    wire = data.draw(wire_json(struct))
    could_break = places(wire, branches_of(struct))
    assume(could_break)
    broken = data.draw(
        st.lists(st.sampled_from(could_break), min_size=1, max_size=4, unique_by=lambda place: place.path)
    )
    for place in broken:
        if place.required and data.draw(st.booleans()):
            del place.holder[place.name]
        else:
            place.holder[place.name] = data.draw(st.sampled_from(wrong_values(place.branches)))
    paths = sorted(place.path for place in broken)
    refused = attempt(decode_as, wire, struct, strict=True)
    assert isinstance(refused, DecodeError)
    assert sorted(problem.path for problem in refused.problems) == paths
    assert str(refused.problems[0]) in str(refused)
    tolerated = attempt(decode_as, wire, struct)
    if isinstance(tolerated, DecodeError):
        assert {problem.path for problem in tolerated.problems} <= set(paths)
    else:
        survives(wire, tolerated)


def test_all_problems_of_an_event_are_told_at_once() -> None:
    with pytest.raises(DecodeError) as caught:
        decode_event(
            {
                "type": "response.output_item.done",
                "sequence_number": "one",
                "item": {
                    "type": "message",
                    "id": 7,
                    "status": "completed",
                    "content": [{"type": "output_text", "text": None, "annotations": [{"type": "file_path"}]}],
                },
            },
            strict=True,
        )
    assert caught.value.problems == (
        Problem("$.sequence_number", "expected integer, got string"),
        Problem("$.output_index", "is required and missing"),
        Problem("$.item.id", "expected string, got integer"),
        Problem("$.item.content[0].text", "expected string, got null"),
        Problem("$.item.content[0].annotations[0].file_id", "is required and missing"),
        Problem("$.item.content[0].annotations[0].index", "is required and missing"),
    )
    assert str(caught.value).startswith("not a valid response.output_item.done event: $.sequence_number: expected")
    assert str(caught.value).endswith("; and 1 more")


def test_a_tolerant_reader_tells_only_what_it_cannot_keep() -> None:
    with pytest.raises(DecodeError) as caught:
        decode_event({"type": "response.output_item.done", "item": {"type": "message", "id": 7}, "output_index": "0"})
    assert [problem.path for problem in caught.value.problems] == ["$.sequence_number", "$.output_index"]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ([], "$: expected object, got array"),
        ("x", "$: expected object, got string"),
        (None, "$: expected object, got null"),
        (1, "$: expected object, got integer"),
        (1.5, "$: expected object, got number"),
        (True, "$: expected object, got boolean"),
        ({}, "$.type: is required and missing"),
        ({"type": None}, "$.type: expected a non-empty string, got null"),
        ({"type": 3}, "$.type: expected a non-empty string, got integer"),
        ({"type": ["keepalive"]}, "$.type: expected a non-empty string, got array"),
        ({"type": {"a": 1}}, "$.type: expected a non-empty string, got object"),
        ({"type": ""}, "$.type: expected a non-empty string, got ''"),
        ({"type": "keepalive", "sequence_number": 1.0}, "$.sequence_number: expected integer, got number"),
        ({"type": "keepalive", "sequence_number": True}, "$.sequence_number: expected integer, got boolean"),
    ],
    ids=str,
)
@pytest.mark.parametrize("strict", [False, True], ids=["tolerant", "strict"])
def test_what_is_no_event_is_refused_with_its_reason(data: Any, problem: str, strict: bool) -> None:
    # R001, R011, R012
    with pytest.raises(DecodeError) as caught:
        decode_event(data, strict=strict)
    assert [str(found) for found in caught.value.problems] == [problem]
    assert caught.value.offset is None


def test_the_name_of_what_was_read_stands_in_the_error() -> None:
    with pytest.raises(DecodeError, match=r"^not a valid output item: \$: expected object, got integer$"):
        decode_union(7, OutputItem, "output item")
    with pytest.raises(DecodeError, match=r"^not a valid Logprob: \$.token: is required and missing; \$.logprob: is"):
        decode_as({}, Logprob)
    with pytest.raises(DecodeError, match=r"^not a valid ResponseOutputText: \$.type: is required and missing$"):
        decode_as({"text": "x"}, ResponseOutputText)
    with pytest.raises(DecodeError, match=r"\$.type: expected one of 'output_text', got 'refusal'$"):
        decode_as({"type": "refusal", "text": "x"}, ResponseOutputText)


# JSON at its edges


@pytest.mark.parametrize(
    "number",
    [
        "0",
        "-0",
        "-0.0",
        "1",
        "1.0",
        "1e2",
        "0.1",
        "9007199254740993",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775809",
        "1" * 200,
        "1.7976931348623157e308",
        "5e-324",
        "1e-400",
    ],
)
def test_a_number_keeps_its_value_and_stays_whole_or_broken(number: str) -> None:
    event = decode(keepalive(number))
    assert repr(json.loads(encode(event))["x"]) == repr(json.loads(number))


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" * 5000, "NaN", "Infinity", "-Infinity", "01", "1."])
def test_a_number_that_cannot_be_kept_is_refused(number: str) -> None:
    with pytest.raises(DecodeError, match=r"^not JSON: "):
        decode(keepalive(number))


def test_numbers_of_a_known_member_are_kept_as_they_were_written() -> None:
    for number in ("1", "1.0", str(2**70), "1767225600.25"):
        data = json.loads(f'{{"id":"r","created_at":{number},"temperature":{number},"output":[]}}')
        survives(data, decode_as(data, ResponseObject, strict=True))


def test_of_two_members_of_one_name_the_last_counts() -> None:
    event = decode('{"type":"acme:x","type":"keepalive","sequence_number":1,"sequence_number":2,"y":1,"y":null}')
    assert event == KeepaliveEvent(sequence_number=2, extra={"y": None})


@pytest.mark.parametrize("kind", ["keepalive", "acme:trace"])
@pytest.mark.parametrize("name", [EXTRA_KEY, "extra", "", "__class__", "type_", "*", "\x00", "é\U0001f600"])
@pytest.mark.parametrize("value", [{"a": 1}, {}, None, [], "x", {EXTRA_KEY: {"extra": 1}}], ids=repr)
def test_a_member_may_have_any_name(kind: str, name: str, value: Any) -> None:
    data = {"type": kind, "sequence_number": 1, name: value}
    event = decode_event(data)
    assert event.extra == {name: value}
    survives(data, event)


def test_a_member_named_like_the_place_of_extra_is_kept_below_as_well() -> None:
    data = {
        "type": "response.output_text.delta",
        "sequence_number": 1,
        "item_id": "m",
        "output_index": 0,
        "content_index": 0,
        "delta": "x",
        "logprobs": [{"token": "x", "logprob": -1, EXTRA_KEY: {"a": 1}}],
    }
    survives(data, decode_event(data))


def test_msgspec_alone_never_fills_extra() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"type": "keepalive", "sequence_number": 1, EXTRA_KEY: {"a": 1}}, KeepaliveEvent)


@pytest.mark.parametrize("levels", [100, 900, 10_000, 200_000])
@pytest.mark.parametrize("pair", ["[]", '{"a":}'], ids=["arrays", "objects"])
@pytest.mark.parametrize(
    "around",
    [
        '{{"type":"keepalive","sequence_number":1,"x":{}}}',
        '{{"type":"acme:trace","x":{}}}',
        '{{"type":"response.steer.accepted","sequence_number":1,"steer":{{"a":{}}}}}',
        '{{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":'
        '{{"type":"structured_outputs","id":"fco_01","output":{}}}}}',
    ],
    ids=["extra", "unknown event", "member", "item"],
)
def test_deep_json_is_kept_or_refused_and_never_breaks_the_stack(levels: int, pair: str, around: str) -> None:
    inner = "1" if pair != "[]" else ""
    text = around.format(pair[:-1] * levels + inner + pair[-1] * levels)
    found = attempt(decode, text)
    if isinstance(found, DecodeError):
        assert levels > 100
        assert "nested too deeply" in str(found)
    else:
        assert encode(found).decode() == text


@pytest.mark.parametrize("levels", [10, 100, 150, 250, 450])
def test_tools_in_tools_in_tools_are_kept_or_refused_and_never_break_the_stack(levels: int) -> None:
    data: dict[str, Any] = {"type": "function", "name": "f", "x": 1}
    for _ in range(levels):
        data = {"type": "namespace", "name": "n", "description": "d", "tools": [data]}
    found = attempt(decode_union, data, ToolDefinition, "tool")
    if isinstance(found, DecodeError):
        assert levels > 100
        assert str(found) == "not a valid tool: it is nested too deeply"
    else:
        assert to_builtins(found) == data


def test_a_value_too_deep_to_be_written_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(200_000):
        deep = [deep]
    for value in (
        KeepaliveEvent(sequence_number=1, extra={"x": deep}),
        ResponseSteerAcceptedEvent(sequence_number=1, steer={"x": deep}),
        FunctionTool(name="f", parameters={"x": deep}, extra={"y": 1}),
    ):
        for write in (encode, to_builtins):
            with pytest.raises(InvalidValue, match=r"^value: is nested too deeply to be written$"):
                write(value)


def test_a_value_that_holds_itself_is_refused() -> None:
    loop: dict[str, Any] = {}
    loop["again"] = loop
    with pytest.raises(InvalidValue, match="nested too deeply"):
        encode(FunctionTool(name="f", parameters=loop))


@pytest.mark.parametrize("escaped", [r"\ud83d", r"\ude00", r"\ud83dA", r"\ude00\ud83d"])
@pytest.mark.parametrize("place", ['"{}"', '{{"{}":1}}', '["a{}b"]'])
def test_half_a_surrogate_pair_is_refused_because_utf8_cannot_say_it(escaped: str, place: str) -> None:
    with pytest.raises(DecodeError, match=r"^not JSON: "):
        decode(keepalive(place.format(escaped)))


def test_a_whole_surrogate_pair_is_one_character() -> None:
    assert json.loads(encode(decode(keepalive(r'"\ud83d\ude00"'))))["x"] == "\U0001f600"


def test_text_that_utf8_cannot_write_is_refused_with_a_reason() -> None:
    # Plain data may hold it: json.loads reads half a pair without a word.
    event = decode_event(json.loads(keepalive(r'"\ud83d"')))
    with pytest.raises(InvalidValue, match=r"^value: holds text that UTF-8 cannot write: "):
        encode(event)
    with pytest.raises(InvalidValue):
        encode(KeepaliveEvent(sequence_number=1, stream_id="\ud83d"))


@pytest.mark.parametrize(
    ("data", "offset"),
    [
        ("", 0),
        (b"", 0),
        ('{"type":', 8),
        ("x", 0),
        ("[1 2]", 3),
        ('["é" 2]', 6),  # bytes are counted, not characters
        ("\ufeff{}", 0),  # who strips a byte order mark is the reader of the stream
        (b'{"type":"keepalive","x":"\xff"}', 25),
        (b"\xff\xfe{}", 0),
        ('{"é":"\ud83d"}', 7),
        ("[1e400]", None),
        ("[" * 100_000, None),
    ],
)
def test_bytes_that_are_no_json_are_refused_with_the_place_where_that_shows(
    data: bytes | str, offset: int | None
) -> None:
    with pytest.raises(DecodeError) as caught:
        from_json(data)
    assert caught.value.problems == ()
    assert caught.value.offset == offset
    moved = caught.value.at(100)
    assert (moved.offset, moved.reason) == (100, caught.value.reason)


@pytest.mark.parametrize("escape", [True, False], ids=["ascii", "utf-8"])
def test_json_is_read_with_its_characters_escaped_or_not_and_written_unescaped(escape: bool) -> None:
    data = {"type": "keepalive", "sequence_number": 1, "x": "é\U0001f600\x7f\u2028", "é": '"\\/\b'}
    event = decode(json.dumps(data, ensure_ascii=escape).encode())
    assert encode(event).decode() == json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def test_json_is_written_in_one_line_whatever_the_text() -> None:
    event = decode(keepalive(json.dumps("a\nb\r\nc")))
    assert b"\n" not in encode(event)
    assert b"\r" not in encode(event)


# Writing


@pytest.mark.parametrize("struct", ALL_STRUCTS, ids=lambda struct: struct.__name__)
def test_without_extra_plain_msgspec_writes_the_same(struct: type[Wire]) -> None:
    for value in variants(struct):
        assert codec.to_wire(value) is value
        assert msgspec.json.encode(value) == encode(value)
        assert msgspec.to_builtins(value) == to_builtins(value) == json.loads(encode(value))


@pytest.mark.parametrize("struct", ALL_STRUCTS, ids=lambda struct: struct.__name__)
def test_what_is_written_is_read_back_as_the_same_value(struct: type[Wire]) -> None:
    for value in variants(struct):
        assert decode_as(json.loads(encode(value)), struct, strict=True) == value


def test_extra_is_merged_in_at_every_depth() -> None:
    text = ResponseOutputText(text="x", extra={"part": 1})
    message = ResponseOutputMessage(id="m", status="completed", content=[text], extra={"item": 2})
    event = ResponseOutputItemDoneEvent(sequence_number=1, output_index=0, item=message)
    assert to_builtins(event) == {
        "type": "response.output_item.done",
        "sequence_number": 1,
        "output_index": 0,
        "item": {
            "type": "message",
            "id": "m",
            "status": "completed",
            "content": [{"type": "output_text", "text": "x", "annotations": [], "logprobs": [], "part": 1}],
            "role": "assistant",
            "item": 2,
        },
    }


def test_extra_is_merged_in_even_inside_plain_json() -> None:
    part = ResponseOutputText(text="x", extra={"n": 1})
    event = ResponseSteerAcceptedEvent(sequence_number=1, steer={"input": [{"content": (part,)}]})
    assert to_builtins(event)["steer"]["input"][0]["content"][0]["n"] == 1
    assert EXTRA_KEY.encode() not in encode(event)


def test_an_empty_extra_says_nothing() -> None:
    assert to_builtins(KeepaliveEvent(sequence_number=1, extra={})) == {"type": "keepalive", "sequence_number": 1}


def test_a_member_that_the_type_lists_wins_over_extra() -> None:
    event = KeepaliveEvent(sequence_number=1, extra={"sequence_number": 2, "type": "acme:x", "y": 3})
    assert to_builtins(event) == {"type": "keepalive", "sequence_number": 1, "y": 3}


def test_extra_that_is_no_json_is_refused() -> None:
    with pytest.raises(TypeError):
        encode(KeepaliveEvent(sequence_number=1, extra={"x": object()}))


def test_writing_changes_nothing() -> None:
    response = ResponseObject(id="r", extra={"a": 1})
    event = ResponseCreatedEvent(sequence_number=0, response=response)
    before = repr(event)
    encode(event)
    to_builtins(event)["response"]["output"].append("x")
    assert repr(event) == before


def test_what_was_read_does_not_change_with_the_data_it_was_read_from() -> None:
    data = {"type": "response.created", "sequence_number": 0, "response": {"id": "r", "output": [], "metadata": {}}}
    event = decode_event(data)
    before = encode(event)
    data["response"]["metadata"]["a"] = "b"  # type: ignore[index]  # mypy sees object
    data["response"]["output"].append(1)  # type: ignore[index]  # as above
    assert encode(event) == before


# Small promises


def test_the_type_goes_first() -> None:
    assert encode(KeepaliveEvent(sequence_number=1)) == b'{"type":"keepalive","sequence_number":1}'
    assert encode(decode('{"x":1,"type":"acme:x"}')) == b'{"type":"acme:x","x":1}'


def test_a_delta_is_read_by_msgspec_alone() -> None:
    # The hot path: nothing below it is open, so no member is looked at one by one.
    for kind in EVENT_TYPES:
        if kind.endswith(".delta"):
            assert plan_of(tags_of(ResponseStreamEvent)[kind]).flat, kind


def test_the_hot_path_and_the_tolerant_reader_agree() -> None:
    data = {
        "type": "response.output_text.delta",
        "sequence_number": 4,
        "item_id": "msg_01",
        "output_index": 0,
        "content_index": 0,
        "delta": "Hel",
        "logprobs": [],
    }
    fast = decode_event(data)
    assert isinstance(fast, ResponseTextDeltaEvent)
    assert fast == decode_as(data, ResponseTextDeltaEvent)
    slow = decode_event({**data, "x": 1})
    assert slow == msgspec.structs.replace(fast, extra={"x": 1})


def test_logprobs_that_were_absent_stay_absent_and_are_written_when_made_here() -> None:
    # decision 4
    made = ResponseTextDeltaEvent(sequence_number=4, item_id="m", output_index=0, content_index=0, delta="x")
    assert to_builtins(made)["logprobs"] == []
    data = to_builtins(made)
    del data["logprobs"]
    read = decode_event(data)
    assert isinstance(read, ResponseTextDeltaEvent)
    assert read.logprobs is UNSET
    assert to_builtins(read) == data


def test_wire_values_are_frozen() -> None:
    event = KeepaliveEvent(sequence_number=1)
    with pytest.raises(AttributeError):
        event.sequence_number = 2  # type: ignore[misc]  # what mypy refuses, Python refuses too


def test_an_unknown_event_needs_no_number() -> None:
    assert decode('{"type":"acme:x"}', strict=True) == UnknownEvent(type="acme:x")
