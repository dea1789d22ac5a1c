"""What the builders can say is valid, however it is said and in whatever form it comes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from responses_stream.sse import encode_event
from responses_stream.validation import EventValidator, Report, validate_events

from ..builders.programs import Program, as_dicts, programs, random_calls

pytestmark = pytest.mark.timeout(600)
any_program = settings(deadline=None, max_examples=50, suppress_health_check=list(HealthCheck))
thousands = settings(any_program, max_examples=5_000)


def check(program: Program) -> None:
    events = as_dicts(program.events)
    for profile in ("strict", "lenient"):
        report = validate_events(events, profile)
        assert report.ok, report


def judged(pieces: list[Any]) -> Report:
    validator = EventValidator()
    for piece in pieces:
        validator.feed(piece)
    validator.finish()
    return validator.report


def told(report: Report) -> list[tuple[object, ...]]:
    """Return what a report says, but for the places in the text."""
    return [tuple(violation.as_dict().items())[:5] for violation in report.violations]


@any_program
@given(programs())
def test_no_program_breaks_a_rule(program: Program) -> None:
    check(program)


@any_program
@given(random_calls())
def test_calls_without_any_sense_break_no_rule_either(program: Program) -> None:
    if program.events:
        check(program)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(3))
def test_no_rule_is_broken_by_thousands_of_programs(part: int) -> None:
    @seed(part)
    @settings(thousands, database=None)
    @given(programs())
    def run(program: Program) -> None:
        check(program)

    run()


@pytest.mark.slow
@pytest.mark.timeout(1800)
@thousands
@given(random_calls())
def test_no_rule_is_broken_by_thousands_of_calls(program: Program) -> None:
    if program.events:
        check(program)


@any_program
@given(programs(), st.data())
def test_a_stream_is_judged_alike_in_every_form(program: Program, data: st.DataObject) -> None:
    events = as_dicts(program.events)
    if not events:
        return
    # One event may be missing, so that there is something to tell.
    gone = data.draw(st.integers(0, len(events)))
    typed = [event for at, event in enumerate(program.events) if at != gone]
    plain = [event for at, event in enumerate(events) if at != gone]
    expected = told(validate_events(plain))
    frames = b"".join(map(encode_event, typed))
    lines = b"".join(msgspec.json.encode(event) + b"\n" for event in plain)
    assert told(judged(list(typed))) == expected
    for text in (frames, lines):
        cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        assert told(judged(pieces)) == expected
    assert told(judged([msgspec.json.encode(plain)])) == expected
