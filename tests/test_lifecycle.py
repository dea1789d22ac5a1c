"""The tables of order: closed, reachable, and what they refuse they refuse with a way out (style.md section 7)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responses_stream import OutOfOrder, lifecycle
from responses_stream.lifecycle import INPUT_ONLY, ITEMS, PARTS, RESPONSE, Grammar, Table, grammar_of, step_part

TABLES: dict[str, tuple[Table, str]] = {
    "response": (RESPONSE, lifecycle.BEFORE),
    **{f"part {name}": (table, lifecycle.ABSENT) for name, table in PARTS.items()},
    **{f"item {name}": (grammar.steps, lifecycle.OPEN) for name, grammar in ITEMS.items()},
}
by_name = pytest.mark.parametrize(("table", "start"), TABLES.values(), ids=TABLES)


def reached_from(table: Table, start: str) -> set[str]:
    reached, new = set[str](), {start}
    while new:
        reached |= new
        new = {state for one in new for state in table[one].values()} - reached
    return reached


@by_name
def test_every_step_leads_to_a_state_of_the_table(table: Table, start: str) -> None:
    assert {state for steps in table.values() for state in steps.values()} <= set(table)
    assert start in table


@by_name
def test_every_state_can_be_reached(table: Table, start: str) -> None:
    # A stream that goes on from stored items begins elsewhere (H17.20).
    assert set(table) == reached_from(table, start) | ({"resumed"} if table is RESPONSE else set())


@pytest.mark.parametrize("part_type", PARTS)
@given(data=st.data())
def test_what_a_refusal_advises_is_always_possible(part_type: str, data: st.DataObject) -> None:
    table = PARTS[part_type]
    state = lifecycle.ABSENT
    for name in data.draw(st.lists(st.sampled_from(sorted(lifecycle.ROLES)), max_size=12)):
        if name in table[state]:
            state = step_part(part_type, state, name, "the part")
            continue
        with pytest.raises(OutOfOrder) as refused:
            step_part(part_type, state, name, "the part")
        assert (refused.value.called, refused.value.state) == (name, f"the part {state}")
        assert re.fullmatch(r"R\d{3}", refused.value.reason)
        for advised in refused.value.allowed:
            step_part(part_type, state, advised, "the part")


def test_nothing_follows_the_end() -> None:
    assert not RESPONSE[lifecycle.ENDED]
    assert not lifecycle.allowed_in(lifecycle.ENDED, items_open=False)
    with pytest.raises(OutOfOrder, match="allowed now: nothing, it is closed"):
        step_part("refusal", lifecycle.CLOSED, lifecycle.PART_DONE, "the part")


def test_every_live_state_leads_to_an_end() -> None:
    for state in RESPONSE:
        assert lifecycle.ENDED in reached_from(RESPONSE, state)


def test_only_failed_follows_an_error() -> None:
    assert set(RESPONSE[lifecycle.ERRORED]) == {lifecycle.FAILED}  # R171, R172


@pytest.mark.parametrize("grammar", ITEMS.values(), ids=ITEMS)
def test_an_item_can_always_be_ended_with_a_status_of_its_type(grammar: Grammar) -> None:
    assert set(grammar.ends) <= set(grammar.steps)
    ends = set().union(*grammar.ends.values())
    assert ends
    if grammar.statuses:
        assert ends - {None} <= grammar.statuses & lifecycle.FINAL  # R077, R078
    for state in grammar.steps:
        assert reached_from(grammar.steps, state) & set(grammar.ends), f"no end can be reached from {state}"


@pytest.mark.parametrize("grammar", ITEMS.values(), ids=ITEMS)
def test_the_parts_of_an_item_have_tables(grammar: Grammar) -> None:
    for kinds in grammar.parts.values():
        assert kinds <= set(PARTS)


def test_types_that_are_input_only_have_no_grammar() -> None:
    assert not INPUT_ONLY & set(ITEMS)  # R080


def test_an_unknown_item_is_added_and_done() -> None:
    grammar = grammar_of("acme:thing")
    assert not grammar.streams
    assert grammar.ends[lifecycle.OPEN] >= {None, "completed"}


def test_completed_needs_the_last_event_of_a_search() -> None:
    for kind in ("file_search_call", "web_search_call"):
        grammar = ITEMS[kind]
        assert [state for state, ends in grammar.ends.items() if "completed" in ends] == ["completed"]  # R150, R156


@by_name
def test_what_the_tables_of_the_response_and_of_items_refuse_breaks_a_rule(table: Table, start: str) -> None:
    assert start
    names = sorted({name for steps in table.values() for name in steps})
    for state in table:
        for name in (name for name in names if name not in table[state]):
            if table is RESPONSE:
                assert re.match(r"R\d{3}", lifecycle.broken_by(state, name)), (state, name)
            for part_type in (kind for kind, one in PARTS.items() if one is table):
                assert re.match(r"R\d{3}", lifecycle.broken_in_part(part_type, state, name)), (state, name)


@pytest.mark.parametrize("grammar", ITEMS.values(), ids=ITEMS)
def test_what_an_item_refuses_breaks_a_rule(grammar: Grammar) -> None:
    names = {name for steps in grammar.steps.values() for name in steps}
    for state in (lifecycle.ABSENT, lifecycle.CLOSED, *grammar.steps):
        for name in (*names, lifecycle.ITEM_ADDED, lifecycle.ITEM_DONE, "response.output_text.delta"):
            assert re.match(r"R\d{3}", lifecycle.broken_in_item(grammar, state, name)), (state, name)


@pytest.mark.parametrize("items_open", [False, True])
def test_what_is_allowed_depends_on_open_items(items_open: bool) -> None:
    for state, steps in RESPONSE.items():
        allowed = lifecycle.allowed_in(state, items_open)
        assert set(allowed) <= set(steps)
        assert not (items_open and {lifecycle.COMPLETED, lifecycle.INCOMPLETE} & set(allowed))  # R079, R088
        assert items_open or not {lifecycle.INSIDE_ITEM, lifecycle.ITEM_DONE, lifecycle.ITEM_CUT} & set(allowed)


def test_a_step_out_of_the_table_says_where_what_and_what_instead() -> None:
    with pytest.raises(OutOfOrder) as refused:
        step_part("output_text", lifecycle.ABSENT, "response.output_text.delta", "part 0 of msg_1")
    assert (refused.value.called, refused.value.state, refused.value.allowed, refused.value.reason) == (
        "response.output_text.delta",
        "part 0 of msg_1 absent",
        ("response.content_part.added",),
        "R093",
    )
    assert str(refused.value) == (
        "response.output_text.delta in state part 0 of msg_1 absent (R093); allowed now: response.content_part.added"
    )
