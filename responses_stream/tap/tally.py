"""The sum of what was seen, told when the tap is closed: how much passed, and which rules were broken how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import attrs

from responses_stream.validation import RULES
from responses_stream.validation.report import Violation


@attrs.define
class Tally:
    """Counts, over all exchanges.

    Attributes:
        exchanges: requests that were passed on.
        streams: answers that were judged.
        faulty: those of them with an error.
        unjudged: streams that could not be judged, or not to their end; also those that are among `streams`.
        violations: how often each rule was broken, by severity and rule.
    """

    exchanges: int = 0
    streams: int = 0
    faulty: int = 0
    unjudged: int = 0
    violations: Counter[tuple[str, str]] = attrs.field(factory=Counter)

    def found(self, violation: Violation) -> None:
        """Count a violation."""
        self.violations[violation.severity, violation.rule] += 1

    def judged(self, ok: bool) -> None:
        """Count a stream that has ended; *ok* where it had no error."""
        self.streams += 1
        self.faulty += not ok

    def lines(self) -> Iterator[str]:
        """Yield the sum, for people."""
        without = f", {self.unjudged} not judged to the end" if self.unjudged else ""
        streams = f"{plural(self.streams, 'stream')}, {self.faulty} with errors{without}"
        yield f"{plural(self.exchanges, 'exchange')}, {streams}"
        for (severity, rule), times in sorted(self.violations.items()):  # errors first
            title = RULES[rule].title if rule in RULES else ""
            yield f"  {rule} {severity:<7} {times:>4} x  {title}".rstrip()


def plural(count: int, noun: str) -> str:
    """Return *count* and *noun*, as people say it."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
