"""The closed twins of events: what fits one is built rightly, and a rightly built event of a known kind fits one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from responses_stream.errors import DecodeError
from responses_stream.protocol.codec import decode_event
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.protocol.plans import tags_of
from responses_stream.validation.closed import fits, twin_of
from responses_stream.validation.examples import names, stream_of

LIFECYCLE = {f"response.{name}" for name in ("created", "queued", "in_progress", "completed", "failed", "incomplete")}
EVENTS = [
    json.loads(line)
    for path in sorted((Path(__file__).parents[1] / "protocol" / "examples").glob("*.jsonl"))
    for line in path.read_text("utf-8").splitlines()
]
EXAMPLES = [event for name in names() for event in stream_of(name)] + [
    event for event in EVENTS if isinstance(event, dict) and event.get("type") in tags_of(ResponseStreamEvent)
]


def is_well_built(event: dict[str, Any]) -> bool:
    try:
        decode_event(event, strict=True)
    except DecodeError:
        return False
    return True


def test_every_event_but_those_with_a_whole_response_has_a_twin() -> None:
    assert {name for name in tags_of(ResponseStreamEvent) if twin_of(name) is None} == LIFECYCLE
    assert twin_of("acme:trace") is None


def test_every_event_of_the_base_streams_fits_its_twin() -> None:
    for event in (event for name in names() for event in stream_of(name)):
        # An action without a type is one that nobody knows.
        untyped = event.get("item", {}).get("action") == {}
        assert event["type"] in LIFECYCLE or fits(event, event["type"]) is not untyped, event


ANYTHING: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 1.5, "", "text", [], [{}], {}, {"type": "acme:a"}, {"type": "message"}]
)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_what_fits_a_twin_is_well_built(data: st.DataObject) -> None:
    event = json.loads(json.dumps(data.draw(st.sampled_from(EXAMPLES))))
    holder: Any = event
    while True:
        keys = list(range(len(holder)) if isinstance(holder, list) else holder)
        if not keys:
            break
        key = data.draw(st.sampled_from(keys))
        if isinstance(holder[key], dict | list) and data.draw(st.booleans()):
            holder = holder[key]
            continue
        if data.draw(st.booleans()) and isinstance(holder, dict):
            del holder[key]
        else:
            holder[key] = data.draw(ANYTHING)
        break
    name = event.get("type")
    if isinstance(name, str) and fits(event, name):
        assert is_well_built(event)


@pytest.mark.parametrize("value", [{"type": "acme:thing", "id": "x"}, {"type": "mcp_list_tools", "id": 3}, None, 3])
def test_what_a_twin_does_not_know_is_left_to_a_closer_look(value: object) -> None:
    event = {"type": "response.output_item.added", "sequence_number": 0, "output_index": 0, "item": value}
    assert not fits(event, "response.output_item.added")
