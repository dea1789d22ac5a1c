"""`OrderGuard`: events that somebody else made are let through in order, and refused out of it, with the rule."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from responses_stream import OrderGuard, OutOfOrder, ResponseEventStream
from responses_stream.protocol import ResponseStreamEvent, decode, decode_event, to_builtins

from .builders.base_streams import EXAMPLES, NAMES, base_stream, broken

Damage = Callable[[list[dict[str, Any]]], None]


def legal() -> list[dict[str, Any]]:
    """0 created, 1 in_progress, 2-7 message (3-6 its part), 8-12 call, 13-18 reasoning (14-17 part), 19 completed."""
    stream = ResponseEventStream("resp_1", make_item_id=lambda item_type, _: f"{item_type}_1")
    events: list[ResponseStreamEvent] = [stream.emit_created(), stream.emit_in_progress()]
    events += stream.output_item_message(["Hel"], annotations=[])
    events += stream.output_item_function_call("f", "call_1", ["{", "}"])
    events += stream.output_item_reasoning("Hm")
    events.append(stream.emit_completed())
    return [to_builtins(event) for event in events]


def check(plain: list[dict[str, Any]], response_id: str | None = None) -> OrderGuard:
    guard = OrderGuard(response_id)
    for event in plain:
        guard.check(decode_event(event))
    return guard


def drop(*places: int) -> Damage:
    def damage(plain: list[dict[str, Any]]) -> None:
        for at in sorted(places, reverse=True):
            del plain[at]

    return damage


def move(at: int, to: int) -> Damage:
    def damage(plain: list[dict[str, Any]]) -> None:
        plain.insert(to, plain.pop(at))

    return damage


def double(at: int) -> Damage:
    return lambda plain: plain.insert(at, plain[at])


def put(at: int, **members: Any) -> Damage:
    return lambda plain: plain[at].update(members)


def put_in(at: int, within: str, **members: Any) -> Damage:
    return lambda plain: plain[at][within].update(members)


def test_a_legal_stream_is_let_through_to_its_end() -> None:
    guard = check(legal(), "resp_1")
    assert guard.created
    assert guard.finished


DISORDER: list[tuple[Damage, str]] = [
    (drop(0), "response.in_progress in state response before response.created"),
    (double(0), "response.created in state response created"),
    (double(1), "response.in_progress in state response in progress"),
    (drop(1), "response.output_item.added in state response created"),
    (put_in(0, "response", status="completed"), "R040"),
    (put_in(19, "response", status="in_progress"), "R048"),
    (put_in(19, "response", id="resp_2"), "R042"),
    (put_in(0, "response", output=[{"type": "acme:x"}]), "R045"),
    (put_in(1, "response", output=[{"type": "acme:x"}]), "R046"),
    (double(19), "response.completed in state response ended"),
    (lambda plain: plain.append(plain[2]), "nothing, it is closed"),
    (put(2, output_index=1), "R062"),
    (put(8, output_index=0), "R062, R063"),
    (put(2, item={"type": "item_reference", "id": "x"}), "R080"),
    (drop(2), "R071, R072, R082, R083"),
    (put_in(7, "item", type="acme:x"), "R073"),
    (put_in(7, "item", id="message_2"), "R074, R081"),
    (put(4, item_id="message_2"), "R074, R081"),
    (put_in(7, "item", status="in_progress"), "R078"),
    (put_in(7, "item", status="incomplete"), "response.output_item.added in state response cut short"),
    (drop(7), "R079"),
    (drop(3), "output_text 0 of message_1"),
    (double(3), "output_text 0 of message_1"),
    (drop(5), "response.content_part.done in state output_text 0 of message_1"),
    (move(4, 5), "response.output_text.delta in state output_text 0 of message_1"),
    (drop(6), "R104"),
    (put(3, content_index=1), "R091"),
    (put_in(3, "part", type="summary_text"), "R085, R090, R125"),
    (put(4, type="response.refusal.delta"), "response.refusal.delta"),
    (drop(11), "R143"),
    (move(11, 9), "function_call_arguments.delta in state function_call"),
    (put(9, type="response.mcp_call_arguments.delta"), "response.mcp_call_arguments.delta in state function_call"),
    (put(14, summary_index=2), "R126"),
]


@pytest.mark.parametrize(("damage", "told"), DISORDER)
def test_disorder_is_refused_with_its_reason(damage: Damage, told: str) -> None:
    plain = legal()
    damage(plain)
    with pytest.raises(OutOfOrder) as refused:
        check(plain)
    assert told in str(refused.value)


@pytest.mark.parametrize(("damage", "told"), DISORDER)
def test_a_refusal_changes_nothing(damage: Damage, told: str) -> None:
    assert told
    plain = legal()
    damage(plain)
    guard = OrderGuard()
    for event in plain:
        before = repr(guard)
        try:
            guard.check(decode_event(event))
        except OutOfOrder:
            assert repr(guard) == before
            return
    raise AssertionError("nothing was refused")


def test_a_foreign_id_is_refused_from_the_beginning() -> None:
    with pytest.raises(OutOfOrder, match="R042"):
        check(legal(), "resp_2")


@pytest.mark.parametrize("kind", ["acme:trace", "keepalive", "response.output_text.magic"])
def test_what_is_not_known_is_let_through_anywhere(kind: str) -> None:
    unknown = {"type": kind, "sequence_number": 0}
    for at in range(len(legal()) + 1):
        plain = legal()
        plain.insert(at, unknown)
        assert check(plain).finished


def test_only_failed_follows_an_error() -> None:
    stream = ResponseEventStream("resp_1")
    told = [stream.emit_created(), stream.emit_in_progress(), stream.emit_error()]
    guard = check([to_builtins(event) for event in told])
    with pytest.raises(OutOfOrder, match=r"allowed now: response\.failed$"):
        guard.check(decode(json.dumps(legal()[2])))
    guard.check(stream.emit_failed())
    assert guard.finished


def test_an_error_alone_is_a_whole_stream() -> None:
    assert check([to_builtins(ResponseEventStream("resp_1").emit_error())]).finished  # H3.10


def test_a_response_may_fail_with_open_items_and_end_as_cancelled() -> None:
    plain = legal()[:5]
    failed = {**legal()[19], "type": "response.failed"}
    failed["response"] = {**failed["response"], "status": "cancelled", "output": []}
    assert check([*plain, failed]).finished  # R088 is a warning for failed (decision 31); decision 6


def test_the_names_of_open_responses_for_reasoning_are_known() -> None:
    stream = ResponseEventStream("resp_1")
    events: list[ResponseStreamEvent] = [stream.emit_created(), stream.emit_in_progress()]
    events += [*stream.output_item_reasoning(text="Hm"), stream.emit_completed()]
    plain = [to_builtins(event) for event in events]
    for event in plain:
        event["type"] = event["type"].replace("response.reasoning_text.", "response.reasoning.")
    assert check(plain).finished  # D03


def test_memory_is_bound_by_what_is_open() -> None:
    stream, guard = ResponseEventStream("resp_1"), OrderGuard()
    guard.check(stream.emit_created())
    guard.check(stream.emit_in_progress())
    for _ in range(50):
        for event in stream.output_item_message("Hello"):
            guard.check(event)
    assert len(repr(guard)) < 1_000


@pytest.mark.parametrize("name", NAMES)
def test_the_base_streams_of_the_catalogue_are_let_through(name: str) -> None:
    assert check(base_stream(name)).finished


# What the guard does not remember: texts, whole items, the copies of the response. That is for a validator.
NOT_GUARDED = {
    *("R021", "R022", "R023", "R029", "R043", "R044", "R047", "R050", "R051", "R052", "R053", "R057", "R064", "R066"),
    *("R067", "R068", "R069", "R070", "R075", "R076", "R086", "R089", "R100", "R101", "R102", "R103", "R105", "R106"),
    *("R109", "R110", "R112", "R114", "R116", "R118", "R128", "R129", "R131", "R133", "R134", "R141", "R142", "R145"),
    *("R148", "R155", "R157", "R158", "R160", "R162", "R170", "R171", "R180", "R181", "R182", "R183", "R184"),
    # The decoder refuses these before the guard sees them.
    *("R011", "R012", "R013", "R014", "R015"),
    # Their examples break another rule first.
    *("R038", "R041", "R049", "R060"),
}


@pytest.mark.parametrize("rule", sorted(set(EXAMPLES) - NOT_GUARDED))
def test_the_example_of_a_rule_of_order_is_refused_with_the_rule(rule: str) -> None:
    name, *steps = EXAMPLES[rule]
    with pytest.raises(OutOfOrder) as refused:
        check(broken(name, steps))
    assert rule in rules_in(refused.value.reason)


def rules_in(text: str) -> set[str]:
    """Return the rules that a text names, ranges written out."""
    spans = re.finditer(r"R(\d{3})(?:-R(\d{3}))?", text)
    return {f"R{number:03}" for span in spans for number in range(int(span[1]), int(span[2] or span[1]) + 1)}


def test_a_refusal_names_the_event_that_was_refused() -> None:
    plain = legal()
    with pytest.raises(OutOfOrder, match="R060") as refused:
        OrderGuard().check(decode_event(plain[4]))
    assert refused.value.called == "response.output_text.delta"


def test_a_refusal_does_not_advise_to_complete_over_open_items() -> None:
    guard = check(legal()[:3])
    with pytest.raises(OutOfOrder) as refused:
        guard.check(decode_event(legal()[0]))
    assert "response.completed" not in refused.value.allowed
    assert "response.output_item.added" in refused.value.allowed
    with pytest.raises(OutOfOrder) as refused:
        check(legal()[:2]).check(decode_event(legal()[0]))
    assert "response.output_item.done" not in refused.value.allowed
    assert "response.completed" in refused.value.allowed


@pytest.mark.parametrize("kind", ["audio.delta", "audio.done", "audio.transcript.delta", "audio.transcript.done"])
def test_audio_comes_while_the_response_runs(kind: str) -> None:
    audio = {"type": f"response.{kind}", "sequence_number": 0, "delta": ""}
    plain = legal()
    plain.insert(2, audio)
    assert check(plain).finished
    with pytest.raises(OutOfOrder, match=f"response.{kind}"):
        check([*legal()[:1], audio])
