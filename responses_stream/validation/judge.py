"""`StreamJudge`: judges the events of one response, one after another.

It knows the envelope and the response; what an event means for the items is judged in `table`, `items` and `parts`.
After a violation it assumes what the stream must have meant and goes on, so that one cause is one violation: an event
is matched with its item by index, then by id, and what was never announced is taken as announced.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from responses_stream import lifecycle
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.protocol.plans import tags_of
from responses_stream.validation import outputs
from responses_stream.validation.copies import Copies
from responses_stream.validation.course import Course
from responses_stream.validation.differences import shown
from responses_stream.validation.findings import Findings
from responses_stream.validation.numbers import Numbers
from responses_stream.validation.structure import judge_error, judge_structure
from responses_stream.validation.table import PART_EVENTS, STEP_EVENTS, ItemTable

Event = dict[str, Any]

_KEEPALIVE: Final = "keepalive"
_STEERING: Final = frozenset({"response.steer.accepted", "response.steer.pending", "response.steer.failed"})
_KNOWN: Final = frozenset(tags_of(ResponseStreamEvent))
# events.md section 3, column OR: the types that need no slug there (R016).
_OPEN: Final = frozenset(
    {
        *lifecycle.STATUS_SAID,
        *("error", lifecycle.ITEM_ADDED, lifecycle.ITEM_DONE, lifecycle.PART_ADDED, lifecycle.PART_DONE),
        *("response.output_text.delta", "response.output_text.done", "response.output_text.annotation.added"),
        *("response.refusal.delta", "response.refusal.done", *lifecycle.OPEN_REASONING_NAMES),
        *(lifecycle.SUMMARY_ADDED, lifecycle.SUMMARY_DONE),
        *("response.reasoning_summary_text.delta", "response.reasoning_summary_text.done"),
        *("response.function_call_arguments.delta", "response.function_call_arguments.done"),
    }
)


class StreamJudge:
    """Judges one response.

    Args:
        findings: takes what is wrong.
        request: the body that it answers; for R161, R163, R211 and R213.
        starting_after: the cursor of the replay that it is; None for a fresh stream.
        last_of_original: the last number of what is replayed, where that is known (R194).
        turn: whether it is a further response of a connection (R202).

    Attributes:
        ended: whether a terminal event came.
        terminal: the response of that event.
    """

    def __init__(
        self,
        findings: Findings,
        *,
        request: Mapping[str, Any] | None = None,
        starting_after: int | None = None,
        last_of_original: int | None = None,
        turn: bool = False,
    ) -> None:
        self._findings = findings
        self.numbers = Numbers(findings, starting_after, last_of_original)
        self.copies = Copies(findings, request)
        self._resumed, self._turn = starting_after is not None, turn
        self._course = Course(findings, resumed=self._resumed)
        self.items = ItemTable(findings, self.copies, request, resumed=self._resumed)
        self._error: Event | None = None
        self.ended = False
        self.terminal: Event | None = None

    # The envelope.

    @property
    def began(self) -> bool:
        """Whether `response.created` came."""
        return self._course.created

    def take(self, event: Event) -> None:
        """Judge the next event."""
        self.items.hot = None
        findings, name = self._findings, event.get("type")
        if not isinstance(name, str) or not name:
            seen = "is missing" if "type" not in event else f"is {shown(name)}"
            findings.say("R011", "$.type", seen, "a non-empty string")
            self.numbers.judge(event, "", turn=self._turn)
            self._misnamed(event)
            return
        headless = name in _KNOWN and self._course.lacks_beginning(name)
        if self.numbers.judge(event, name, turn=self._turn, headless=headless):
            self._missed()
        elif self.numbers.skips:
            self.items.steady()
        if name == _KEEPALIVE or name not in _KNOWN:
            self._unknown(name, event)
            if name != _KEEPALIVE:
                self._course.last = name
            return
        if name in _STEERING:
            if name == "response.steer.accepted":
                self.copies.steered()
            return
        if findings.profile == "open-responses" and name not in _OPEN and not self.ended:
            self._slug(name)
        if "obfuscation" in event and not name.endswith(".delta"):
            findings.say("R018", "$.obfuscation", f"stands in {name}", "it to stand in deltas only", once=name)
        odd = judge_structure(event, name, findings)
        if odd is None:
            self._misnamed(event)
        else:
            self._go_on(name, event, odd)

    def _go_on(self, name: str, event: Event, odd: Collection[str]) -> None:
        self._course.last = self._order(name, event, odd)

    def _misnamed(self, event: Event) -> None:
        """Take an event whose name is missing, or cannot be right, as the one that it must have been."""
        meant = None if self.ended else self._meant(event)
        event = {**event, "type": meant}
        odd = judge_structure(event, meant, self._findings) if meant is not None else None
        if meant is None or odd is None:
            self.items.doubt(event)
        else:
            self._go_on(meant, event, odd)

    def _meant(self, event: Event) -> str | None:
        response = event.get("response")
        if isinstance(response, dict):
            return self._course.named_by(response)
        if isinstance(event.get("item"), dict):
            return lifecycle.ITEM_DONE if self.items.has_open(event) else lifecycle.ITEM_ADDED
        told = isinstance(event.get("message"), str) or isinstance(event.get("error"), dict)
        return lifecycle.ERROR if told and "output_index" not in event else None

    def _missed(self) -> None:
        """Take it that events are missing before this one, which the numbers told."""
        if self._findings.gravity("R023") != "error":
            # Then it may be a habit; what an event would have said is missed all the same, but for the texts.
            self.items.unsure()
        else:
            self.items.missed()
            self._course.missed()
            self.copies.forget_status()

    def _unknown(self, name: str, event: Event) -> None:
        findings = self._findings
        if self.ended:
            findings.say("R039", "$.type", f"{name} after the terminal event", "nothing", once=name)
        elif name == _KEEPALIVE:
            findings.say("R017", "$.type", "a keep-alive as data", "a comment", once=name)
        elif ":" not in name:
            self._slug(name)
            if findings.gravity("R016") == "error":
                # It may be a known event by a wrong name: then what it said is missed below, and that is one cause.
                self._misnamed(event)

    def _slug(self, name: str) -> None:
        self._findings.say(
            "R016", "$.type", f"is {name!r}", "a known type, or one with a slug: 'acme:trace'", once=name
        )

    def _order(self, name: str, event: Event, odd: Collection[str]) -> str:
        """Judge an event in its place; return the event that it must have been."""
        findings, course = self._findings, self._course
        if self.ended:
            rule = "R036" if name in lifecycle.TERMINAL else "R038"
            findings.say(rule, "$.type", f"{name} after {course.last_terminal}", "nothing", once="end")
            return name
        late = self._error is not None and name != lifecycle.FAILED
        if late and name == lifecycle.ERROR:
            findings.say("R176", "$.type", "a second error", lifecycle.FAILED, once="error")
            return name
        if late:
            findings.say("R172", "$.type", f"{name} after an error", lifecycle.FAILED, once="error")
        if name in lifecycle.STATUS_SAID:
            return self._lifecycle(name, event)
        course.begin(name)
        if name == lifecycle.ERROR:
            self._told(event, odd)
        else:
            self._of_items(name, event, odd, late=late)
        return name

    def _of_items(self, name: str, event: Event, odd: Collection[str], *, late: bool) -> None:
        if name in PART_EVENTS or name in STEP_EVENTS:
            self.items.inside(name, event, odd)
        elif name == lifecycle.ITEM_DONE:
            self.items.finish(event, odd)
        else:
            if not late and self._course.judge_early(name):
                self.copies.forget_status()
            if name == lifecycle.ITEM_ADDED:
                self.items.added(event, odd)
        if late:
            self.items.excuse()

    # The response.

    def _lifecycle(self, name: str, event: Event) -> str:
        """Judge a copy of the response; return the event that must have been meant."""
        course, response = self._course, event.get("response")
        copy: Event = response if isinstance(response, dict) else {}
        meant = course.meant(name, copy)
        beheaded = course.begin(name, meant)
        told, takes = beheaded or self._error is not None, course.takes(name, copy)
        if takes and name == lifecycle.QUEUED:
            course.judge_queued()
        if not takes and not told:
            told = course.refuse(name, meant, items=bool(self.items.added_so_far))
        goes_on = takes or meant != name or name in lifecycle.TERMINAL
        if isinstance(response, dict):
            in_place = goes_on or not (told or name == lifecycle.CREATED)
            self.copies.judge(meant if told else name, copy, in_place=in_place)
        if told or not copy:
            self.copies.forget_status()
        if goes_on and (meant in lifecycle.TERMINAL or not beheaded):
            course.step(meant, copy)
        output = copy.get("output")
        if meant in lifecycle.TERMINAL:
            self._end(meant, copy)
            if isinstance(output, list):
                items, doubt = self.items, self._resumed or not self.items.in_order
                outputs.judge_final(meant, output, items.done, items.open, self._findings, doubt=doubt)
            self.items.clear()
        elif output and isinstance(output, list):
            outputs.judge_early(meant, output, self.items.added_so_far, self._findings)
        return lifecycle.CREATED if beheaded else meant

    def _end(self, name: str, response: Event) -> None:
        """R079, R088, R175: what has to be over when the response is."""
        findings = self._findings
        self.ended, self.terminal = True, response
        self._course.last_terminal = name
        owed = [item for item in self.items.open.values() if not (item.assumed or item.excused)]
        if owed:
            first = owed[0]
            seen = f"{name} with {len(owed)} open: {first.type} {first.id} at {first.index}"
            expected = f"{lifecycle.ITEM_DONE} of each before it"
            if name == lifecycle.COMPLETED:
                findings.say("R079", "$.type", seen, expected)
            else:
                gravity = "warning" if name == lifecycle.FAILED else "error"
                findings.say("R088", "$.type", seen, expected, at_most=gravity)  # type: ignore[arg-type]
        if self._error is not None:
            self._same_code(response)

    def _same_code(self, response: Event) -> None:
        assert self._error is not None
        told, error = self._error.get("error"), response.get("error")
        code = told.get("code") if isinstance(told, Mapping) else self._error.get("code")
        final = error.get("code") if isinstance(error, Mapping) else None
        if code is not None and final is not None and code != final:
            self._findings.say(
                "R175", "$.response.error.code", f"is {shown(final)}", f"{shown(code)}, as the error event"
            )

    def _told(self, event: Event, odd: Collection[str]) -> None:
        """An `error` event: its shape, and where it may stand (R170, R173, R174)."""
        findings, course = self._findings, self._course
        self._error = self._error or event
        judge_error(event, odd, findings)
        if course.created:
            findings.say("R173", "$.type", f"an error after {lifecycle.CREATED}", lifecycle.FAILED)
        elif event.get("sequence_number") not in (0, None):
            findings.say("R174", "$.sequence_number", f"is {shown(event['sequence_number'])}", "0")
        course.told()

    # The end.

    def finish(self, *, cut: bool = False) -> None:
        """Judge what only the end of the stream shows (R029, R171). *cut*: it ended inside a frame."""
        findings, path = self._findings, "$"
        if self.ended:
            return
        if self._error is not None:
            if not self._course.lone:
                findings.say("R171", path, "the stream ends after an error", lifecycle.FAILED)
            return
        expected = " or ".join(sorted(lifecycle.TERMINAL))
        where = "inside a frame, " if cut else ""
        last = f"{where}after {self._course.last}" if self._course.last else f"{where}without an event"
        findings.say("R029", path, f"the stream ends {last}", expected)
