"""Streams that repeat another one, wholly or from a cursor, and copies of the response elsewhere (R190-R212)."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from responses_stream.protocol.codec import decode_event
from responses_stream.validation import PROFILES, validate_events
from responses_stream.validation.examples import Json, frame_of, names, stream_of

GOOD: Final = stream_of("V1")


def found(source: Any, **settings: Any) -> list[tuple[str, int]]:
    return [(violation.rule, violation.index) for violation in validate_events(source, **settings).violations]


def behind(notation: str, cursor: int) -> list[Json]:
    """What a replay from a cursor holds."""
    return [event for event in stream_of(notation) if event["sequence_number"] > cursor]


# A replay may begin anywhere: what was before the cursor is not known, and is not missed.


@pytest.mark.parametrize("notation", names())
@pytest.mark.parametrize("with_original", [True, False])
def test_a_replay_from_any_cursor_breaks_no_rule(notation: str, with_original: bool) -> None:
    whole = stream_of(notation)
    for cursor in range(-1, len(whole) + 2):
        replay = behind(notation, cursor)
        original = whole if with_original else None
        for profile in PROFILES[:2]:
            report = validate_events(replay, profile, starting_after=cursor, original=original)
            odd = [(violation.rule, violation.severity) for violation in report.violations]
            assert set(odd) <= {("R084", "warning"), ("R087", "warning")}
            assert report.events == len(replay)


@pytest.mark.parametrize("notation", names())
def test_a_whole_replay_breaks_no_rule(notation: str) -> None:
    whole = stream_of(notation)
    assert validate_events(stream_of(notation), original=whole).ok
    assert validate_events(whole, original=whole, retrieved=whole[-1]["response"]).ok


@pytest.mark.parametrize("cursor", range(9))
def test_a_replay_as_text_breaks_no_rule(cursor: int) -> None:
    text = "".join(map(frame_of, behind("V1", cursor)))
    assert found(text, starting_after=cursor) == []
    lines = "\n".join(map(json.dumps, behind("V1", cursor)))
    assert found(lines, starting_after=cursor, original="".join(map(frame_of, GOOD))) == []


def test_of_an_empty_replay_nothing_may_be_left() -> None:
    assert found([], starting_after=4) == []
    assert found([], starting_after=9, original=GOOD) == []
    assert found([], starting_after=4, original=[]) == []
    # The same goes for a stream that is not over.
    assert found([], starting_after=3, original=GOOD[:4]) == []
    assert found([], starting_after=4, original=GOOD) == [("R193", 0)]
    assert found([], original=GOOD) == [("R193", 0)]
    assert found([]) == [("R029", 0)]
    assert found("", starting_after=4) == []


# The cursor.


@pytest.mark.parametrize("original", [None, GOOD])
def test_every_number_is_greater_than_the_cursor(original: list[Json] | None) -> None:
    for profile in ("strict", "lenient"):
        assert found(GOOD[4:], profile=profile, starting_after=4, original=original) == [("R190", 0)]
        assert found(GOOD, profile=profile, starting_after=4, original=original) == [("R190", 0)]


@pytest.mark.parametrize("original", [None, GOOD])
def test_the_first_number_is_the_next_one(original: list[Json] | None) -> None:
    report = validate_events(GOOD[6:], starting_after=4, original=original)
    assert [(violation.rule, violation.severity) for violation in report.violations] == [("R191", "error")]
    lenient = validate_events(GOOD[6:], "lenient", starting_after=4, original=original)
    assert [(violation.rule, violation.severity) for violation in lenient.violations] == [("R191", "warning")]


def test_numbers_go_on_behind_the_cursor_too() -> None:
    gap = [*GOOD[5:7], *GOOD[8:]]
    assert ("R023", 2) in found(gap, starting_after=4)
    twice = [*GOOD[5:7], GOOD[6], *GOOD[7:]]
    assert ("R022", 2) in found(twice, starting_after=4)


def test_behind_the_last_number_there_is_nothing() -> None:
    for cursor in (9, 12):
        [(rule, index)] = found(GOOD[9:], starting_after=cursor, original=GOOD)
        assert (rule, index) == ("R194", 0)
    assert validate_events(GOOD[9:], "lenient", starting_after=9, original=GOOD).ok


# The original.


@pytest.mark.parametrize("cursor", [None, 2])
@pytest.mark.parametrize(
    ("index", "member", "value"),
    [
        (4, "delta", "HEL"),
        (5, "delta", "lo!"),
        (6, "text", "Hello!"),
        (8, "output_index", 1),
        (3, "item_id", "msg_09"),
        (4, "type", "response.refusal.delta"),
        (9, "obfuscation", "x"),
    ],
)
def test_a_replayed_event_is_the_one_of_its_number(cursor: int | None, index: int, member: str, value: Any) -> None:
    replay = stream_of("V1")
    replay[index][member] = value
    if cursor is not None:
        replay = replay[cursor + 1 :]
    at = index - (0 if cursor is None else cursor + 1)
    for profile in PROFILES:
        told = found(replay, profile=profile, original=GOOD, starting_after=cursor, ignore=["R006", "R054"])
        assert told == [("R192", at)]


def test_a_longer_text_of_a_replay_differs_where_it_does() -> None:
    long = "x" * 5000
    original = stream_of(f'V1: set 4.delta="{long}"; set 5.delta=""')
    replay = stream_of(f'V1: set 4.delta="{long}y"; set 5.delta=""')
    [violation] = validate_events(replay, original=original, select=["R19"]).violations
    assert (violation.rule, violation.path) == ("R192", "$.delta")
    assert "5000 characters" in violation.expected


def test_null_is_as_good_as_absent_in_a_replay() -> None:
    replay = stream_of("V1")
    del replay[0]["response"]["completed_at"]
    assert found(replay, original=GOOD) == []


@pytest.mark.parametrize("cursor", [None, 4])
def test_the_replay_of_a_finished_response_ends_with_its_end(cursor: int | None) -> None:
    begin = 0 if cursor is None else cursor + 1
    for profile in ("strict", "lenient"):
        assert found(GOOD[begin:9], profile=profile, starting_after=cursor, original=GOOD) == [("R193", 9 - begin)]
        assert found(GOOD[begin:9], profile=profile, starting_after=cursor) == [("R029", 9 - begin)]
    # Of a response that is still running, the replay ends with the connection.
    assert found(GOOD[begin:8], starting_after=cursor, original=GOOD[:9]) == [("R029", 8 - begin)]


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize(
    "changed",
    [{"status": "completed"}, {"output": GOOD[9]["response"]["output"]}, GOOD[9]["response"]],
    ids=["status", "output", "all"],
)
def test_early_copies_are_replayed_as_they_were(index: int, changed: Json) -> None:
    replay = stream_of("V1")
    replay[index]["response"] |= changed
    for profile in ("strict", "lenient"):
        assert found(replay, profile=profile, original=GOOD) == [("R195", index)]


def test_another_change_of_an_early_copy_is_a_change_like_any() -> None:
    replay = stream_of('V1: set 0.response.model="other"')
    assert found(replay, original=GOOD) == [("R192", 0)]


@pytest.mark.parametrize(
    "original",
    [
        GOOD,
        [decode_event(event) for event in GOOD],
        "".join(map(frame_of, GOOD)),
        "".join(map(frame_of, GOOD)).encode(),
        [frame_of(event).encode() for event in GOOD],
        "\n".join(map(json.dumps, GOOD)),
        json.dumps(GOOD),
    ],
    ids=["dicts", "typed events", "SSE", "SSE bytes", "frames", "JSON lines", "a JSON array"],
)
def test_the_original_may_come_in_any_form(original: Any) -> None:
    assert found(GOOD[5:], starting_after=4, original=original) == []
    assert found(stream_of('V1: set 4.delta="HEL"'), original=original) == [("R192", 4)]
    assert found(GOOD[:9], original=original) == [("R193", 9)]


# In the middle of an item or a part: only what was seen is held against the rest.


def test_what_was_said_before_the_cursor_is_not_missed() -> None:
    # The cursor stands between two deltas; the whole text says more than was seen.
    assert found(GOOD[5:], starting_after=4) == []
    # It stands behind all deltas, behind the part, behind the item.
    for cursor in (5, 6, 7, 8):
        assert found(GOOD[cursor + 1 :], starting_after=cursor) == []


@pytest.mark.parametrize(
    ("steps", "cursor"),
    [
        ("drop 8", 3),  # R079, R180
        ("drop 6-8", 3),
        ("set 9.response.output=[]", 4),  # R180
        ('set 9.response.output.0.id="msg_09"', 4),  # R182
        (
            'every 4-5 item_id="msg_09"; every 6-7 item_id="msg_09"; set 8.item.id="msg_09"',
            3,
        ),  # R081: its id is not known
        ('set 6.text="Hallo"; set 7.part.text="Hallo"; set 8.item.content.0.text="Hallo"', 4),  # R102
        ("every 2-8 output_index=3", 2),  # R062
    ],
)
def test_what_cannot_be_known_behind_a_cursor_is_not_told(steps: str, cursor: int) -> None:
    assert found(behind(f"V1: {steps}", cursor), starting_after=cursor) == []


@pytest.mark.parametrize(
    ("steps", "cursor", "rule", "index"),
    [
        ("move 5 7", 3, "R094", 2),
        ("dup 6", 3, "R095", 3),
        ("dup 7", 3, "R098", 4),
        ("dup 8", 3, "R072", 5),
        ("dup 9", 3, "R036", 6),
        ("move 5 9", 3, "R083", 4),
        ("drop 9", 3, "R029", 5),
        ('set 7.part.text="Hallo"', 3, "R103", 3),
        ("del 5.delta", 3, "R013", 1),
        ('set 9.response.status="in_progress"', 3, "R048", 5),
    ],
)
def test_what_is_wrong_behind_a_cursor_is_told(steps: str, cursor: int, rule: str, index: int) -> None:
    assert found(behind(f"V1: {steps}", cursor), starting_after=cursor)[0] == (rule, index)


def test_an_item_that_began_behind_the_cursor_is_judged_in_full() -> None:
    assert found(behind('V14: set 13.text="Hallo"', 8), starting_after=8)[0] == ("R102", 4)
    assert found(behind("V14: drop 10", 8), starting_after=8)[0] == ("R093", 1)
    # The index of the first one that was seen is not known to be wrong; that of the next one is.
    assert found(behind("V14: every 9-15 output_index=4", 8), starting_after=8) == []


# Copies elsewhere.


@pytest.mark.parametrize("notation", ["V1", "V2", "V7", "V6"])
@pytest.mark.parametrize("cursor", [None, 1])
def test_what_get_returns_is_what_the_stream_ended_with(notation: str, cursor: int | None) -> None:
    events = stream_of(notation)
    replay = events if cursor is None else events[cursor + 1 :]
    body = stream_of(notation)[-1]["response"]
    assert found(replay, starting_after=cursor, retrieved=body) == []
    changed = body | {"metadata": {"team": "b"}}
    report = validate_events(replay, starting_after=cursor, retrieved=changed)
    [violation] = report.violations
    assert (violation.rule, violation.severity, violation.index) == ("R210", "warning", len(replay))
    assert violation.path == "$.response.metadata.team"
    assert found(replay, starting_after=cursor, retrieved=changed, profile="lenient") == []


def test_a_blob_may_be_encrypted_anew() -> None:
    events = stream_of('V3: set 11.item.encrypted_content="a"; set 12.response.output.0.encrypted_content="b"')
    body = stream_of('V3: set 12.response.output.0.encrypted_content="c"')[12]["response"]
    assert found(events, retrieved=body) == []


def test_a_response_that_get_shows_in_flight_is_not_held_against_its_end() -> None:
    assert found(GOOD, retrieved=GOOD[1]["response"]) == []
    assert found(GOOD[:9], retrieved=GOOD[9]["response"]) == [("R029", 9)]


@pytest.mark.parametrize("says_so", ["the request", "the response"])
def test_what_is_not_stored_cannot_be_retrieved(says_so: str) -> None:
    request = {"model": "example-model", "input": "Hi", "store": False}
    events = stream_of("V1: set 0.response.store=false; set 1.response.store=false; set 9.response.store=false")
    settings: dict[str, Any] = {"request": request} if says_so == "the request" else {}
    assert found(events, **settings) == []
    body = events[9]["response"]
    told = validate_events(events, retrieved=body, **settings)
    assert [(violation.rule, violation.severity) for violation in told.violations] == [("R212", "error")]
    assert validate_events(events, "lenient", retrieved=body, **settings).ok
    stored = {"store": True}
    assert found(GOOD, retrieved=GOOD[9]["response"], request=stored) == []
