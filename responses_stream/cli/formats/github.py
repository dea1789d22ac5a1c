"""Workflow commands of GitHub Actions: each violation becomes an annotation at its line."""

from __future__ import annotations

from responses_stream.cli.formats.writer import Writer, on_one_line
from responses_stream.cli.verdicts import Source, Verdict
from responses_stream.validation import RULES
from responses_stream.validation.report import Violation


class GithubWriter(Writer):
    """Writes one command a violation, and a plain line for each input into the log."""

    def violation(self, source: Source, violation: Violation) -> None:
        """Write one command."""
        expected = f"; expected {violation.expected}" if violation.expected else ""
        message = (
            f"{RULES[violation.rule].title}. Event {violation.index}, {violation.path}: {violation.message}{expected}."
            f"\nHint: {violation.hint}"
        )
        if violation.clients:
            message += f"\nBreaks: {', '.join(violation.clients)}"
        # An annotation without a place names its source itself.
        if not source.is_file or source.part:
            message = f"{source}: {message}"
        self._command(violation.severity, source, violation.line, violation.rule, message)

    def end(self, verdict: Verdict) -> None:
        """Write the line of one input, and a command if it is unusable."""
        super().end(verdict)
        if verdict.error is not None:
            self._command("error", verdict.source, None, "unusable input", f"{verdict.source}: {verdict.error}")
        # A line that begins with two colons would be a command.
        print(f"validated {on_one_line(f'{verdict.source}: {verdict.summary}')}", file=self.out)

    def _command(self, kind: str, source: Source, line: int | None, title: str, message: str) -> None:
        placed = source.is_file and not source.part
        properties = {"file": source.name if source.is_file else None, "line": line if placed else None, "title": title}
        given = ",".join(f"{name}={_property(value)}" for name, value in properties.items() if value is not None)
        print(f"::{kind} {given}::{_data(message)}", file=self.out)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str | int) -> str:
    return _data(str(value)).replace(":", "%3A").replace(",", "%2C")
