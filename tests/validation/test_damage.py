"""One thing is done to a legal stream: it is told, once, and in time; and an independent judge agrees."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from responses_stream.validation import Report, validate_events
from responses_stream.validation.examples import names, stream_of

from ..builders import oracle
from ..builders.programs import Program, as_dicts, programs
from .damage import KINDS, Damage, Json

# What the judge of the builders calls wrong because they promise it, and the catalogue a warning.
PROMISED: Final = {"R047", "R105", "R119"}
# A value without any delta is one cause, and one rule here (R105); to the other judge it is also unlike its deltas.
WITHOUT_DELTAS: Final = {"R102", "R128", "R141", "R157", "R158"}
# in_progress twice is a warning here (R146), because services do it; to the other judge it breaks the chain.
CHAINS: Final = {"R147", "R149", "R152", "R154"}
# What may be missing without anybody missing it: it is optional, or may be null or anything.
OPTIONAL: Final[set[object]] = {
    *("completed_at", "usage", "top_p", "temperature", "metadata", "instructions", "error", "incomplete_details"),
    *("logprobs", "cache_write_tokens", "input_tokens_details", "output_tokens_details", "cached_tokens"),
    *("results", "outputs", "environment", "max_output_length", "timeout_ms", "content", "code", "status", "name"),
    *("param", "code", "type", "url", "title", "start_index", "end_index", "query", "action", "id", "item_id"),
    *("encrypted_content", "stderr", "outcome", "exit_code", "annotation", ("item", "output")),
}


def errors_of(report: Report) -> list[str]:
    return [violation.rule for violation in report.violations if violation.severity == "error"]


def disagreement(damaged: Sequence[Json], report: Report) -> set[str]:
    """Return the rules that the independent judge finds broken, where the report says that the stream is valid."""
    if report.ok:
        found = {violation.rule for violation in report.violations}
        broken = oracle.rules(oracle.judge(damaged)) - PROMISED
        return broken - (WITHOUT_DELTAS if "R105" in found else set()) - (CHAINS if "R146" in found else set())
    return set()


def first_of(said: Sequence[str]) -> int:
    """Return the event of the first breach that the independent judge tells."""
    return min(int(one.partition("event ")[2].partition(":")[0]) for one in said)


def can_be_judged(damaged: Sequence[Json]) -> bool:
    """The independent judge reads what is roughly built as it should be."""
    try:
        oracle.judge(damaged)
    except (TypeError, AttributeError, KeyError, ValueError):
        return False
    return True


def damages(name: str, most: int | None) -> Iterator[tuple[list[Json], Damage]]:
    """Yield the damages to a base stream; of each kind not more than *most*, the same ones in each run."""
    events, chance = stream_of(name), random.Random(name)
    for kind in KINDS.values():
        every = list(kind(events))
        yield from ((events, one) for one in (every if most is None else chance.sample(every, min(most, len(every)))))


def was_null(events: Sequence[Json], damage: Damage) -> bool:
    """Whether a member is gone that was null: that is as good as absent (R181)."""
    held: object = events[damage.at]
    for key in damage.path:
        held = held[key]  # type: ignore[index] # the path leads through objects and arrays
    return damage.kind == "delete a member" and held is None


def check(events: Sequence[Json], damage: Damage) -> None:
    if was_null(events, damage):
        return
    damaged = damage.done_to(events)
    report = validate_events(damaged)
    errors = errors_of(report)
    # One cause is one violation; two where one event stands in for another, or a swap puts two out of place; and
    # members whose values were exchanged are two wrong ones in themselves.
    assert len(errors) <= (4 if damage.kind == "exchange members" else 2), f"{damage}: {report}"
    assert all(0 <= violation.index <= len(damaged) for violation in report.violations)
    if can_be_judged(damaged):
        assert not disagreement(damaged, report), f"{damage}: {report}"
        said = oracle.judge(damaged)
        if said and errors and damage.kind not in ("exchange members", "set to a wrong type"):
            first = next(violation.index for violation in report.violations if violation.severity == "error")
            assert first <= first_of(said) + 1, f"{damage}: {report}, but {said[:2]}"
    if damage.kind in ("drop", "duplicate", "renumber", "truncate") and not damage.numbered:
        # The numbers tell, whatever else does; and a stream that was cut has no end.
        assert not report.ok, f"{damage}: {report}"
        assert report.violations[0].index <= damage.at + 1
    if damage.kind in ("delete a member", "cut a text") and not OPTIONAL & {damage.path[-1], damage.path[-2:]}:
        assert report.violations, f"{damage}: nothing is told"


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if at % 3 else []) for at, name in enumerate(names())]
)
def test_damage_to_a_base_stream_is_told(name: str) -> None:
    for events, damage in damages(name, 25):
        check(events, damage)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", names())
def test_all_damage_to_a_base_stream_is_told(name: str) -> None:
    for events, damage in damages(name, None):
        check(events, damage)


def check_program(program: Program, data: st.DataObject) -> None:
    events = as_dicts(program.events)
    if not events:
        return
    kind = data.draw(st.sampled_from(sorted(KINDS)))
    possible = list(KINDS[kind](events))
    if not possible:
        return
    damage = data.draw(st.sampled_from(possible))
    damaged = damage.done_to(events)
    report = validate_events(damaged)
    assert len(errors_of(report)) <= 3, f"{damage}: {report}"
    if can_be_judged(damaged):
        assert not disagreement(damaged, report), f"{damage}: {report}"


@pytest.mark.timeout(600)
@settings(deadline=None, max_examples=50, suppress_health_check=list(HealthCheck))
@given(programs(), st.data())
def test_damage_to_any_program_is_told(program: Program, data: st.DataObject) -> None:
    check_program(program, data)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(deadline=None, max_examples=5_000, suppress_health_check=list(HealthCheck))
@given(programs(), st.data())
def test_damage_to_thousands_of_programs_is_told(program: Program, data: st.DataObject) -> None:
    check_program(program, data)
