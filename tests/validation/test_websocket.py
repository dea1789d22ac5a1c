"""Transcripts of WebSocket connections: turns, lanes, errors between turns, and what no message may be (R200-R207)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import pytest

from responses_stream.protocol.codec import decode_event
from responses_stream.validation import EventValidator, Profile, validate_events
from responses_stream.validation.examples import Json, frame_of, stream_of

CREATE: Final[Json] = {"type": "response.create", "model": "example-model", "input": "Hi"}
REFUSED: Final[Json] = {
    "type": "error",
    "status": 400,
    "error": {"code": "previous_response_not_found", "message": "No.", "param": "previous_response_id", "type": "x"},
}


def turn(notation: str = "V1", response_id: str = "resp_01", lane: str | None = None) -> list[Json]:
    """The events of one response."""
    events = stream_of(notation)
    for event in events:
        if "response" in event:
            event["response"]["id"] = response_id
        if lane is not None:
            event["stream_id"] = lane
    return events


def found(messages: list[Any], profile: Profile = "strict", **settings: Any) -> list[tuple[str, int]]:
    report = validate_events(messages, profile, transport="websocket", **settings)
    return [(violation.rule, violation.index) for violation in report.violations]


@pytest.mark.parametrize(
    "write",
    [
        lambda event: event,
        json.dumps,
        lambda event: json.dumps(event).encode(),
        lambda event: json.dumps(event, indent=2),
        lambda event: memoryview(json.dumps(event).encode()),
    ],
    ids=["dicts", "text", "bytes", "pretty-printed", "memoryviews"],
)
def test_two_turns_behind_one_another_break_no_rule(write: Callable[[Json], Any]) -> None:
    both = [*turn(), *turn("V2", "resp_02")]
    assert found(list(map(write, both))) == []
    asked = [CREATE, *turn(), CREATE, *turn("V2", "resp_02")]
    assert found(list(map(write, asked))) == []


def test_the_events_may_be_typed() -> None:
    assert found([decode_event(event) for event in [*turn(), *turn("V3", "resp_02")]]) == []


@pytest.mark.parametrize("notation", ["V1", "V3", "V7", "V10", "V14"])
def test_any_response_may_be_a_turn(notation: str) -> None:
    assert found([*turn("V1"), *turn(notation, "resp_02"), *turn("V2", "resp_03")]) == []


def test_each_turn_is_judged_as_a_stream_of_its_own() -> None:
    assert found([*turn(), *turn("V1: drop 3", "resp_02")]) == [("R093", 13)]
    assert found([*turn("V1: drop 3"), *turn("V1: drop 3", "resp_02")]) == [("R093", 3), ("R093", 12)]
    assert found([*turn(), *turn("V1: drop 9", "resp_02")]) == [("R029", 19)]
    assert found(turn("V1: drop 0")) == [("R030", 0)]
    assert found([CREATE, *turn("V1: drop 0")]) == [("R030", 1)]


def test_a_connection_on_which_nothing_was_asked_is_no_broken_stream() -> None:
    assert found([]) == []


def test_a_request_that_was_not_answered_is_one() -> None:
    assert found([CREATE]) == [("R029", 1)]
    assert found([CREATE, *turn(), CREATE]) == [("R029", 12)]
    assert found([CREATE, *turn(), CREATE, REFUSED]) == []


# R200: a message is JSON and nothing else.


@pytest.mark.parametrize(
    "text", ["[DONE]", "data: [DONE]", "data: {}", 'event: response.created\ndata: {"type":"x"}\n\n']
)
def test_there_are_no_frames(text: str) -> None:
    for profile in ("strict", "lenient", "open-responses"):
        told = found([*turn(), text], profile, select=["R200", "R001"])
        assert told == [("R200", 10)]


@pytest.mark.parametrize("text", ["", "{", "null", "3", "[]", '"x"', b"\xff\x00", "\ud800"])
def test_what_is_no_json_object_is_named(text: str | bytes) -> None:
    assert found([*turn(), text]) == [("R001", 10)]
    assert found([text, *turn()]) == [("R001", 0)]


def test_a_message_that_cannot_be_read_is_one_error() -> None:
    messages: list[Any] = [json.dumps(event) for event in turn()]
    for at in range(10):
        assert found([*messages[:at], messages[at][:-1], *messages[at + 1 :]]) == [("R001", at)]


def test_a_message_is_one_event() -> None:
    two = "\n".join(json.dumps(event) for event in turn()[:2])
    assert ("R001", 0) in found([two])
    assert ("R200", 0) in found([frame_of(turn()[0])])


# R201-R203: one turn after another.


def test_nothing_follows_the_end_of_a_turn() -> None:
    late = turn()[5] | {"sequence_number": 10}
    assert found([*turn(), late]) == [("R201", 10)]
    assert found([*turn(), late, late, late]) == [("R201", 10)]
    assert found([CREATE, *turn(), late, CREATE, *turn("V1", "resp_02")]) == [("R201", 11)]
    assert validate_events([*turn(), late], "lenient", transport="websocket").ok


def test_a_second_end_is_said_to_follow_the_first() -> None:
    assert found([*turn(), turn()[9]])[0] == ("R201", 10)


def test_a_turn_that_nobody_asked_for_is_told_where_the_client_is_heard() -> None:
    assert found([CREATE, *turn(), *turn("V1", "resp_02")]) == [("R201", 11)]
    assert found([CREATE, CREATE, *turn(), *turn("V1", "resp_02")]) == []


def test_numbers_begin_again_with_each_turn() -> None:
    second = [event | {"sequence_number": event["sequence_number"] + 10} for event in turn("V1", "resp_02")]
    report = validate_events([*turn(), *second], transport="websocket")
    assert [(found.rule, found.index, found.severity) for found in report.violations] == [("R202", 10, "warning")]
    assert found([*turn(), *second], "lenient") == []
    # The first turn of a connection is a stream like any other.
    assert found(second) == [("R021", 0)]


def test_one_response_is_in_flight_at_a_time() -> None:
    first, second = turn(), turn("V1", "resp_02")
    report = validate_events([*first[:4], *second], transport="websocket")
    assert [(found.rule, found.index, found.severity) for found in report.violations] == [("R203", 4, "error")]
    assert validate_events([*first[:4], *second], "lenient", transport="websocket").ok
    assert found(turn("V1: dup 0")) == [("R031", 1)]


# R204: lanes.


def test_lanes_are_streams_beside_each_other() -> None:
    one, other = turn("V1", "resp_01", "a"), turn("V2", "resp_02", "b")
    asked = [CREATE | {"stream_id": "a"}, CREATE | {"stream_id": "b"}]
    mixed = [event for pair in zip(one, other, strict=False) for event in pair] + one[len(other) :]
    assert found([*asked, *mixed]) == []
    assert found(mixed) == []
    # Each lane has its turns, and its numbers.
    more = turn("V3", "resp_03", "a")
    assert found([*asked, *mixed, asked[0], *more]) == []
    broken = [event for event in mixed if event["type"] != "response.content_part.added"]
    for number, event in enumerate(event for event in broken if event["stream_id"] == "a"):
        event["sequence_number"] = number
    assert [rule for rule, _ in found(broken)] == ["R093"]


def test_an_event_is_of_the_lane_of_its_request() -> None:
    asked = CREATE | {"stream_id": "a"}
    assert found([asked, *turn(lane="b")]) == [("R204", 1)]
    assert found([asked, *turn()]) == [("R204", 1)]
    assert found([asked, *turn(lane="a")]) == []
    assert validate_events([asked, *turn(lane="b")], "lenient", transport="websocket").ok
    astray = turn(lane="a")
    astray[5]["stream_id"] = "b"
    assert found([asked, *astray]) == [("R204", 6)]


# R205: what a request of this transport leaves out.


@pytest.mark.parametrize("member", ["stream", "stream_options", "background"])
@pytest.mark.parametrize("value", [True, False, {}, None])
def test_a_request_does_not_say_how_it_is_streamed(member: str, value: Any) -> None:
    for profile in ("strict", "lenient"):
        assert found([CREATE | {member: value}, *turn()], profile) == [("R205", 0)]
        assert found(turn(), profile, request={"model": "example-model", member: value}) == [("R205", 0)]


def test_the_request_of_a_turn_is_held_against_its_response() -> None:
    warm = CREATE | {"temperature": 0.2}
    assert found([warm, *turn()]) == [("R211", 1)]
    assert found([CREATE, *turn(), warm, *turn("V1", "resp_02")]) == [("R211", 12)]
    continued = CREATE | {"previous_response_id": "resp_01"}
    assert found([CREATE, *turn(), continued, *turn("V1", "resp_02")]) == [("R213", 12)]


# R206: steering.


def test_a_turn_is_steered_only_when_that_was_accepted() -> None:
    steered = turn('V7: set 9.response.incomplete_details.reason="steered"')
    report = validate_events(steered, transport="websocket")
    assert [(found.rule, found.index, found.severity) for found in report.violations] == [("R206", 9, "warning")]
    accepted: Json = {
        "type": "response.steer.accepted",
        "sequence_number": 5,
        "response_id": "resp_01",
        "steer_id": "s",
    }
    told = [*steered[:5], accepted]
    told += [event | {"sequence_number": event["sequence_number"] + 1} for event in steered[5:]]
    assert "R206" not in {rule for rule, _ in found(told)}


# R207: errors.


def test_an_error_between_turns_is_no_part_of_one() -> None:
    for messages in (
        [CREATE, *turn(), CREATE, REFUSED, CREATE, *turn("V1", "resp_02")],
        [*turn(), REFUSED, *turn("V1", "resp_02")],
        [REFUSED, *turn()],
        [*turn(), REFUSED],
    ):
        assert found(messages) == []


@pytest.mark.parametrize(
    "error",
    [
        {"error": {"code": "x", "message": "No."}},
        {"status": "400", "error": {"code": "x", "message": "No."}},
        {"status": True, "error": {"code": "x", "message": "No."}},
        {"status": 400, "error": {"message": "No."}},
        {"status": 400, "error": {"code": "x"}},
        {"status": 400, "error": {"code": None, "message": "No."}},
        {"status": 400, "error": "No."},
        {"status": 400, "code": "x", "message": "No."},
        {},
    ],
)
def test_an_error_says_its_status_code_and_message(error: Json) -> None:
    messages = [*turn(), {"type": "error", **error}]
    told = {
        profile: validate_events(messages, profile, transport="websocket", ignore=["R054"])
        for profile in ("strict", "lenient", "openai", "open-responses")
    }
    for profile, report in told.items():
        [violation] = report.violations
        assert (violation.rule, violation.index) == ("R207", 10)
        assert violation.severity == ("error" if profile == "open-responses" else "warning")


def test_an_error_within_a_turn_is_followed_by_its_failure() -> None:
    failing = turn("V6")
    failing[2] |= {"status": 500}
    assert found(failing) == []
    assert found([*failing[:3]]) == [("R171", 3)]
    assert found([*failing, *turn("V1", "resp_02")]) == []


# Copies elsewhere.


def test_what_get_returns_is_held_against_the_turn_of_its_id() -> None:
    messages = [*turn(), *turn("V2", "resp_02", None)]
    assert found(messages, retrieved=turn("V2", "resp_02")[-1]["response"]) == []
    changed = turn("V2", "resp_02")[-1]["response"] | {"metadata": {"a": "b"}}
    assert found(messages, retrieved=changed) == [("R210", 18)]


def test_violations_are_told_message_by_message() -> None:
    validator = EventValidator(transport="websocket")
    told = [[violation.rule for violation in validator.feed(json.dumps(event))] for event in turn("V1: drop 3")]
    assert [rules for rules in told if rules] == [["R093"]]
    assert validator.finish() == []
    assert validator.events == 9
