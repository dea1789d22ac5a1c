"""JUnit XML: a suite for each input, a case for each rule that is broken, and one that passes where none is."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Final
from xml.etree import ElementTree as ET

from responses_stream.cli.formats.writer import Writer
from responses_stream.cli.verdicts import Verdict
from responses_stream.validation import RULES
from responses_stream.validation.report import Violation

_CLASS: Final = "responses-stream"
# What XML 1.0 cannot hold, not even escaped.
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class JunitWriter(Writer):
    """Writes one XML document."""

    def close(self) -> None:
        """Write the document."""
        suites = [_suite(verdict) for verdict in self.verdicts]
        root = ET.Element("testsuites", _totals(suites))
        root.extend(suites)
        ET.indent(root)
        # Characters that the encoding of the output lacks become references.
        text = ET.tostring(root, encoding="us-ascii").decode("ascii")
        self.out.write(f"<?xml version='1.0' encoding='UTF-8'?>\n{text}\n")


def _suite(verdict: Verdict) -> ET.Element:
    by_rule: defaultdict[str, list[Violation]] = defaultdict(list)
    for violation in verdict.shown:
        by_rule[violation.rule].append(violation)
    cases = [_case(rule, found) for rule, found in by_rule.items()]
    if verdict.hidden:
        case = _element("testcase", classname=_CLASS, name="violations that are not shown")
        told = sum(violation.severity == "error" for violation in verdict.shown)
        kind = "failure" if verdict.errors > told else "system-out"
        case.append(_element(kind))
        case[0].text = verdict.summary
        cases.append(case)
    if verdict.error is not None:
        case = _element("testcase", classname=_CLASS, name="usable input")
        case.append(_element("error", message=verdict.error, type="unusable input"))
        cases.append(case)
    elif verdict.ok:
        cases.append(_element("testcase", classname=_CLASS, name=f"valid in profile {verdict.profile}"))
    suite = _element("testsuite", name=str(verdict.source))
    suite.extend(cases)
    suite.attrib |= {
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": str(sum(case.find("error") is not None for case in cases)),
        "skipped": "0",
    }
    said = _element("system-out")
    said.text = _xml("\n".join([*verdict.notes, verdict.summary]))
    suite.append(said)
    return suite


def _case(rule: str, found: Sequence[Violation]) -> ET.Element:
    case = _element("testcase", classname=_CLASS, name=f"{rule} {RULES[rule].title}")
    errors = [violation for violation in found if violation.severity == "error"]
    if errors:
        failure = _element("failure", message=errors[0].message, type=rule)
        failure.text = _xml(_told(errors))
        case.append(failure)
    if warnings := [violation for violation in found if violation.severity == "warning"]:
        said = _element("system-out")
        said.text = _xml(_told(warnings))
        case.append(said)
    return case


def _told(found: Sequence[Violation]) -> str:
    lines = [str(violation) for violation in found]
    if found[0].clients:
        lines.append(f"breaks: {', '.join(found[0].clients)}")
    return "\n".join([*lines, f"hint: {found[0].hint}"])


def _totals(suites: Sequence[ET.Element]) -> dict[str, str]:
    return {name: str(sum(int(suite.attrib[name]) for suite in suites)) for name in ("tests", "failures", "errors")}


def _element(tag: str, **attributes: str) -> ET.Element:
    return ET.Element(tag, {name: _xml(value) for name, value in attributes.items()})


def _xml(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
