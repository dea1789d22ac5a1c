"""The course of a response: which of its events may come, and which rule one breaks that may not (R030-R037, R061).

The table is `lifecycle.RESPONSE`. After a violation it goes on as the stream must have meant it: an event whose name
and status disagree is taken as the one that may come.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from responses_stream import lifecycle
from responses_stream.validation.findings import Findings
from responses_stream.validation.structure import word_of


class Course:
    """Where a response is.

    Attributes:
        created: whether `response.created` came.
        state: its state in the table.
        seen: the events of the response that came.
        last: the last event of any kind that was judged.
        last_terminal: the one that ended it.
        lone: whether nothing but error events came, so that they may stand for a whole stream (H3.10).
    """

    __slots__ = (
        "_early",
        "_findings",
        "_resumed",
        "_unsure",
        "created",
        "last",
        "last_terminal",
        "lone",
        "seen",
        "state",
    )

    def __init__(self, findings: Findings, *, resumed: bool) -> None:
        self._findings, self._resumed, self.created = findings, resumed, resumed
        self.state = "resumed" if resumed else lifecycle.BEFORE
        self.seen: set[str] = set()
        self.last = self.last_terminal = ""
        self.lone = True
        # Whether response.in_progress may have come without being seen.
        self._unsure = resumed
        # Whether something came before it, which was told.
        self._early = False

    def lacks_beginning(self, name: str) -> bool:
        """Whether the stream begins with an event that it may not begin with."""
        return self.state == lifecycle.BEFORE and name not in (lifecycle.CREATED, lifecycle.ERROR)

    def begin(self, name: str, meant: str = "") -> bool:
        """Judge whether the stream may begin with an event (R030); return False where it may, or has begun.

        *meant* is what it must have been by its status.
        """
        if not self.lacks_beginning(name):
            self.lone = self.lone and name == lifecycle.ERROR
            return False
        self.lone = False
        self._findings.say("R030", "$.type", f"the first event is {name}", lifecycle.CREATED)
        # What began it may be response.created by another name, or what follows it.
        queued = meant == lifecycle.CREATED and name != lifecycle.IN_PROGRESS
        self.state, self._unsure = "queued" if queued else "created", True
        return True

    def told(self) -> None:
        """Go on with an error event; a lone one may stand for a whole stream (H3.10)."""
        self.state = "created" if self.state == lifecycle.BEFORE else lifecycle.ERRORED

    def named_by(self, response: Mapping[str, Any]) -> str:
        """Return the event that a copy of the response must have come with."""
        if self.state == lifecycle.BEFORE:
            return lifecycle.CREATED
        return self.meant("", response) or lifecycle.IN_PROGRESS

    def judge_early(self, name: str) -> bool:
        """Judge an event that has to stand behind response.in_progress (R061); return whether it does not."""
        if lifecycle.INSIDE_ITEM in lifecycle.RESPONSE[self.state] or self._unsure or self._early:
            return False
        self._findings.say("R061", "$.type", f"{name} before {lifecycle.IN_PROGRESS}", lifecycle.IN_PROGRESS)
        self._early = True
        return True

    def missed(self) -> None:
        """Take it that events are missing before this one."""
        self._unsure = True

    def meant(self, name: str, response: Mapping[str, Any]) -> str:
        """Return the event that must have been meant, where its status is not one that it can have."""
        status = word_of(response.get("status"))
        if status is None or status in lifecycle.STATUS_SAID.get(name, ()):
            return name
        fits = (one for one, said in lifecycle.STATUS_SAID.items() if status in said and self._takes(one, status))
        return next(fits, name)

    def takes(self, name: str, response: Mapping[str, Any]) -> bool:
        """Whether an event of the response may come now."""
        return self._takes(name, response.get("status"))

    def _takes(self, name: str, status: object) -> bool:
        return self._key(name, status) in lifecycle.RESPONSE[self.state]

    def _key(self, name: str, status: object) -> str:
        return f"{name}[queued]" if name == lifecycle.CREATED and status == "queued" else name

    def step(self, name: str, response: Mapping[str, Any]) -> None:
        """Go on with an event of the response."""
        after = lifecycle.RESPONSE[self.state].get(self._key(name, response.get("status")))
        if name == lifecycle.CREATED:
            self.created = True
        if name in lifecycle.TERMINAL:
            self._judge_unstarted(name)
            self.state = lifecycle.ENDED
        elif after is not None:
            self.state = after
        self.seen.add(name)

    def refuse(self, name: str, meant: str, *, items: bool) -> bool:
        """Say which rule an event breaks that may not come now; return whether there is one.

        Args:
            name: the event.
            meant: what it must have been by its status.
            items: whether items came already.
        """
        findings, path, seen = self._findings, "$.type", f"a second {name}"
        if name == lifecycle.CREATED and self._resumed and name not in self.seen:
            return True  # that it comes again behind the cursor is told of its number (R190)
        if name == lifecycle.CREATED and self.created:
            self._unsure = True  # it may be response.in_progress by another name
            return findings.say("R031", path, seen, "one in a stream")
        if name == lifecycle.CREATED and items:
            return findings.say("R060", path, f"{name} after events of items", "it to be the first event")
        if name == lifecycle.IN_PROGRESS and name in self.seen:
            return findings.say("R035", path, seen, "one in a stream")
        if name == lifecycle.QUEUED and name in self.seen:
            return findings.say("R032", path, seen, "one in a stream")
        return name == lifecycle.QUEUED and self.judge_queued(misnamed=meant != name)

    def judge_queued(self, *, misnamed: bool = False) -> bool:
        """R033, R034; return whether it is one of these. *misnamed*: it must have been another event."""
        findings, path = self._findings, "$.type"
        late = lifecycle.IN_PROGRESS in self.seen or self.state == lifecycle.RUNNING
        if late:
            findings.say("R034", path, f"response.queued after {lifecycle.IN_PROGRESS}", "it to stand before")
        apart = self.last not in (lifecycle.CREATED, lifecycle.IN_PROGRESS)
        if apart and not (late and misnamed):
            findings.say("R033", path, f"response.queued after {self.last}", f"it right behind {lifecycle.CREATED}")
        return late or apart

    def _judge_unstarted(self, name: str) -> None:
        """R037. That an error or a failure comes before the response has begun to run is nothing odd."""
        if name != lifecycle.FAILED and lifecycle.IN_PROGRESS not in self.seen and not self._unsure:
            self._findings.say("R037", "$.type", f"{name} without {lifecycle.IN_PROGRESS}", lifecycle.IN_PROGRESS)
