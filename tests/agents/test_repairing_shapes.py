"""Objects that fit their wire types: what fits is not touched, and what does not becomes what does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from responses_stream.agents.repairing_response import counted
from responses_stream.agents.repairing_shapes import EVENTS, ITEM_TYPES, fitted_event, least, type_of
from responses_stream.protocol.codec import decode_event, decode_union
from responses_stream.protocol.items import OutputItem
from responses_stream.protocol.plans import Plan, branches_of, plan_of
from responses_stream.protocol.response import ResponseObject
from responses_stream.validation.examples import names, stream_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["type", "text", "id", "x"]), inner),
    max_leaves=4,
)


@pytest.mark.parametrize("name", names())
def test_a_good_event_is_not_touched(name: str) -> None:
    for event in stream_of(name):
        if "response" not in event:
            made, odd = fitted_event(event, event["type"], {})
            assert {**made, "sequence_number": event["sequence_number"]} == event
            assert odd == []


EVENT = st.sampled_from(sorted(EVENTS)).flatmap(
    lambda name: st.tuples(st.just(name), st.dictionaries(st.sampled_from([*EVENTS[name].__struct_fields__]), JSON))
)


@settings(deadline=None, max_examples=100)
@given(EVENT)
@example(("response.created", {"response": {"text": None}}))
def test_whatever_it_holds_an_event_comes_to_fit(drawn: tuple[str, dict[str, Any]]) -> None:
    name, event = drawn
    made, _ = fitted_event(event, name, {})
    assert decode_event(made).type == name
    told = without_nulls(made, plan_of(EVENTS[name]))
    if isinstance(response := told.get("response"), dict):
        told["response"] = without_nulls(response, plan_of(ResponseObject))
    assert "item" in told or decode_event(told, strict=True).type == name


def without_nulls(fields: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    """Return an object without the nulls that are as good as an optional member that is absent (R181)."""
    needed = [name for name, member in plan.members.items() if member.required]
    return {name: value for name, value in fields.items() if value is not None or name in needed}


@pytest.mark.parametrize("kind", ITEM_TYPES)
def test_the_least_item_of_each_type_can_be_read(kind: str) -> None:
    item = least(branches_of(ITEM_TYPES[kind]))
    assert decode_union({**item, "type": kind}, OutputItem, "item", strict=True).type == kind


def test_what_is_known_is_taken_first() -> None:
    event = {"output_index": 0, "item": {"type": "function_call", "id": "fc_1", "status": "completed", "name": 7}}
    known = {"item": {"call_id": "call_1", "name": "f", "arguments": "{}"}}
    made, odd = fitted_event(event, "response.output_item.done", known)
    assert made["item"] == {**event["item"], **known["item"]}  # type: ignore[dict-item]  # the item is an object
    assert odd == ["$.item.call_id", "$.item.name", "$.item.arguments"]


def test_the_members_of_an_item_tell_its_type() -> None:
    for event in (event for name in names() for event in stream_of(name) if "item" in event):
        fields = {member: value for member, value in event["item"].items() if member != "type"}
        assert type_of(fields) in (event["item"]["type"], None) or fields.keys() <= {
            "id",
            "status",
            "call_id",
            "output",
        }


@pytest.mark.parametrize(
    ("usage", "made"),
    [
        ({"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}, (1, 2, 3)),
        ({"input_tokens": 1, "output_tokens": 2, "total_tokens": 9}, (1, 2, 3)),
        ({"input_tokens": 1, "total_tokens": 3}, (1, 2, 3)),
        ({"output_tokens": 2, "total_tokens": 3}, (1, 2, 3)),
        ({"input_tokens": 1, "output_tokens": 2}, (1, 2, 3)),
        ({"input_tokens": 1}, None),
        ({"input_tokens": -1, "output_tokens": 2}, None),
        ({}, None),
        ([], None),
    ],
)
def test_usage_adds_up_or_is_left_out(usage: object, made: tuple[int, int, int] | None) -> None:
    found = counted(usage)
    counts = ("input_tokens", "output_tokens", "total_tokens")
    assert (None if found is None else tuple(found[count] for count in counts)) == made


def test_the_details_of_usage_are_full_or_absent() -> None:
    usage = {"input_tokens": 5, "output_tokens": 1, "total_tokens": 6, "input_tokens_details": {}}
    found = counted({**usage, "output_tokens_details": {"reasoning_tokens": 9}})
    assert found is not None
    assert found["input_tokens_details"] == {"cached_tokens": 0}
    assert found["output_tokens_details"] == {"reasoning_tokens": 1}
