"""`repaired`: what is legal stays as it is, what is broken becomes legal, and the report says what was done."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import openai
import pytest
from hypothesis import HealthCheck, given, settings
from openai._models import construct_type
from openai.types.responses import ResponseStreamEvent as OpenAIEvent

from responses_stream import Accumulator, Events, guarded, validate_events
from responses_stream.agents.repairing import AsyncRepaired, Repair, Repaired, RepairReport, repaired
from responses_stream.errors import InvalidType, InvalidValue
from responses_stream.order import OrderGuard
from responses_stream.protocol.codec import decode_event, to_builtins
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.protocol.response import ResponseObject
from responses_stream.validation import RULES, Example, Rule
from responses_stream.validation.examples import Json, frame_of, names, stream_of

from ..builders.programs import Program, as_dicts, programs
from ..validation.client_streams import STREAMS, served

RECORDINGS: Final = Path(__file__).resolve().parents[3] / "shared" / "recordings"
FILES: Final = sorted(RECORDINGS.glob("*.jsonl"))
EACH_BASE: Final = pytest.mark.parametrize("name", names())
# Warnings of what is odd in a stream and may be so: nothing was lost by it, or nobody knows better.
ODD: Final = frozenset(
    {
        *("R016", "R018", "R037", "R047", "R055", "R065", "R084", "R087", "R088", "R107", "R108", "R111", "R113"),
        *("R119", "R120", "R130", "R144", "R159", "R161", "R163", "R175", "R206"),
    }
)


def mended(source: Iterable[Any] | bytes | str) -> tuple[list[Json], RepairReport]:
    """Repair a stream; see that it is legal in profile `strict` and that our own server would send it."""
    stream = repaired(source)
    events = list(stream)
    plain = [to_builtins(event) for event in events]
    check(events, plain)
    return plain, stream.report


def check(events: Sequence[ResponseStreamEvent], plain: Sequence[Json]) -> None:
    report = validate_events(plain)
    assert report.ok, str(report)
    assert {violation.rule for violation in report.violations} <= ODD, str(report)
    guard = OrderGuard()
    for event in events:
        guard.check(event)
    assert guard.finished


def folded(events: Iterable[Json]) -> ResponseObject:
    """Return what a client has at the end that knows nothing but the events."""
    accumulator = Accumulator()
    for event in events:
        accumulator.feed(event)
    assert accumulator.response is not None
    return accumulator.response


def deltas(events: Iterable[Json]) -> str:
    """Return the text that a client has shown while it was streamed."""
    return "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")


# What is legal.


@EACH_BASE
def test_a_legal_stream_comes_through_as_it_is(name: str) -> None:
    events = stream_of(name)
    plain, report = mended(events)
    assert plain == events
    assert report.untouched
    assert str(report) == "nothing was mended"


@EACH_BASE
def test_typed_events_of_a_legal_stream_are_the_same_objects(name: str) -> None:
    events = [decode_event(event) for event in stream_of(name)]
    assert all(out is event for out, event in zip(repaired(events), events, strict=True))


@settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))
@given(programs())
def test_whatever_our_builders_make_comes_through_as_it_is(program: Program) -> None:
    events = as_dicts(program.events)
    stream = repaired(program.events)
    assert [to_builtins(event) for event in stream] == events
    assert stream.report.untouched, str(stream.report)


@pytest.mark.parametrize(
    "notation",
    [
        'V1: insert 4 {"type":"acme:trace","span":"a"}',
        'V1: insert 1 {"type":"acme:trace"}',
        'V1: set 2.item.acme={"a":1}; set 8.item.acme={"a":1}; set 9.response.output=[{"$item":8}]',
        "V13: move 8 6",
        "V15: move 7 10",
        "V1: set 0.response.acme=1; del 9.response.top_p",
        'V1: insert 4 {"type":"response.output_text.magic"}',
    ],
)
def test_what_is_unusual_and_legal_stays(notation: str) -> None:
    events = stream_of(notation)
    plain, report = mended(events)
    assert plain == events
    assert report.untouched, str(report)


def test_the_events_that_were_given_are_not_changed() -> None:
    events = stream_of("V10: every 2-14 output_index=4; set 15.response.output=[]; del 2.item.status")
    before = json.dumps(events)
    mended(events)
    assert json.dumps(events) == before


@pytest.mark.skipif(not FILES, reason=f"{RECORDINGS} is data of others, and no part of this repository")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_of_a_recording_only_what_strict_wants_is_mended(path: Path) -> None:
    responses: list[list[Json]] = []
    for line in filter(str.strip, path.read_text("utf-8").splitlines()):
        event = json.loads(line)
        if event["type"] == "response.created":
            responses.append([])
        responses[-1].append(event)
    for events in responses:
        broken = {found.rule for found in validate_events(events).violations if found.severity == "error"}
        plain, report = mended(events)
        if "R023" not in broken:  # else events were taken out of it
            # That a custom tool call has a status is a matter of our tables.
            assert set(report.rules) <= broken | {"R068"}, str(report)
            assert deltas(plain) == deltas(events)
            assert folded(plain).output_text == folded(events).output_text


# What real servers get wrong (shared/clients.md), and what it becomes.

HELLO: Final = "Hello"
COMPLETED: Final[dict[str, list[str]]] = {
    "no_created": ["R030", "R061"],
    "no_item_added": ["R082"],
    "no_content_part": ["R093"],
    "no_dones": ["R079", "R104"],
    "content_missing": ["R068"],
    "wrong_item_id": ["R081"],
    "no_seq": ["R012"],
    "seq_zero": ["R022"],
    "idx_from_1": ["R062", "R082", "R071"],
    "no_indices": ["R013"],
    "delta_after_done": ["R094"],
    "delta_after_item_done": ["R083"],
    "empty_output": ["R180"],
    "null_output": ["R015"],
    "usage_empty_details": ["R057"],
    "minimal_resp": ["R053"],
    "status_missing": ["R068", "R180"],
    "unknown_event": [],
    "unknown_item": [],
    "ka_comment": [],
    "ka_comment_id": [],
    "ka_event": ["R017"],
    "ka_inprogress": ["R035"],
    "crlf": [],
    "split": [],
    "no_event_line": [],
    "no_done_sentinel": [],
    "done_sentinel": [],
    "no_terminal": ["R029"],
    "abrupt": ["R029"],
}
OTHERS: Final[dict[str, tuple[str, list[str]]]] = {
    "two_same_index": ("completed", ["R062", "R082", "R071"]),
    "failed": ("failed", []),
    "incomplete": ("incomplete", []),
    "cancelled": ("cancelled", ["R048"]),
    "error_flat": ("failed", ["R171"]),
    "error_nested": ("failed", ["R171"]),
    "error_then_failed": ("failed", []),
}


def test_each_stream_of_the_clients_is_looked_at() -> None:
    assert COMPLETED.keys() | OTHERS.keys() == STREAMS.keys()


@pytest.mark.parametrize("name", COMPLETED)
def test_a_stream_that_breaks_clients_is_mended(name: str) -> None:
    plain, report = mended(STREAMS[name])
    assert list(report.rules) == COMPLETED[name], str(report)
    assert deltas(plain) == HELLO
    response = folded(plain)
    assert response.status == "completed"
    assert response.output_text == HELLO
    assert [event.get("item_id") for event in plain if event["type"] == "response.output_text.delta"] == ["msg_01"] * 2


@pytest.mark.parametrize("name", OTHERS)
def test_a_stream_that_ends_otherwise_ends_so(name: str) -> None:
    status, rules = OTHERS[name]
    plain, report = mended(STREAMS[name])
    assert list(report.rules) == rules, str(report)
    assert folded(plain).status == status


DELTA: Final = (
    '{"type":"response.output_text.delta","item_id":"msg_01","output_index":0,"content_index":0,"delta":"!",'
    '"logprobs":[]}'
)
REASONING: Final = "V4"


@pytest.mark.parametrize(
    ("notation", "rules", "text"),
    [
        pytest.param("V1: drop 2", ["R082"], "Hello", id="A1"),
        pytest.param("V1: drop 3", ["R093"], "Hello", id="A2"),
        pytest.param(
            'V1: set 3.item_id="a"; set 4.item_id="b"; set 5.item_id="c"; set 6.item_id="d"; set 7.item_id="e"; '
            'set 8.item.id="f"; set 9.response.output.0.id="g"',
            ["R081", "R074", "R180"],
            "Hello",
            id="A3",
        ),
        pytest.param("V1: every 2-8 output_index=1", ["R062", "R082", "R071"], "Hello", id="A4"),
        pytest.param('V14: set 16.response.output=[{"$item":15},{"$item":8}]', ["R180"], None, id="A5"),
        pytest.param("V1: set 9.response.output=[]", ["R180"], "Hello", id="A6"),
        pytest.param("V1: drop 2-8", ["R180", "R106", "R105"], "Hello", id="A7"),
        pytest.param("V1: drop 7-8", ["R079", "R104"], "Hello", id="A8"),
        pytest.param("V1: renumber from 1", ["R021"], "Hello", id="A9"),
        pytest.param(
            'V1: insert 0 {"type":"response.output_item.added","output_index":0,"item":'
            '{"type":"message","id":"msg_01","status":"in_progress","role":"assistant","content":[]}}; drop 3',
            ["R030", "R061", "R035"],
            "Hello",
            id="A13",
        ),
        pytest.param(
            "V1: del 9.response.created_at; del 4.logprobs; del 4.content_index; del 7.part.annotations",
            ["R053", "R013", "R109", "R114"],
            "Hello",
            id="B4",
        ),
    ],
)
def test_what_users_of_other_servers_hit_is_mended(notation: str, rules: list[str], text: str | None) -> None:
    undamaged = folded(stream_of(notation.partition(":")[0]))
    plain, report = mended(stream_of(notation))
    assert set(report.rules) == set(rules), str(report)
    assert folded(plain).output_text == (undamaged.output_text if text is None else text)
    assert folded(plain).status == "completed"


def test_reasoning_that_was_told_as_text_is_told_as_reasoning() -> None:
    # A10: the right item, and the events of a message inside of it.
    events = stream_of(REASONING)
    for event in events[3:8]:
        event["type"] = event["type"].replace("reasoning_text", "output_text")
        if "part" in event:
            event["part"]["type"] = "output_text"
    plain, _ = mended(events)
    assert folded(plain).output == folded(stream_of(REASONING)).output
    assert [event["type"] for event in plain] == [event["type"] for event in stream_of(REASONING)]


def test_the_name_that_the_done_item_has_lost_is_the_one_that_was_added() -> None:
    # A12
    plain, report = mended(stream_of('V2: set 6.item.name=""; set 7.response.output.0.name=""'))
    assert "R076" in report.rules
    assert [getattr(item, "name", None) for item in folded(plain).output] == ["get_weather"]


def test_the_name_of_a_function_whose_item_was_never_shown_is_the_one_that_its_arguments_told() -> None:
    # R145, R076: its item was added without one, and its done event repeats that.
    plain, _ = mended(stream_of('V2: set 5.name="get_weather"; drop 6-7; drop 2'))
    assert [getattr(item, "name", None) for item in folded(plain).output] == ["get_weather"]


def test_a_part_without_text_gets_what_was_said(  # B2
) -> None:
    plain, _ = mended(
        stream_of("V1: del 7.part.text; del 8.item.content.0.text; del 9.response.output.0.content.0.text")
    )
    assert folded(plain).output_text == HELLO


def test_raw_reasoning_under_the_names_of_open_responses_keeps_them() -> None:
    events = stream_of(REASONING)
    for event in events:
        event["type"] = event["type"].replace("response.reasoning_text.", "response.reasoning.")
    assert mended(events)[0] == events
    without_done = [event for event in events if event["type"] != "response.reasoning.done"]
    assert "response.reasoning.done" in {event["type"] for event in mended(without_done)[0]}


# Each rule has a stream that breaks it, and a reading of it that does not.


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_the_example_that_breaks_a_rule_is_mended(rule: Rule) -> None:
    for example in (rule.breaks, rule.holds):
        mended(source_of(example))


def source_of(example: Example) -> list[Any] | str:
    source = example.source
    return source if isinstance(source, str) else [event for event in source if isinstance(event, dict)]


# What was read already is never taken back.


def test_the_rest_of_a_text_that_was_cut_is_said_in_one_more_delta() -> None:
    plain, report = mended(stream_of("V1: drop 5"))
    assert deltas(plain) == HELLO
    assert report.rules == ("R102",)


def test_a_value_without_any_delta_is_said_in_one() -> None:
    plain, report = mended(stream_of("V1: drop 4-5"))
    assert deltas(plain) == HELLO
    assert report.rules == ("R105",)


def test_what_the_deltas_said_stands_where_the_done_value_is_another() -> None:
    plain, report = mended(stream_of('V1: set 6.text="Goodbye"'))
    assert report.rules == ("R102",)
    assert folded(plain).output_text == deltas(plain) == HELLO


def test_an_item_that_only_the_end_shows_is_said_by_events() -> None:
    plain, report = mended(stream_of("V14: drop 9-15"))
    assert folded(plain).output_text == folded(stream_of("V14")).output_text
    assert deltas(plain) == deltas(stream_of("V14"))
    assert "R180" in report.rules


@pytest.mark.parametrize("error", [[], {}, {"type": "mcp_protocol_error"}, "It broke.", 7])
def test_a_call_that_failed_has_an_error_of_some_kind(error: object) -> None:
    # R148: the event told that it failed, and the item has to say so, too.
    plain, _ = mended(stream_of(f'V8: set 10.type="response.mcp_call.failed"; set 11.item.error={json.dumps(error)}'))
    assert [getattr(item, "status", None) for item in folded(plain).output][-1] == "failed"


@pytest.mark.parametrize("annotation", ["null", "{}", '{"type":"url_citation"}', "7"])
def test_an_annotation_that_says_nothing_is_left_out(annotation: str) -> None:
    plain, report = mended(stream_of(f"V11: set 5.annotation={annotation}"))
    assert "R119" in report.rules
    assert folded(plain).output == folded(stream_of("V11")).output


def test_items_that_are_never_added_and_share_an_index_are_told_apart_by_their_ids() -> None:
    events = [
        event for event in stream_of("V14: every 2-15 output_index=0") if "item" not in event or "done" in event["type"]
    ]
    plain, _ = mended(events)
    assert folded(plain).output == folded(stream_of("V14")).output


# How a stream ends that has no end.


@pytest.mark.parametrize(
    ("notation", "last", "status", "text"),
    [
        ("V1: drop 9", "response.completed", "completed", "Hello"),
        ("V1: drop 8-9", "response.failed", "incomplete", "Hello"),
        ("V1: drop 5-9", "response.failed", "incomplete", "Hel"),
        ("V1: drop 3-9", "response.failed", "incomplete", ""),
        ("V1: drop 2-9", "response.failed", None, ""),
        ("V1: drop 0-9", "response.failed", None, ""),
        # Whoever has only thought has not answered.
        ("V4: drop 8", "response.failed", "completed", ""),
        ("V7: drop 9", "response.incomplete", "incomplete", "Hel"),
    ],
)
def test_half_an_answer_is_never_told_as_a_whole_one(notation: str, last: str, status: str | None, text: str) -> None:
    plain, report = mended(stream_of(notation))
    response = folded(plain)
    assert plain[-1]["type"] == last
    assert "R029" in report.rules
    assert getattr(response.output[-1], "status", None) == status if response.output else status is None
    assert response.output_text.startswith(text)
    if last == "response.failed":
        assert response.error is not None
        assert response.error
        assert response.error.code == "server_error"


def test_an_error_that_nothing_follows_is_the_reason_of_the_failure() -> None:
    plain, _ = mended(stream_of('V1: drop 3-9; insert 3 {"type":"error","code":"too_much","message":"Slow down."}'))
    response = folded(plain)
    assert response.error
    assert (response.error.code, response.error.message) == ("too_much", "Slow down.")


def test_an_error_leaves_what_was_said_in_the_response_that_failed() -> None:
    # R088 is a warning: a legal stream may leave its items open behind an error, so they are not closed before it.
    notation = 'V1: drop 6-9; insert 6 {"type":"error","code":"too_much","message":"Slow down."}'
    response = folded(mended(stream_of(notation))[0])
    assert [getattr(item, "status", None) for item in response.output] == ["incomplete"]
    assert response.output_text == HELLO
    thinking = 'V3: drop 7-11; insert 7 {"type":"error","code":"too_much","message":"Slow down."}'
    (thought,) = mended(stream_of(thinking))[0][-1]["response"]["output"]
    assert thought["summary"][0]["text"] == "One"


def test_what_an_upstream_raises_may_have_a_code() -> None:
    class Refused(Exception):
        code = "rate_limit_exceeded"

    def upstream() -> Iterator[Json]:
        yield from stream_of("V1")[:5]
        raise Refused("the secret")

    plain, report = mended(upstream())
    assert plain[-1]["response"]["error"]["code"] == "rate_limit_exceeded"
    assert "secret" not in json.dumps(plain)
    assert report.rules == ("R029", "R088")


def test_an_error_that_stands_alone_stays_alone() -> None:
    events = stream_of('V1: drop 0-9; insert 0 {"type":"error","code":"too_much","message":"Slow down.","param":null}')
    stream = repaired(events)
    assert [to_builtins(event) for event in stream] == events
    assert stream.report.untouched


def test_the_body_of_an_error_is_an_error() -> None:
    stream = repaired([{"error": {"message": "No such model.", "code": "model_not_found", "type": "x"}}])
    assert [event.type for event in stream] == ["error"]
    assert [repair.rule for repair in stream.report.repairs] == ["R012", "R011"]


def test_nothing_is_read_behind_the_end() -> None:  # A14
    def upstream() -> Iterator[Json]:
        yield from stream_of("V1")
        pytest.fail("a server that keeps the connection open would be waited for")

    assert len(list(repaired(upstream()))) == 10


def test_the_end_is_not_held_back_for_a_hole_in_the_numbers() -> None:
    def upstream() -> Iterator[Json]:
        yield from stream_of("V1: set 9.sequence_number=12")
        pytest.fail("a server that keeps the connection open would be waited for")

    plain, report = mended(upstream())
    assert plain == stream_of("V1")
    assert report.rules == ("R023",)


# Sources.


def by_openai(events: list[Json]) -> list[Any]:
    return [construct_type(value=event, type_=OpenAIEvent) for event in events]


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(lambda events: (event for event in events), id="a generator"),
        pytest.param(lambda events: [decode_event(event) for event in events], id="typed"),
        pytest.param(by_openai, id="openai"),
        pytest.param(lambda events: "".join(map(frame_of, events)), id="text"),
        pytest.param(lambda events: "".join(map(frame_of, events)).encode(), id="bytes"),
        pytest.param(
            lambda events: [bytes((byte,)) for byte in "".join(map(frame_of, events)).encode()], id="each byte"
        ),
    ],
)
def test_an_upstream_comes_in_any_form(form: Any) -> None:
    damaged = stream_of("V1: drop 3; set 8.response.output=[]")
    plain, report = mended(form(damaged))
    assert plain == stream_of("V1")
    assert set(report.rules) == {"R093", "R180"}


def test_what_the_client_of_openai_reads_from_a_broken_server_is_mended() -> None:
    with served() as base, openai.OpenAI(base_url=base, api_key="-", max_retries=0, timeout=30) as client:
        for name in ("no_created", "no_item_added", "null_output", "usage_empty_details", "no_terminal"):
            upstream = client.responses.create(model=name, input="Hi", stream=True)
            plain, report = mended(upstream)
            assert folded(plain).output_text == HELLO
            assert list(report.rules) == COMPLETED[name]
            assert upstream.response.is_closed


def test_frames_that_cannot_be_read_are_left_out() -> None:
    frames = list(map(frame_of, stream_of("V1")))
    plain, report = mended([*frames[:4], "data: {broken\n\n", ": a comment\n\n", "data: 7\n\n", *frames[4:]])
    assert plain == stream_of("V1")
    assert [(repair.rule, repair.index) for repair in report.repairs] == [("R001", 4), ("R001", 5)]


@pytest.mark.parametrize("events", [7, None, {"type": "response.created"}])
def test_what_cannot_be_iterated_is_refused(events: Any) -> None:
    with pytest.raises(InvalidType, match="iterable of events"):
        repaired(events)


def test_what_is_no_event_is_refused() -> None:
    upstream: list[Any] = [*stream_of("V1")[:2], 7]
    with pytest.raises(InvalidType):
        list(repaired(upstream))


def test_another_protocol_is_named_and_who_reads_it() -> None:
    chunk = {"object": "chat.completion.chunk", "choices": [{"delta": {"content": "Hi"}}]}
    with pytest.raises(InvalidValue, match=r"Chat Completions.*from_chat_completions"):
        list(repaired([chunk]))
    with pytest.raises(InvalidValue, match="Anthropic Messages; it cannot be repaired"):
        list(repaired([{"type": "message_start", "message": {}}]))


class Upstream:
    """An upstream that can be closed."""

    def __init__(self, events: Iterable[Any]) -> None:
        self.events, self.closed = iter(events), False

    def __iter__(self) -> Iterator[Any]:
        return self.events

    def close(self) -> None:
        self.closed = True


def test_an_upstream_is_closed_at_the_end_and_when_its_reader_leaves() -> None:
    whole, left = Upstream(stream_of("V1")), Upstream(stream_of("V1"))
    list(repaired(whole))
    stream = repaired(left)
    next(iter(stream))
    assert not left.closed
    stream.close()
    assert whole.closed
    assert left.closed


def breaks(events: Iterable[Json]) -> Iterator[Json]:
    yield from events
    raise ConnectionError("the secret")


@pytest.mark.parametrize("count", [0, 1, 5, 9])
def test_an_upstream_that_raises_was_cut_off(count: int, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="responses_stream"):
        plain, report = mended(breaks(stream_of("V1")[:count]))
    assert plain[-1]["type"] == "response.failed"
    assert "secret" not in json.dumps(plain)
    assert "secret" not in str(report)
    assert "the secret" in caplog.text


@pytest.mark.anyio
async def test_an_asynchronous_upstream_is_mended_as_well() -> None:
    closed = []

    async def upstream() -> AsyncIterator[Json]:
        try:
            for event in stream_of("V1: drop 3"):
                yield event
        finally:
            closed.append(True)

    stream = repaired(upstream())
    assert isinstance(stream, AsyncRepaired)
    assert [to_builtins(event) async for event in stream] == stream_of("V1")
    assert stream.report.rules == ("R093",)
    assert closed == [True]
    left = repaired(upstream())
    await anext(aiter(left))
    await left.aclose()
    assert closed == [True, True]


@pytest.mark.anyio
async def test_an_asynchronous_upstream_that_raises_was_cut_off(caplog: pytest.LogCaptureFixture) -> None:
    async def upstream() -> AsyncIterator[Json]:
        for event in breaks(stream_of("V1")[:5]):
            yield event

    with caplog.at_level(logging.ERROR, logger="responses_stream"):
        events = [event async for event in repaired(upstream())]
    assert events[-1].type == "response.failed"


@pytest.mark.anyio
async def test_a_synchronous_upstream_can_be_iterated_either_way() -> None:
    stream = repaired(stream_of("V1"))
    assert isinstance(stream, Repaired)
    assert isinstance(stream, Events)
    assert len([event async for event in stream]) == 10


def test_each_event_is_said_as_soon_as_it_has_come() -> None:
    given = 0

    def upstream() -> Iterator[Json]:
        nonlocal given
        for event in stream_of('V1: every 3-7 item_id="msg_09"'):
            given += 1
            yield event

    for said, _ in enumerate(repaired(upstream()), 1):
        assert given == said


def test_the_guard_has_nothing_to_add() -> None:
    events = list(repaired(stream_of("V1: drop 5-9")))
    assert list(guarded(events)) == events


# The report.


def test_the_report_says_what_was_done_and_where() -> None:
    _, report = mended(stream_of("V1: drop 3; drop 8"))
    first, last = report.repairs
    what = "its part was never added; output_text 0 was added before it"
    assert first == Repair("R093", 3, "response.output_text.delta", what)
    assert str(first) == f"R093 event 3, response.output_text.delta: {what}"
    assert str(last) == "R029 at the end: the stream broke off, and was ended with response.completed"
    assert str(report) == f"{first}\n{last}"
    assert not report.untouched


def test_what_a_service_always_does_is_one_repair() -> None:
    _, report = mended(stream_of("V14: every 0-16 sequence_number=0; every 2-15 output_index=3"))
    assert len(report.repairs) < 10
    assert report.omitted == 0


def test_a_report_does_not_grow_without_end() -> None:
    events = stream_of("V1")
    many = [*events[:7], *[events[5]] * 2_000, *events[7:]]
    plain, report = mended([{**event, "sequence_number": number} for number, event in enumerate(many)])
    assert plain == events
    assert len(report.repairs) == 1_000
    assert report.omitted == 1_000
    assert str(report).endswith("and 1000 more")


class NeverRead:
    """An upstream that can be let go."""

    closed = False

    def __iter__(self) -> Iterator[dict[str, Any]]:
        raise AssertionError("nothing is read of it")

    def close(self) -> None:
        self.closed = True


def test_an_upstream_of_which_nothing_was_read_is_let_go_too() -> None:
    upstream = NeverRead()
    repaired(upstream).close()
    assert upstream.closed
