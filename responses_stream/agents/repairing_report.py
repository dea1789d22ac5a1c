"""What a repair did: each thing with the rule that was broken, and where.

The rules are those of the validator (`responses-stream explain R082` tells why one is there), so a report reads like
its findings, in the past tense. What a service does again and again, such as to number all its events with 0, is one
repair.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import attrs

from responses_stream.lifecycle import OPEN_REASONING_NAMES as _REASONING

Json: TypeAlias = dict[str, Any]

_MOST_KEPT: Final = 1_000


@attrs.frozen
class Repair:
    """One thing that was mended.

    Attributes:
        rule: the id of the rule that was broken.
        index: the event of the upstream that broke it, from 0; None where the end of the stream did.
        event: the type of that event, as it came.
        what: what was wrong and what was done, in one sentence.
    """

    rule: str
    index: int | None
    event: str
    what: str

    def __str__(self) -> str:
        where = "at the end" if self.index is None else f"event {self.index}, {self.event or 'without a type'}"
        return f"{self.rule} {where}: {self.what}"


@attrs.define(eq=False)
class RepairReport:
    """What was mended so far; it grows while the events are read.

    Attributes:
        repairs: in the order in which they were made; the first thousand of them.
        omitted: how many there were besides.
    """

    repairs: list[Repair] = attrs.field(factory=list)
    omitted: int = 0

    @property
    def untouched(self) -> bool:
        """Whether nothing had to be mended."""
        return not self.repairs

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules that were broken, each once, in the order of their first breach."""
        return tuple(dict.fromkeys(repair.rule for repair in self.repairs))

    def __str__(self) -> str:
        told = [str(repair) for repair in self.repairs]
        return "\n".join([*told, f"and {self.omitted} more"] if self.omitted else told) or "nothing was mended"


@attrs.define(eq=False)
class Outlet:
    """Where the events of the whole stream go, and the account of what was mended.

    Attributes:
        report: the account.
        index: the event of the upstream that is being mended; None behind its end.
        event: its type.
        events: what is said in its place, without numbers.
        reasoning: the stem of the names that the stream uses for raw reasoning (R133); empty before the first.
    """

    report: RepairReport
    index: int | None = None
    event: str = ""
    events: list[Json] = attrs.field(factory=list)
    reasoning: str = ""
    _habits: set[tuple[str, str]] = attrs.field(factory=set)
    _mended: bool = False

    def begin(self, index: int | None, event: str) -> None:
        """Turn to the next event of the upstream."""
        self._mended = self._mended and index == self.index
        self.index, self.event = index, event

    def say(self, event: Mapping[str, Any]) -> None:
        """Say an event."""
        self.events.append(dict(event))

    def take(self) -> list[Json]:
        """Return what was said since the last call."""
        said, self.events = self.events, []
        return said

    @property
    def mended(self) -> bool:
        """Whether something about the present event was reported."""
        return self._mended

    def spoken(self, name: str, event: Mapping[str, Any] | None) -> str:
        """Return the name that the stream uses for an event: raw reasoning has two families of names (R133)."""
        if name not in _REASONING.values():
            return name
        given = str(event.get("type")) if event is not None else ""
        if not self.reasoning:
            self.reasoning = (given if given in _REASONING else name).rpartition(".")[0]
        spoken = f"{self.reasoning}.{name.rpartition('.')[2]}"
        if given in (*_REASONING, *_REASONING.values()) and given != spoken:
            self.mend("R133", f"it was called {spoken}, as before", habit="reasoning")
        return spoken

    def mend(self, rule: str, what: str, *, habit: str | None = None) -> None:
        """Report what was done; *habit* names what is reported once, however often a stream does it."""
        self._mended = True
        if habit is not None:
            if (rule, habit) in self._habits:
                return
            self._habits.add((rule, habit))
        if len(self.report.repairs) < _MOST_KEPT:
            self.report.repairs.append(Repair(rule, self.index, self.event, what))
        else:
            self.report.omitted += 1
