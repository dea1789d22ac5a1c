"""SARIF 2.1.0, which code scanning and editors read: one run, the broken rules, and a result for each violation."""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import quote

from responses_stream._version import __version__
from responses_stream.cli.formats.writer import Writer, rule_address
from responses_stream.cli.verdicts import Source, Verdict
from responses_stream.validation import RULES
from responses_stream.validation.report import Violation

_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


class SarifWriter(Writer):
    """Writes one SARIF log."""

    def close(self) -> None:
        """Write the log."""
        found = [(verdict, violation) for verdict in self.verdicts for violation in verdict.shown]
        ids = sorted({violation.rule for _, violation in found})
        run = {
            "tool": {
                "driver": {
                    "name": "responses-stream",
                    "version": __version__,
                    "semanticVersion": __version__,
                    "rules": [_rule(id, found) for id in ids],
                }
            },
            "invocations": [
                {
                    "executionSuccessful": all(verdict.error is None for verdict in self.verdicts),
                    "toolExecutionNotifications": [
                        _notification(verdict) for verdict in self.verdicts if verdict.error is not None
                    ],
                }
            ],
            "columnKind": "unicodeCodePoints",
            "results": [_result(verdict, violation, ids.index(violation.rule)) for verdict, violation in found],
        }
        json.dump({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, self.out, indent=2)
        self.out.write("\n")


def _rule(id: str, found: list[tuple[Verdict, Violation]]) -> dict[str, Any]:
    rule = RULES[id]
    gravest = min(violation.severity for _, violation in found if violation.rule == id)
    clients = "".join(f"\n- {breakage.client}: `{breakage.error}`" for breakage in rule.clients)
    breaks = f"\n\nBreaks:\n{clients}" if clients else ""
    return {
        "id": id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": f"{rule.title}. {rule.why}"},
        "help": {
            "text": f"{rule.hint} Source: {rule.source}.",
            "markdown": f"{rule.hint}\n\nSource: {rule.source}.{breaks}",
        },
        "helpUri": rule_address(id),
        "defaultConfiguration": {"level": gravest},
    }


def _result(verdict: Verdict, violation: Violation, index: int) -> dict[str, Any]:
    expected = f"; expected {violation.expected}" if violation.expected else ""
    place: dict[str, Any] = {"artifactLocation": {"uri": _uri(verdict.source)}}
    # In a part of a file the lines are not those of the file.
    region = {"startLine": violation.line, "byteOffset": violation.offset}
    given = {name: value for name, value in region.items() if value is not None}
    if given and not verdict.source.part:
        place["region"] = given
    name = f"event {violation.index} {violation.path}"
    if verdict.source.part:
        name = f"{verdict.source.part}, {name}"
    return {
        "ruleId": violation.rule,
        "ruleIndex": index,
        "level": violation.severity,
        "message": {"text": f"{violation.message}{expected}"},
        "locations": [{"physicalLocation": place, "logicalLocations": [{"fullyQualifiedName": name}]}],
    }


def _notification(verdict: Verdict) -> dict[str, Any]:
    return {
        "level": "error",
        "message": {"text": f"{verdict.source}: {verdict.error}"},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": _uri(verdict.source)}}}],
    }


def _uri(source: Source) -> str:
    """A file is named as it was given, relative to where the tool ran; a URL is one already."""
    if "://" in source.name:
        return quote(source.name, safe=":/?#[]@!$&'()*+,;=%", errors="replace")
    return "stdin" if source.name == "-" else quote(source.name, errors="replace")
