"""Events as people read them."""

from __future__ import annotations

from typing import Any

import pytest

from responses_stream.excerpts import excerpt, line_of
from responses_stream.protocol.codec import decode_event
from responses_stream.validation.examples import base_stream

V1 = base_stream("V1")


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (V1[0], "response.created #0 in_progress resp_01"),
        (V1[2], "response.output_item.added #2 output 0 message in_progress msg_01"),
        (V1[3], "response.content_part.added #3 output 0 content 0 output_text"),
        (V1[4], "response.output_text.delta #4 output 0 content 0 'Hel'"),
        (V1[7], "response.content_part.done #7 output 0 content 0 output_text 'Hello'"),
        (V1[8], "response.output_item.done #8 output 0 message completed 'Hello' msg_01"),
        (
            {"type": "error", "error": {"code": "server_error", "message": "Broken."}},
            "error #none server_error 'Broken.'",
        ),
        ({"type": "error", "code": "x", "message": "Broken.", "sequence_number": 3}, "error #3 'Broken.'"),
        (
            {"type": "response.web_search_call.searching", "item_id": "ws_1", "sequence_number": 1},
            "response.web_search_call.searching #1 item ws_1",
        ),
        ({"delta": 3}, "no type #none"),
        ("'data: {'", "'data: {'"),
        (decode_event({"type": "acme:trace", "sequence_number": 2, "steps": 3}), "acme:trace #2"),
    ],
)
def test_an_event_on_a_line(event: Any, words: str) -> None:
    assert " ".join(line_of(event).split()) == words


def test_a_typed_event_reads_as_a_plain_one() -> None:
    assert [line_of(decode_event(event)) for event in V1] == [line_of(event) for event in V1]


def test_what_is_long_is_cut() -> None:
    assert line_of({"type": "response.output_text.delta", "delta": "x" * 1000}).endswith("xxx...")
    assert len(line_of({"type": "response.output_text.delta", "delta": "x" * 1000})) < 140


def test_the_events_around_one_that_is_marked() -> None:
    lines = excerpt(V1, 4, seen="this", expected="that", around=1)
    assert [line.split()[:2] for line in lines] == [
        ["3", "response.content_part.added"],
        [">", "4"],
        ["-", "this"],
        ["+", "that"],
        ["5", "response.output_text.delta"],
    ]
    assert len({line.index("response.") for line in lines if "response." in line}) == 1


def test_the_first_the_last_and_the_end() -> None:
    assert [line[0] for line in excerpt(V1, 0)] == [">", " ", " "]
    assert [line[0] for line in excerpt(V1, 9)] == [" ", " ", ">"]
    assert [line.strip() for line in excerpt(V1, 10, expected="more")][-2:] == [
        ">     (the stream ends here)",
        "+     more",
    ]
    assert excerpt([], 0, end="here") == (">    (here)",)
