"""Token counts of a broken stream: what they tell is told, and nothing is made up."""

from __future__ import annotations

from typing import Any

import pytest

from responses_stream import validate_events
from responses_stream.agents.repairing import repaired
from responses_stream.protocol.codec import to_builtins
from responses_stream.validation.examples import stream_of

FULL = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"input_tokens": 3, "output_tokens": 2}, FULL),
        ({"output_tokens": 2, "total_tokens": 5}, FULL),
        ({"input_tokens": 3, "total_tokens": 5}, FULL),
        ({"input_tokens": 3, "output_tokens": 2, "total_tokens": 9}, FULL),
        ({"input_tokens": "3", "output_tokens": 2, "total_tokens": 5}, FULL),
        ({"input_tokens": 3.0, "output_tokens": 2.0, "total_tokens": 5.0}, FULL),
        ({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}, FULL),
        ({"prompt_tokens": 9, "input_tokens": 3, "completion_tokens": 2, "total_tokens": 5}, FULL),
        (
            {
                "prompt_tokens": 3,
                "completion_tokens": 2,
                "prompt_tokens_details": {"cached_tokens": 2.0},
                "completion_tokens_details": {"reasoning_tokens": 7},
            },
            {
                **FULL,
                "input_tokens_details": {"cached_tokens": 2},
                "output_tokens_details": {"reasoning_tokens": 2},
            },
        ),
        ({}, None),
        ({"total_tokens": 5}, None),
        ({"input_tokens": None, "output_tokens": None, "total_tokens": None}, None),
        ({"input_tokens": 3.5, "output_tokens": 2}, None),
        ({"input_tokens": -3, "output_tokens": 2}, None),
        ("five", None),
    ],
)
def test_a_usage_tells_what_it_told(given: Any, told: Any) -> None:
    events = stream_of("V1")
    events[-1]["response"]["usage"] = given
    stream = repaired(events)
    plain = [to_builtins(event) for event in stream]
    assert validate_events(plain).ok
    assert plain[-1]["response"]["usage"] == told
    assert all(isinstance(count, int) for count in (told or {}).values() if not isinstance(count, dict))
    assert stream.report.rules == ("R057",)


def test_what_a_vendor_tells_besides_stays() -> None:
    events = stream_of("V1")
    events[-1]["response"]["usage"] = {**FULL, "total_time": 0.25}
    stream = repaired(events)
    assert [to_builtins(event) for event in stream] == events
    assert stream.report.untouched
