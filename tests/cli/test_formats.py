"""The formats of a verdict: each says the same, and nothing that a server sent can break out of it."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from responses_stream.cli.formats import WRITERS, HumanWriter, Writer
from responses_stream.cli.formats.writer import rule_address
from responses_stream.cli.validate import _FORMATS as CHOICES
from responses_stream.cli.verdicts import Source, Verdict
from responses_stream.validation import RULES, Violation

ROOT: Final = Path(__file__).resolve().parents[2]
FILE: Final = Source("a b/capture.sse", is_file=True)
ENTRY: Final = Source("capture.har", "entries[3] POST https://x/v1/responses", is_file=True)
URL: Final = Source("https://x/v1/responses?a=b c")


def violation(rule: str = "R014", severity: str = "error", **members: Any) -> Violation:
    given: dict[str, Any] = {
        "rule": rule,
        "severity": severity,
        "index": 4,
        "path": "$.output_index",
        "message": "is -1",
        "expected": "an integer from 0",
        "hint": "Count from 0.",
        "clients": ("client one", "client two"),
        "line": 13,
        "offset": 512,
    }
    return Violation(**{**given, **members})


def verdict(source: Source, *found: Violation, error: str | None = None, more: int = 0) -> Verdict:
    errors = sum(one.severity == "error" for one in found)
    return Verdict(
        source,
        "strict",
        events=10,
        shown=list(found),
        errors=errors + more,
        warnings=len(found) - errors,
        error=error,
    )


def written(form: str, *verdicts: Verdict) -> str:
    """What a format makes of verdicts."""
    out = io.StringIO()
    writer = WRITERS[form](out)
    for one in verdicts:
        for found in one.shown:
            writer.violation(one.source, found)
        writer.end(one)
    writer.close()
    return out.getvalue()


MIXED: Final = (
    verdict(
        FILE,
        violation(),
        violation("R030", index=7, line=20, offset=900),
        violation("R014", index=8),
        violation("R008", "warning"),
    ),
    verdict(ENTRY, violation()),
    verdict(URL, violation("R029", line=None, offset=None, clients=(), expected="")),
    verdict(Source("good.sse", is_file=True)),
    verdict(Source("none", is_file=True), error="it cannot be read"),
)


def test_the_command_line_offers_the_formats_that_there_are() -> None:
    assert tuple(WRITERS) == CHOICES


# Human.


def test_people_get_blocks_that_begin_as_those_of_compilers() -> None:
    assert written("human", *MIXED[:2]) == (
        f"a b/capture.sse:13: event 4, byte 512: error R014 {RULES['R014'].title}\n"
        "  at        $.output_index\n"
        "  seen      is -1\n"
        "  expected  an integer from 0\n"
        "  hint      Count from 0.\n"
        "  breaks    client one, client two\n"
        "\n"
        + written("human", verdict(FILE, *MIXED[0].shown[1:])).partition("a b/capture.sse: not valid")[0]
        + "a b/capture.sse: not valid in profile strict: 10 events, 3 errors, 1 warning\n"
        f"capture.har: event 4, line 13, byte 512: error R014 {RULES['R014'].title}\n"
        "  in        entries[3] POST https://x/v1/responses\n"
        "  at        $.output_index\n"
        "  seen      is -1\n"
        "  expected  an integer from 0\n"
        "  hint      Count from 0.\n"
        "  breaks    client one, client two\n"
        "\n"
        "capture.har entries[3] POST https://x/v1/responses: not valid in profile strict: 10 events, 1 error,"
        " 0 warnings\n"
        "2 inputs: 2 not valid\n"
    )


def test_what_is_not_known_of_a_violation_is_left_out() -> None:
    assert written("human", MIXED[2]).splitlines()[:4] == [
        f"https://x/v1/responses?a=b c: event 4: error R029 {RULES['R029'].title}",
        "  at        $.output_index",
        "  seen      is -1",
        "  hint      Count from 0.",
    ]


def test_colors_mark_what_matters_and_change_no_word() -> None:
    out = io.StringIO()
    writer = HumanWriter(out)
    writer.color = True
    for one in MIXED:
        for found in one.shown:
            writer.violation(one.source, found)
        writer.end(one)
    writer.close()
    assert "\x1b[1;31merror R014\x1b[0m" in out.getvalue()
    assert "\x1b[1;33mwarning R008\x1b[0m" in out.getvalue()
    assert "\x1b[1;32mvalid in profile" in out.getvalue()
    assert re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue()) == written("human", *MIXED)


# JSON.


def test_json_of_one_input_is_an_object_and_of_several_a_list_with_sources() -> None:
    one = json.loads(written("json", MIXED[1]))
    assert one == {
        "ok": False,
        "events": 10,
        "profile": "strict",
        "violations": [
            {
                "rule": "R014",
                "severity": "error",
                "index": 4,
                "path": "$.output_index",
                "message": "is -1",
                "expected": "an integer from 0",
                "hint": "Count from 0.",
                "clients": ["client one", "client two"],
            }
        ],
    }
    several = json.loads(written("json", *MIXED))
    assert several[1] == {"source": "capture.har entries[3] POST https://x/v1/responses", **one}
    assert [report["ok"] for report in several] == [False, False, False, True, False]
    assert several[4]["error"] == "it cannot be read"


def test_violations_that_are_not_shown_count_all_the_same() -> None:
    hidden = verdict(FILE, violation("R008", "warning"), more=5)
    assert json.loads(written("json", hidden))["ok"] is False
    assert "; 5 of them not shown, --max 0 shows all" in written("human", hidden)
    assert ET.fromstring(written("junit", hidden)).attrib["failures"] == "1"


# SARIF.


def test_sarif_has_the_structure_that_its_schema_demands() -> None:
    log = json.loads(written("sarif", *MIXED))
    assert (log["version"], urlsplit(log["$schema"]).path.rsplit("/", 1)[1]) == ("2.1.0", "sarif-2.1.0.json")
    assert set(log) == {"$schema", "version", "runs"}
    [run] = log["runs"]
    driver = run["tool"]["driver"]
    assert (driver["name"], set(run)) == (
        "responses-stream",
        {"tool", "invocations", "columnKind", "results"},
    )
    assert [rule["id"] for rule in driver["rules"]] == ["R008", "R014", "R029", "R030"]
    for rule in driver["rules"]:
        assert set(rule) == {
            *("id", "shortDescription", "fullDescription", "help", "helpUri", "defaultConfiguration"),
        }
        assert rule["fullDescription"]["text"].startswith(RULES[rule["id"]].title)
        assert rule["help"]["text"].startswith(RULES[rule["id"]].hint)
    [invocation] = run["invocations"]
    assert invocation["executionSuccessful"] is False
    [notification] = invocation["toolExecutionNotifications"]
    assert (notification["level"], notification["message"]["text"]) == ("error", "none: it cannot be read")


def test_sarif_says_where_each_violation_is() -> None:
    results = json.loads(written("sarif", *MIXED))["runs"][0]["results"]
    rules = json.loads(written("sarif", *MIXED))["runs"][0]["tool"]["driver"]["rules"]
    ids = [result["ruleId"] for result in results]
    assert ids == ["R014", "R030", "R014", "R008", "R014", "R029"]
    assert [id for id, result in zip(ids, results, strict=True) if result["level"] == "warning"] == ["R008"]
    assert all(rules[result["ruleIndex"]]["id"] == result["ruleId"] for result in results)
    assert results[0]["message"] == {"text": "is -1; expected an integer from 0"}
    places = [result["locations"][0]["physicalLocation"] for result in results]
    assert places[0] == {
        "artifactLocation": {"uri": "a%20b/capture.sse"},
        "region": {"startLine": 13, "byteOffset": 512},
    }
    # In an entry of a HAR file, and where no line is known, there is no place in the file.
    assert places[4] == {"artifactLocation": {"uri": "capture.har"}}
    assert places[5] == {"artifactLocation": {"uri": "https://x/v1/responses?a=b%20c"}}
    name = results[4]["locations"][0]["logicalLocations"][0]["fullyQualifiedName"]
    assert name == "entries[3] POST https://x/v1/responses, event 4 $.output_index"


def test_sarif_of_good_inputs_says_that_all_went_well() -> None:
    [run] = json.loads(written("sarif", MIXED[3]))["runs"]
    assert (run["results"], run["tool"]["driver"]["rules"]) == ([], [])
    assert run["invocations"] == [{"executionSuccessful": True, "toolExecutionNotifications": []}]


def test_the_address_of_a_rule_is_a_heading_of_the_page() -> None:
    page = (ROOT / "docs" / "rules.md").read_text()
    anchors = set()
    for heading in re.findall(r"^#+ (.*)$", page, re.M):
        text = re.sub(r"[`\\]", "", heading).lower()
        anchors.add("".join(char for char in text if char.isalnum() or char in "-_ ").replace(" ", "-"))
    for rule in RULES:
        address, _, anchor = rule_address(rule).partition("#")
        assert (address, anchor in anchors) == ("docs/rules.md", True), anchor


# JUnit.


def test_junit_has_a_suite_for_each_input_and_a_case_for_each_rule() -> None:
    root = ET.fromstring(written("junit", *MIXED))
    assert root.attrib == {"tests": "7", "failures": "4", "errors": "1"}
    suites = root.findall("testsuite")
    assert [(suite.attrib["name"], suite.attrib["tests"], suite.attrib["failures"]) for suite in suites] == [
        ("a b/capture.sse", "3", "2"),
        ("capture.har entries[3] POST https://x/v1/responses", "1", "1"),
        ("https://x/v1/responses?a=b c", "1", "1"),
        ("good.sse", "1", "0"),
        ("none", "1", "0"),
    ]
    first, second, warned = suites[0].findall("testcase")
    assert first.attrib["name"] == f"R014 {RULES['R014'].title}"
    failure = first.find("failure")
    assert failure is not None
    assert failure.attrib == {"message": "is -1", "type": "R014"}
    assert (failure.text or "").splitlines() == [
        *(str(found) for found in MIXED[0].shown if found.rule == "R014"),
        "breaks: client one, client two",
        "hint: Count from 0.",
    ]
    assert second.find("failure") is not None
    assert (warned.find("failure"), (warned.findtext("system-out") or "")[:12]) == (None, "R008 warning")
    assert [case.attrib["name"] for case in suites[3].findall("testcase")] == ["valid in profile strict"]
    error = suites[4].find("testcase/error")
    assert error is not None
    assert error.attrib["message"] == "it cannot be read"


# GitHub.


def test_github_gets_a_command_for_each_violation() -> None:
    commands = [line for line in written("github", *MIXED).splitlines() if line.startswith("::")]
    assert len(commands) == 7
    assert commands[0] == (
        f"::error file=a b/capture.sse,line=13,title=R014::{RULES['R014'].title}. Event 4, $.output_index: is -1;"
        " expected an integer from 0.%0AHint: Count from 0.%0ABreaks: client one, client two"
    )
    assert commands[3].startswith("::warning file=a b/capture.sse,line=13,title=R008::")
    assert commands[4].startswith("::error file=capture.har,title=R014::capture.har entries[3] POST https://x")
    assert commands[5].startswith("::error title=R029::https://x/v1/responses?a=b c: ")
    assert commands[6] == "::error file=none,title=unusable input::none: it cannot be read"


def test_github_escapes_what_would_end_a_value() -> None:
    hostile = Source("a,b:c%\n::d", is_file=True)
    [command, *_] = written("github", verdict(hostile, violation(message="50%\r\n::error::x"))).splitlines()
    assert command.startswith("::error file=a%2Cb%3Ac%25%0A%3A%3Ad,line=13,title=R014::")
    assert "50%25%0D%0A::error::x" in command


# All.

HOSTILE = st.text(st.characters(), max_size=30) | st.sampled_from(
    [
        "\x1b]0;title\x07",
        "::error::x",
        "]]>",
        "</failure>",
        "\ud800",
        "\0",
        "\r\n::set-output name=x::y",
        "\u2028",
        "&#0;",
    ]
)


@given(HOSTILE, HOSTILE, HOSTILE)
def test_nothing_that_a_server_sent_breaks_out_of_a_format(message: str, name: str, error: str) -> None:
    told = verdict(Source(name), violation(message=message, path=message, expected=message), error=error)
    assert json.loads(written("json", told))["violations"][0]["message"] == message
    assert json.loads(written("sarif", told))["runs"][0]["results"][0]["locations"]
    root = ET.fromstring(written("junit", told))
    assert [case.tag for case in root.findall("testsuite/*")] == ["testcase", "testcase", "system-out"]
    github = written("github", told).split("\n")
    assert [line.startswith("::") for line in github] == [True, True, False, False]
    first, *lines, gap, last, end = written("human", told).split("\n")
    assert all(line.isprintable() for line in (first, *lines, last))
    assert all(line.startswith("  ") for line in lines)
    assert (gap, end, ": unusable: " in last) == ("", "", True)


@pytest.mark.parametrize("form", WRITERS)
def test_a_verdict_is_told_even_if_nothing_was_found(form: str) -> None:
    assert written(form, MIXED[3])
    assert written(form, MIXED[4])


def test_a_writer_collects_what_it_is_told() -> None:
    make: Callable[[io.StringIO], Writer] = Writer
    writer = make(io.StringIO())
    writer.violation(FILE, violation())
    writer.end(MIXED[0])
    writer.close()
    assert (writer.verdicts, writer.out.getvalue()) == ([MIXED[0]], "")  # type: ignore[attr-defined]
    assert attrs.evolve(FILE, part="x") != FILE
