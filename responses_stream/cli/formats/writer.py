"""`Writer`: what every format can do. The formats that are one document say nothing before `close`."""

from __future__ import annotations

import re
from typing import Final, TextIO

from responses_stream.cli.verdicts import Source, Verdict
from responses_stream.validation import RULES
from responses_stream.validation.report import Violation

RULES_PAGE: Final = "docs/rules.md"
"""The page that explains the rules."""

_NOT_IN_AN_ANCHOR: Final = re.compile(r"[^\w\- ]")


class Writer:
    """Writes what is found to *out*, while it is found. This one collects the verdicts and writes nothing."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.verdicts: list[Verdict] = []

    def violation(self, source: Source, violation: Violation) -> None:
        """Take a violation that is to be told."""

    def end(self, verdict: Verdict) -> None:
        """Take the verdict on one input."""
        self.verdicts.append(verdict)

    def close(self) -> None:
        """Take notice that there are no more inputs."""


def rule_address(rule: str) -> str:
    """Return where a rule is explained: its heading on the page, by the anchor that GitHub gives it."""
    heading = f"{rule}: {RULES[rule].title}"
    return f"{RULES_PAGE}#{_NOT_IN_AN_ANCHOR.sub('', heading.lower()).replace(' ', '-')}"


def on_one_line(text: str) -> str:
    """Return *text* without control characters: what a server sent shall not drive a terminal or begin a line."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
