"""`Verdict`: what there is to say about one input, for all formats alike."""

from __future__ import annotations

from typing import Any

import attrs

from responses_stream.validation.profiles import Profile
from responses_stream.validation.report import Violation


@attrs.frozen
class Source:
    """Where a stream comes from.

    Attributes:
        name: the file, the URL, or ``-``, as people call it.
        part: which stream in it, where there are several; places in the stream are not places in the file then.
        is_file: whether `name` is the path of a file.
    """

    name: str
    part: str = ""
    is_file: bool = False

    def __str__(self) -> str:
        return f"{self.name} {self.part}".rstrip()


@attrs.define
class Verdict:
    """One input, and what was found in it.

    Attributes:
        source: the input.
        profile: how it was read.
        events: how many events it had.
        shown: the violations to be told, in the order in which they were found.
        errors, warnings: how many there were of each severity, told or not.
        error: why it cannot be judged, or not to its end; None when it was.
        notes: what else there is to know of it.
    """

    source: Source
    profile: Profile
    events: int = 0
    shown: list[Violation] = attrs.field(factory=list)
    errors: int = 0
    warnings: int = 0
    error: str | None = None
    notes: list[str] = attrs.field(factory=list)

    @property
    def ok(self) -> bool:
        """Whether it was judged to its end, and no violation is of severity ``error``."""
        return self.error is None and not self.errors

    @property
    def status(self) -> int:
        """The exit status that this input alone would have."""
        return 2 if self.error is not None else int(not self.ok)

    @property
    def hidden(self) -> int:
        """How many violations there were beyond those to be told."""
        return self.errors + self.warnings - len(self.shown)

    @property
    def summary(self) -> str:
        """The verdict in one line, without its source."""
        if self.error is not None:
            return f"unusable: {self.error}"
        word = "valid" if self.ok else "not valid"
        counts = [_count(self.events, "event"), _count(self.errors, "error"), _count(self.warnings, "warning")]
        hidden = f"; {self.hidden} of them not shown, --max 0 shows all" if self.hidden else ""
        return f"{word} in profile {self.profile}: {', '.join(counts)}{hidden}"

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, as ``--format json`` prints it."""
        found = {
            "ok": self.ok,
            "events": self.events,
            "profile": self.profile,
            "violations": [violation.as_dict() for violation in self.shown],
        }
        return found if self.error is None else {**found, "error": self.error}


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
