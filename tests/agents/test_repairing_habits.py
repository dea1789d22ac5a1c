"""What servers do all the time, several things at once: the repaired stream is legal, and has the same answer.

A single damage leaves the rest of the stream to tell what was meant; a habit does not.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Final

import httpx2
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from responses_stream import ResponseEventStream, accumulate, validate_events
from responses_stream.agents import relay
from responses_stream.agents.repairing import repaired
from responses_stream.order import OrderGuard
from responses_stream.protocol.codec import to_builtins
from responses_stream.sse import encode_event

from .server_habits import HABITS, Json, answer, done_to, tells_calls, tells_items

NAMES: Final = tuple(HABITS)
KINDS: Final = ("m", "mm", "ff", "mfm", "rmff")


def mended(events: Sequence[Json], said: object) -> list[Json]:
    """Repair a stream; see that it is legal, and that a stream of our own takes it."""
    out = list(repaired(events))
    plain = [to_builtins(event) for event in out]
    report = validate_events(plain)
    assert report.ok, f"{said}: {report}"
    guard = OrderGuard()
    for event in out:
        guard.check(event)
    assert guard.finished, str(said)
    relayed = accumulate(relay(events, stream=ResponseEventStream("resp_ours"), repair=True))
    assert relayed.status == plain[-1]["response"]["status"], str(said)
    return plain


def items_of(events: Sequence[Json]) -> list[Json]:
    """Return the items of an answer in whatever order they came, without what only their frame tells."""
    items = [
        {
            member: value
            for member, value in item.items()
            if value is not None and member not in ("id", *(("status",) if item["type"] == "reasoning" else ()))
        }
        for item in events[-1]["response"]["output"]
    ]
    return sorted(items, key=repr)


def told(events: Sequence[Json], kind: str) -> str:
    """Return all that the items of a type say."""
    items = [item for item in events[-1]["response"]["output"] if item["type"] == kind]
    parts = [part for item in items for part in (item.get("content") or item.get("summary") or [])]
    return "".join([item.get("arguments", "") for item in items] + [part["text"] for part in parts])


def check(kind: str, habits: frozenset[str]) -> None:
    events = answer(kind)
    plain = mended(done_to(events, habits), sorted(habits))
    want, got = items_of(events), items_of(plain)
    said = f"{kind}, {sorted(habits)}: {got}"
    assert len(got) <= len(want), said
    if "f" in kind and not tells_calls(habits):
        # Nobody can answer a call without a name, and what only its item knew is gone.
        want = [item for item in want if "call_id" not in item]
        got = [item for item in got if "call_id" not in item]
    else:
        assert plain[-1]["response"]["status"] == "completed", said
    if tells_items(habits):
        assert got == want, said
    else:
        # Two items may be one then, but no text is lost, and none comes twice.
        for kind_of_item in {item["type"] for item in want}:
            assert told(plain, kind_of_item) == told(events, kind_of_item), said


@pytest.mark.parametrize("kind", KINDS)
def test_the_habits_of_a_server_leave_the_answer_as_it_is(kind: str) -> None:
    for habit in NAMES:
        check(kind, frozenset({habit}))


@pytest.mark.timeout(600)
@settings(deadline=None, max_examples=200, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(KINDS), st.frozensets(st.sampled_from(NAMES), min_size=2, max_size=8))
def test_several_habits_leave_the_answer_as_it_is(kind: str, habits: frozenset[str]) -> None:
    check(kind, habits)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", KINDS)
def test_each_three_habits_leave_the_answer_as_it_is(kind: str) -> None:
    for habits in itertools.combinations(NAMES, 3):
        check(kind, frozenset(habits))


# llama.cpp (tools/server/server-task.cpp): no output_index, calls without ids, whose deltas name them by their call_id,
# and everything done at the end.
LLAMA: Final = frozenset({"no indexes", "no numbers", "calls by call_id", "done at the end", "bare response"})


@pytest.mark.parametrize("kind", ["f", "ff", "fff", "rmff", "rmfff"])
def test_parallel_calls_of_llama_cpp_are_those_that_it_made(kind: str) -> None:
    check(kind, LLAMA)


@pytest.mark.parametrize(
    ("kind", "habits"),
    [
        # An index that is shared counts for nothing beside an id.
        ("mm", {"no added", "one index", "empty output"}),
        # Where no name tells anything, more is said of the newest item.
        ("mm", {"new ids", "no indexes", "no done"}),
        ("ff", {"one index", "no done", "calls by call_id"}),
        ("ff", {"no added", "no output_index", "no done"}),
        ("rmff", {"one index", "new ids", "done at the end"}),
        ("mfm", {"no added", "no item_id", "no done"}),
        ("mm", {"no added", "no item_id", "no indexes", "done at the end"}),
        ("mm", {"no added", "new ids", "no output_index", "no done"}),
    ],
)
def test_what_went_wrong_once_is_told_apart(kind: str, habits: set[str]) -> None:
    check(kind, frozenset(habits))


def test_the_openai_client_reads_the_parallel_calls_of_llama_cpp() -> None:
    body = b"".join(map(encode_event, repaired(done_to(answer("fff"), LLAMA))))
    reply = httpx2.Response(200, content=body, headers={"content-type": "text/event-stream"})
    with (
        httpx2.Client(transport=httpx2.MockTransport(lambda _: reply)) as http,
        openai.OpenAI(api_key="-", http_client=http).responses.stream(model="m", input="Hi") as stream,
    ):
        final = stream.get_final_response()
    assert [(call.type, getattr(call, "call_id", "")) for call in final.output] == [
        ("function_call", "call_0"),
        ("function_call", "call_1"),
        ("function_call", "call_2"),
    ]


# What a call calls.


def calls(events: Sequence[Json]) -> list[tuple[str, str, str]]:
    return [
        (item["call_id"], item["name"], item["arguments"])
        for item in events[-1]["response"]["output"]
        if item["type"] == "function_call"
    ]


def test_calls_without_a_call_id_are_given_one_each() -> None:
    events = answer("ff")
    for event in events:
        for item in [event.get("item"), *event.get("response", {}).get("output", [])]:
            if item is not None:
                del item["call_id"]
    plain = mended(events, "no call_id")
    (first, *told), (second, *others) = calls(plain)
    assert (told, others) == (["f0", '{"x":0}'], ["f1", '{"x":1}'])
    # The upstream knows them by their ids, if by anything.
    assert {first, second} == {item["id"] for item in events[-1]["response"]["output"]}
    assert "R068" in repaired_rules(events)


def repaired_rules(events: Sequence[Json]) -> tuple[str, ...]:
    stream = repaired(events)
    list(stream)
    return stream.report.rules


def test_a_call_that_was_never_added_is_said_when_it_is_told_what_it_calls() -> None:
    events = done_to(answer("f"), ["no added"])
    plain = mended(events, "no added")
    added = next(event["item"] for event in plain if event["type"] == "response.output_item.added")
    assert (added["call_id"], added["name"]) == ("call_0", "f0")
    assert [event["delta"] for event in plain if "delta" in event] == ['{"x":', "0}"]


@pytest.mark.parametrize("habits", [[], ["calls by call_id"], ["calls by call_id", "no indexes"]])
def test_a_call_that_is_added_late_is_said_then(habits: list[str]) -> None:
    events = done_to(answer("f"), habits)
    events[2], events[3] = events[3], events[2]
    for number, event in enumerate(events):
        event["sequence_number"] = number
    said: list[int] = []

    def upstream() -> Iterable[Json]:
        for number, event in enumerate(events):
            said.append(number)
            yield event

    read = {event.type: len(said) for event in repaired(upstream())}
    assert read["response.output_item.added"] == 4
    assert calls(mended(events, "late")) == [("call_0", "f0", '{"x":0}')]


def test_a_call_whose_name_nobody_tells_fails_the_response() -> None:
    events = done_to(answer("mf"), ["no added", "no done", "empty output"])
    plain = mended(events, "nameless")
    response = plain[-1]["response"]
    assert response["status"] == "failed"
    assert response["error"]["code"] == "server_error"
    assert [item["type"] for item in response["output"]] == ["message"]
    assert "R076" in repaired_rules(events)
    assert "R029" not in repaired_rules(events)


def test_a_call_that_waits_when_the_stream_breaks_off_is_incomplete() -> None:
    events = done_to(answer("f"), ["no added"])[:4]
    events[-1]["name"] = "f0"
    response = mended(events, "cut")[-1]["response"]
    assert response["status"] == "failed"
    assert [(item["name"], item["status"]) for item in response["output"]] == [("f0", "incomplete")]
