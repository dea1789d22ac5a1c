"""For people: a block for each violation while it is found, and a line for each input."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from responses_stream.cli.formats.writer import Writer, on_one_line
from responses_stream.cli.verdicts import Source, Verdict
from responses_stream.validation import RULES
from responses_stream.validation.report import Violation

_COLORS: Final = {"error": "1;31", "warning": "1;33", "valid": "1;32", "rule": "1", "label": "2"}


class HumanWriter(Writer):
    """Writes blocks that begin as compilers begin theirs, so that editors find the place.

    Attributes:
        color: whether it may use colors.
    """

    color: bool = False

    def violation(self, source: Source, violation: Violation) -> None:
        """Write one block."""
        print("\n".join(self._block(source, violation)), end="\n\n", file=self.out)
        # Somebody may be watching a stream that is still coming.
        self.out.flush()

    def end(self, verdict: Verdict) -> None:
        """Write the line of one input."""
        super().end(verdict)
        source = on_one_line(str(verdict.source))
        for note in verdict.notes:
            print(f"{source}: {on_one_line(note)}", file=self.out)
        kind = "error" if not verdict.ok else "warning" if verdict.warnings else "valid"
        print(f"{source}: {self._paint(kind, on_one_line(verdict.summary))}", file=self.out)

    def close(self) -> None:
        """Write the line of all inputs, where there are several."""
        if len(self.verdicts) < 2:
            return
        counts = [0, 0, 0]
        for verdict in self.verdicts:
            counts[verdict.status] += 1
        words = ("valid", "not valid", "unusable")
        said = ", ".join(f"{count} {word}" for count, word in zip(counts, words, strict=True) if count)
        print(f"{len(self.verdicts)} inputs: {said}", file=self.out)

    def _block(self, source: Source, violation: Violation) -> Iterator[str]:
        place, line = on_one_line(source.name), violation.line
        within = [f"event {violation.index}"]
        if line is not None and source.part:
            within.append(f"line {line}")
        elif line is not None:
            place = f"{place}:{line}"
        if violation.offset is not None:
            within.append(f"byte {violation.offset}")
        what = self._paint(violation.severity, f"{violation.severity} {violation.rule}")
        yield f"{place}: {', '.join(within)}: {what} {self._paint('rule', RULES[violation.rule].title)}"
        lines = {
            "in": source.part,
            "at": violation.path,
            "seen": violation.message,
            "expected": violation.expected,
            "hint": violation.hint,
            "breaks": ", ".join(violation.clients),
        }
        for label, text in lines.items():
            if text:
                yield f"  {self._paint('label', f'{label:<8}')}  {on_one_line(text)}"

    def _paint(self, kind: str, text: str) -> str:
        return f"\x1b[{_COLORS[kind]}m{text}\x1b[0m" if self.color else text
