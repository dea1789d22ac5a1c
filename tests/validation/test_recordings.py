"""Streams of real services are taken in profile `lenient`, and say of themselves what their last event says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from responses_stream import Accumulator, accumulate
from responses_stream.protocol.codec import from_json, to_builtins
from responses_stream.validation import EventValidator, validate_events
from responses_stream.validation.examples import Json, frame_of
from responses_stream.validation.findings import Findings
from responses_stream.validation.structure import judge_structure

ROOT: Final = Path(__file__).resolve().parents[2]
RECORDINGS: Final = ROOT.parent / "shared" / "recordings"
EXAMPLES: Final = ROOT / "tests" / "protocol" / "examples"
TERMINAL: Final = ("response.completed", "response.failed", "response.incomplete")

_FILES: Final = sorted(RECORDINGS.glob("*.jsonl"))
EACH: Final = pytest.mark.parametrize("path", _FILES, ids=lambda path: path.name)
THERE: Final = pytest.mark.skipif(not _FILES, reason=f"{RECORDINGS} is data of others, and no part of this repository")


def events_of(path: Path) -> list[Json]:
    return [from_json(line) for line in path.read_bytes().splitlines() if line.strip()]


def responses_in(events: list[Json]) -> list[list[Json]]:
    """The responses of a recording, which may hold several behind one another."""
    found: list[list[Json]] = []
    for event in events:
        if event["type"] == "response.created" or not found:
            found.append([])
        found[-1].append(event)
    return found


@THERE
def test_there_are_recordings_of_many_kinds() -> None:
    kinds = {event["item"]["type"] for path in _FILES for event in events_of(path) if "item" in event}
    assert kinds >= {"message", "reasoning", "custom_tool_call", "file_search_call", "web_search_call", "shell_call"}


@THERE
@EACH
def test_a_recording_has_no_error_for_a_lenient_reader(path: Path) -> None:
    report = validate_events(path, "lenient")
    assert [str(violation) for violation in report.violations if violation.severity == "error"] == []
    assert report.events == len(events_of(path))
    assert report.dialect is None


@THERE
@EACH
@pytest.mark.parametrize("profile", ["lenient", "openai"])
def test_a_recording_is_judged_alike_in_every_form(path: Path, profile: Any) -> None:
    events = events_of(path)
    expected = [
        (violation.rule, violation.index, violation.path) for violation in validate_events(path, profile).violations
    ]
    forms: list[Any] = [path.read_text(encoding="utf-8"), json.dumps(events), json.dumps(events, indent=1)]
    # Several responses in one body of SSE are no stream; `lenient` alone goes on with the next.
    if len(responses_in(events)) == 1 or profile == "lenient":
        forms += ["".join(map(frame_of, events)), events]
    for source in forms:
        found = validate_events(source, profile).violations
        assert [(violation.rule, violation.index, violation.path) for violation in found] == expected


@THERE
@EACH
def test_a_recording_folds_to_the_response_of_its_last_event(path: Path) -> None:
    for events in responses_in(events_of(path)):
        last = events[-1]
        if last["type"] not in TERMINAL:
            continue
        folder = Accumulator()
        for event in events:
            folder.feed(event)
        for response in (accumulate(events), folder.response):
            assert response is not None
            assert _comparable(to_builtins(response)) == _comparable(last["response"])


def _comparable(value: Any) -> Any:
    """A value without what may be encrypted anew for each event."""
    if isinstance(value, Mapping):
        return {name: _comparable(member) for name, member in value.items() if name != "encrypted_content"}
    return [_comparable(element) for element in value] if isinstance(value, list) else value


@THERE
@EACH
def test_a_recording_may_be_replayed_from_every_cursor(path: Path) -> None:
    for events in responses_in(events_of(path)):
        numbers = [event.get("sequence_number", -1) for event in events]
        if numbers != sorted(set(numbers)):
            continue  # there is no cursor without numbers
        for at in range(0, len(events), max(1, len(events) // 20)):
            report = validate_events(
                events[at + 1 :], "lenient", starting_after=numbers[at], original=events, ignore=["R191"]
            )
            assert [str(violation) for violation in report.violations if violation.severity == "error"] == []


# What stands in this repository: one event of each type, with all that it may hold.


def test_each_example_of_an_event_is_built_as_its_type_wants_it() -> None:
    events = events_of(EXAMPLES / "events.jsonl")
    assert len({event["type"] for event in events}) > 60
    for event in events:
        findings = Findings("strict")
        judge_structure(event, event["type"], findings)
        assert [str(violation) for violation in findings.take()] == [], event["type"]


def test_no_example_of_an_event_is_taken_for_another_protocol() -> None:
    for event in events_of(EXAMPLES / "events.jsonl"):
        validator = EventValidator()
        validator.feed(event)
        assert validator.dialect is None


@pytest.mark.parametrize("name", ["items", "parts", "annotations", "logprobs", "bodies"])
def test_other_examples_are_no_streams(name: str) -> None:
    report = validate_events(EXAMPLES / f"{name}.jsonl")
    assert not report.ok
    assert report.events == len(events_of(EXAMPLES / f"{name}.jsonl"))
