"""A report: what it says to people and to programs."""

from __future__ import annotations

import json

import attrs
import pytest

from responses_stream import Report, Violation, validate_events
from responses_stream.validation import RULES
from responses_stream.validation.examples import frame_of, stream_of

BROKEN = stream_of("V1: drop 3; drop 8")


def violation(rule: str = "R014", severity: str = "error", index: int = 4) -> Violation:
    told = {"path": "$.content_index", "message": "is -1", "expected": "an integer from 0", "hint": "Count from 0."}
    return Violation(rule=rule, severity=severity, index=index, **told)  # type: ignore[arg-type]


def test_a_report_is_ok_without_an_error() -> None:
    assert Report(events=3, profile="strict").ok
    assert Report(events=3, profile="strict", violations=(violation(severity="warning"),)).ok
    assert not Report(events=3, profile="strict", violations=(violation(severity="warning"), violation())).ok
    assert Report(events=3, profile="strict", omitted=2).ok
    assert not Report(events=3, profile="strict", omitted=2, errors_omitted=True).ok


def test_a_violation_says_what_where_and_the_way_out() -> None:
    [found, end] = validate_events("".join(map(frame_of, BROKEN))).violations
    rule = RULES["R093"]
    assert (found.rule, found.severity, found.index, found.path) == ("R093", "error", 3, "$.type")
    assert "response.output_text.delta" in found.message
    assert found.expected == "response.content_part.added"
    assert found.hint == rule.hint
    assert set(found.clients) == {breakage.client for breakage in rule.clients}
    assert found.position == f"event 3, line 10, byte {found.offset}"
    assert end.position == "event 8"
    assert str(found).startswith(f"R093 error at {found.position}, $.type: response.output_text.delta")
    assert str(found).endswith("; expected response.content_part.added")
    assert str(attrs.evolve(found, expected="")).endswith("was added")


def test_it_is_plain_data_for_programs() -> None:
    report = validate_events(BROKEN, "lenient")
    told = json.loads(json.dumps(report.as_dict()))
    assert list(told) == ["ok", "events", "profile", "violations"]
    assert (told["ok"], told["events"], told["profile"]) == (False, 8, "lenient")
    first = told["violations"][0]
    assert list(first) == ["rule", "severity", "index", "path", "message", "expected", "hint", "clients"]
    assert (first["rule"], first["severity"], first["index"], first["path"]) == ("R093", "error", 3, "$.type")
    assert first["clients"] == list(report.violations[0].clients)


def test_it_is_text_for_people() -> None:
    assert str(validate_events(stream_of("V1"))) == "valid in profile strict: 10 events, 0 violations"
    head, *lines = str(validate_events(BROKEN)).splitlines()
    assert head == "not valid in profile strict: 8 events, 2 violations"
    assert [line.split()[0] for line in lines] == ["R093", "R029"]
    assert str(validate_events([])).splitlines()[0] == "not valid in profile strict: 0 events, 1 violation"
    one = Report(events=1, profile="azure", violations=(violation(),), omitted=4, errors_omitted=True)
    assert str(one).splitlines()[0] == "not valid in profile azure: 1 event, 5 violations"
    assert str(one).splitlines()[-1] == "  and 4 more, with errors"


def test_it_does_not_change() -> None:
    report = validate_events(BROKEN)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        report.events = 3  # type: ignore[misc]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        report.violations[0].rule = "R001"  # type: ignore[misc]
    assert report == validate_events(BROKEN)
    assert hash(report) == hash(validate_events(BROKEN))


def test_a_client_is_named_once() -> None:
    for rule in RULES.values():
        found = validate_events(rule.breaks.source, select=[rule.id], **rule.breaks.settings).violations
        for one in found:
            assert len(set(one.clients)) == len(one.clients)
