"""What a validator found: a `Violation` for each cause, and the `Report` of a whole stream."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import attrs

from responses_stream.validation.profiles import Profile

Gravity: TypeAlias = Literal["error", "warning"]
"""The severity of what was found; what is off is never reported."""


@attrs.frozen(kw_only=True)
class Violation:
    """One broken rule, at one place.

    Attributes:
        rule: the id of the rule: ``R014``.
        severity: ``error`` or ``warning``, as the profile has it.
        index: the event, from 0; for what is missing at the end, the number of events.
        path: the JSON path within the event (``$.item.content[0].text``); ``$`` is the event as a whole.
        message: what was seen.
        expected: what should have been there.
        hint: what mends it.
        clients: the clients that are known to break; `responses_stream.validation.RULES` has their errors.
        line: the line of the source, from 1, where it has lines.
        offset: the byte of the source, from 0, where it has bytes.
    """

    rule: str
    severity: Gravity
    index: int
    path: str
    message: str
    expected: str
    hint: str
    clients: tuple[str, ...] = ()
    line: int | None = None
    offset: int | None = None

    @property
    def position(self) -> str:
        """Where it is, for people: ``event 4, line 13, byte 512``."""
        places = [f"event {self.index}"]
        if self.line is not None:
            places.append(f"line {self.line}")
        if self.offset is not None:
            places.append(f"byte {self.offset}")
        return ", ".join(places)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, as ``responses-stream validate --format json`` prints it."""
        members = ("rule", "severity", "index", "path", "message", "expected", "hint")
        return {member: getattr(self, member) for member in members} | {"clients": list(self.clients)}

    def __str__(self) -> str:
        expected = f"; expected {self.expected}" if self.expected else ""
        return f"{self.rule} {self.severity} at {self.position}, {self.path}: {self.message}{expected}"


@attrs.frozen(kw_only=True)
class Report:
    """What was found in one stream.

    Attributes:
        events: how many events it had.
        profile: how it was read.
        violations: what is wrong, in the order of the stream.
        dialect: the name of the foreign protocol that the stream speaks, where it is not this one.
        omitted: how many violations were found beyond those listed; they are as bad as *errors_omitted* says.
        errors_omitted: whether one of these has severity ``error``.
    """

    events: int
    profile: Profile
    violations: tuple[Violation, ...] = ()
    dialect: str | None = None
    omitted: int = 0
    errors_omitted: bool = False

    @property
    def ok(self) -> bool:
        """Whether there is no violation of severity ``error``."""
        return not self.errors_omitted and all(found.severity != "error" for found in self.violations)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, as ``responses-stream validate --format json`` prints it."""
        found = [violation.as_dict() for violation in self.violations]
        return {"ok": self.ok, "events": self.events, "profile": self.profile, "violations": found}

    def __str__(self) -> str:
        verdict = "valid" if self.ok else "not valid"
        count = len(self.violations) + self.omitted
        head = f"{verdict} in profile {self.profile}: {_plural(self.events, 'event')}, {_plural(count, 'violation')}"
        lines = [head, *(f"  {violation}" for violation in self.violations)]
        if self.omitted:
            lines.append(f"  and {self.omitted} more, {'with' if self.errors_omitted else 'without'} errors")
        return "\n".join(lines)


def _plural(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
