"""Parts that nobody says to begin: which texts are one, and which are two."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from responses_stream import validate_events
from responses_stream.agents.repairing import repaired
from responses_stream.protocol.codec import to_builtins
from responses_stream.validation.examples import Json, stream_of

COUNTS = ("content_index", "summary_index")


def without(events: Sequence[Json], *ends: str) -> list[Json]:
    return [event for event in events if not event["type"].endswith(ends)]


def items(events: Sequence[Json]) -> list[Json]:
    plain = [to_builtins(event) for event in repaired(events)]
    report = validate_events(plain)
    assert report.ok, str(report)
    output: list[Json] = plain[-1]["response"]["output"]
    return output


@pytest.mark.parametrize("base", ["V3", "V13"])
@pytest.mark.parametrize("gone", [(), ("text.done", "refusal.done"), ("text.done", "refusal.done", "item.done")])
@pytest.mark.parametrize("listed", [True, False])
def test_a_higher_number_is_the_next_part(base: str, gone: tuple[str, ...], listed: bool) -> None:
    events = without(stream_of(base), "_part.added", "_part.done", *gone)
    if not listed:
        events[-1]["response"]["output"] = []
    assert items(events) == stream_of(base)[-1]["response"]["output"]


@pytest.mark.parametrize("base", ["V3", "V13"])
def test_without_numbers_more_text_behind_a_whole_one_is_the_next_part(base: str) -> None:
    events = without(stream_of(base), "_part.added", "_part.done")
    events = [{name: one for name, one in event.items() if name not in COUNTS} for event in events]
    events[-1]["response"]["output"] = []
    assert items(events) == stream_of(base)[-1]["response"]["output"]


def test_without_numbers_a_part_that_begins_is_the_one_that_goes_on() -> None:
    events = without(stream_of("V3"), "text.done", "_part.done")
    events = [{name: one for name, one in event.items() if name not in COUNTS} for event in events]
    assert items(events) == stream_of("V3")[-1]["response"]["output"]


def test_what_nothing_tells_apart_is_not_said_twice() -> None:
    events = without(stream_of("V3"), "text.done", "_part.added", "_part.done")
    events = [{name: one for name, one in event.items() if name not in COUNTS} for event in events]
    (item,) = items(events)
    assert "".join(part["text"] for part in item["summary"]) == "OneTwo"
