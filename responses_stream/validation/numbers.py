"""Sequence numbers: from 0, each one more than the last (R012, R021-R023, R190, R191, R194).

After a wrong number the checker does not insist: the stream may go on from the number that was there or from the one
that should have been, and neither is a second mistake.
"""

from __future__ import annotations

from typing import Any, Final

from responses_stream.validation.differences import shown
from responses_stream.validation.findings import Findings
from responses_stream.validation.structure import index_of

_KEEPALIVE: Final = "keepalive"


class Numbers:
    """The numbers of one response.

    Attributes:
        of_connection: whether they are those of a WebSocket, where an error may have none.
        skips: whether numbers are left out as a habit, so that nothing is missing.
        next: the number that the next event should have.
        last: the last number that was there; None before the first.
    """

    __slots__ = (
        *("_after", "_also", "_findings", "_last_of_original", "_since", "_spare", "_wrong"),
        *("last", "next", "of_connection", "skips"),
    )

    def __init__(self, findings: Findings, after: int | None = None, last_of_original: int | None = None) -> None:
        self._findings, self._after, self._last_of_original = findings, after, last_of_original
        self.of_connection = self.skips = False
        self.last: int | None = None
        self.next = 0 if after is None else after + 1
        # Whether the last number was wrong, and what may stand here as well after such a one.
        self._wrong = False
        self._also: tuple[int, ...] = ()
        self._since: int | None = None
        # The number of a keep-alive, which the next event may have again.
        self._spare: int | None = None

    def judge(self, event: dict[str, Any], name: str, *, turn: bool = False, headless: bool = False) -> bool:
        """Judge the number of an event, and return whether events seem to be missing before it.

        *turn* says that it begins a further response of a connection (R202), *headless* that the beginning of the
        stream is missing, which is told (R030).
        """
        number = index_of(event.get("sequence_number"))
        if number is None:
            if name != "error" or "sequence_number" in event or not self.of_connection:
                # A service that sends none sends none at all.
                given = event.get("sequence_number")
                seen = f"is {shown(given)}" if "sequence_number" in event else "is missing"
                self._findings.say("R012", "$.sequence_number", seen, "an integer from 0", once="number")
            if name != _KEEPALIVE:
                self._also, self._since, self.next = (self.next,), self.last, self.next + 1
            return False
        if name == _KEEPALIVE and number in (self.next, self.last):
            # It may take a number of its own, or stand beside those of the events (decision 29).
            self.next, self.last = max(self.next, number + 1), number
            self._spare = number
            return False
        if self.last is None or self.last == number == self._spare == 0:
            # In the profile that speaks of lone errors, their number has a rule of its own (R174).
            if not headless and (name != "error" or not self._findings.wanted("R174")):
                self._first(number, turn)
            self._also = () if number in (self.next, self._spare) else (self.next + 1,)
            self.next, self.last, self._since = number + 1, number, number
            return False
        gap = self._further(number, self.last)
        self.last = number
        return gap

    def _first(self, number: int, turn: bool) -> None:
        if self._after is not None:
            self._resumed(number, self._after)
        elif number not in (self.next, self._spare):
            rule, why = ("R202", "the numbers of a turn begin again") if turn else ("R021", "the first number")
            self._findings.say(rule, "$.sequence_number", f"is {number} in the first event", f"0, {why}")

    def _resumed(self, number: int, after: int) -> None:
        path, last = "$.sequence_number", self._last_of_original
        if last is not None and after >= last:
            seen = f"event {number} after the last number, {last}"
            self._findings.say("R194", path, seen, "an empty stream", once="past the end")
        elif number <= after:
            self._findings.say("R190", path, f"is {number}", f"a number greater than {after}", once="cursor")
        elif number != after + 1:
            self._findings.say("R191", path, f"is {number}", f"{after + 1}, the first after the cursor")

    def _further(self, number: int, last: int) -> bool:
        """Return whether events seem to be missing before this one."""
        if number == self.next or number == last == self._spare:
            self.next, self._also, self._wrong = number + 1, (), False
            return False
        if number in self._also and last == self._since:
            # It may go on from here; or this one came late, and it goes on where it was.
            self.next, self._also, self._since, self._wrong = number + 1, (self.next,), number, False
            return False
        should, gap = self.next, number > last + 1
        self.skips = gap and self._wrong
        if not self._wrong:
            # What is wrong again and again is one habit.
            rule = "R023" if gap else "R022"
            self._findings.say(rule, "$.sequence_number", f"is {number} after {last}", str(should))
        self._wrong = True
        # The stream may go on from this number, or from the one that should have been, or this one came late.
        self.next, self._also, self._since = number + 1, (should, should + 1), number
        return gap and not self.skips
