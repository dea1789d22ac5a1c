"""Ways through the tables: the shortest one, made of nothing but events that may be made up."""

from __future__ import annotations

import pytest

from responses_stream import lifecycle
from responses_stream.agents.repairing_routes import route, route_to_end
from responses_stream.lifecycle import ITEMS, OPEN, VALUE_DONE


@pytest.mark.parametrize("wanted", ["completed", "incomplete", "failed", None])
@pytest.mark.parametrize("failed", [False, True])
def test_an_item_can_be_ended_from_wherever_it_is(wanted: str | None, failed: bool) -> None:
    for grammar in ITEMS.values():
        for state in grammar.steps:
            # What is incomplete is the last item, and each type can do without it.
            assert route_to_end(grammar, state, wanted, failed=failed, last=False)[1] != "incomplete"
            way, status = route_to_end(grammar, state, wanted, failed=failed)
            last = state
            for name in way:
                assert not name.endswith((".delta", ".partial_image"))
                last = grammar.steps[last][name]
            assert status in grammar.ends[last]


def test_the_way_is_the_shortest() -> None:
    chain = "response.web_search_call"
    assert route_to_end(ITEMS["web_search_call"], OPEN, "completed", failed=False) == (
        (f"{chain}.in_progress", f"{chain}.searching", f"{chain}.completed"),
        "completed",
    )
    assert route_to_end(ITEMS["web_search_call"], OPEN, "failed", failed=False) == ((), "failed")


def test_a_failure_is_made_up_only_where_one_is_meant() -> None:
    listing, failing = ITEMS["mcp_list_tools"], "response.mcp_list_tools.failed"
    assert failing not in route_to_end(listing, OPEN, None, failed=False)[0]
    assert route_to_end(listing, OPEN, "failed", failed=True)[0][-1] == failing
    assert route(listing.steps, OPEN, lambda state: state == lifecycle.BROKEN) is None


def test_there_is_no_way_back() -> None:
    steps = ITEMS["function_call"].steps
    assert route(steps, VALUE_DONE, lambda state: state == OPEN) is None
    assert route(steps, OPEN, lambda state: state == VALUE_DONE) == ("response.function_call_arguments.done",)
