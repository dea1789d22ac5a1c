"""Sequence numbers: what they tell of the order is believed, until they have told nonsense a few times."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from responses_stream.agents.repairing_numbers import Numbers
from responses_stream.agents.repairing_report import Json, Outlet, RepairReport


def ordered(numbers: Sequence[object]) -> tuple[list[int], tuple[str, ...]]:
    """Return the names of events in the order in which they are taken; each is called by its place."""
    report = RepairReport()
    order = Numbers(Outlet(report))
    events: list[Json] = [{"type": str(at), "sequence_number": number} for at, number in enumerate(numbers)]
    taken = [event["type"] for at, event in enumerate(events) for _, event in order.take(at, event)]
    taken += [event["type"] for _, event in order.rest()]
    return [int(name) for name in taken], report.rules


@pytest.mark.parametrize(
    ("numbers", "taken", "rules"),
    [
        ([0, 1, 2, 3], [0, 1, 2, 3], ()),
        # Two have changed places.
        ([0, 2, 1, 3], [0, 2, 1, 3], ("R022",)),
        ([1, 0, 2, 3], [1, 0, 2, 3], ("R022",)),
        ([0, 1, 3, 2], [0, 1, 3, 2], ("R022",)),
        # An event is gone, or all numbers are those of another stream.
        ([0, 1, 3, 4], [0, 1, 2, 3], ("R023",)),
        ([0, 1, 2, 9], [0, 1, 2, 3], ("R023",)),
        ([5, 6, 7, 8], [0, 1, 2, 3], ("R021",)),
        # One number is wrong.
        ([0, 9, 2, 3], [0, 1, 2, 3], ("R023",)),
        ([0, 1, 1, 3], [0, 1, 2, 3], ("R022",)),
        ([0, 0, 0, 0, 0], [0, 1, 2, 3, 4], ("R022",)),
        ([None, None, None, None], [0, 1, 2, 3], ("R012",)),
        ([0, 1, "2", True, 4], [0, 1, 2, 3, 4], ("R012",)),
    ],
)
def test_events_are_taken_in_the_order_that_their_numbers_tell(
    numbers: list[object], taken: list[int], rules: tuple[str, ...]
) -> None:
    assert ordered(numbers) == (taken, rules)


def test_an_event_that_comes_again_with_its_number_comes_once() -> None:
    report = RepairReport()
    order = Numbers(Outlet(report))
    events: list[Json] = [{"type": "a", "sequence_number": 0}, {"type": "b", "sequence_number": 1}]
    taken = [event for at, one in enumerate([*events, dict(events[-1])]) for _, event in order.take(at, one)]
    assert taken == events
    assert report.rules == ("R022",)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.none() | st.integers(-1, 6) | st.booleans(), max_size=12))
def test_whatever_the_numbers_each_event_is_taken_once_and_none_waits_long(numbers: list[object]) -> None:
    order = Numbers(Outlet(RepairReport()))
    taken: list[str] = []
    for at, number in enumerate(numbers):
        taken += [event["type"] for _, event in order.take(at, {"type": str(at), "sequence_number": number})]
        assert len(taken) >= at
    taken += [event["type"] for _, event in order.rest()]
    assert sorted(map(int, taken)) == list(range(len(numbers)))
