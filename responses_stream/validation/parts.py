"""A part of an item: content, a reasoning summary, a command of a shell call, or what one printed.

A part steps through its table in `responses_stream.lifecycle`; this module names the rule when the table refuses, and
compares the texts: what the deltas said, what the done value says, and what the finished part shows. Once an error was
told of a part, it is in doubt, and no more is said of it: what follows has mostly the same cause.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from io import StringIO
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from responses_stream import lifecycle
from responses_stream.lifecycle import Role
from responses_stream.validation.differences import difference, remembered, shown
from responses_stream.validation.findings import Findings
from responses_stream.validation.structure import index_of, word_of


class Family(NamedTuple):
    """What the parts of one kind have in common.

    Attributes:
        member: the member of the item that they stand in.
        counted_by: the member of their events that counts them.
        value: the member of the event, and of the part, that holds the whole text.
        whole: the rule that the whole text equals its deltas.
        place: the rule that they are counted from 0.
        alone: the rule that one is open at a time.
    """

    member: str
    counted_by: str
    value: str
    whole: str
    place: str
    alone: str | None = None


_CONTENT: Final = Family("content", "content_index", "text", "R102", "R091", "R108")

FAMILIES: Final[Mapping[str, Family]] = MappingProxyType(
    {
        "output_text": _CONTENT,
        "refusal": _CONTENT._replace(value="refusal"),
        "reasoning_text": _CONTENT,
        "summary_text": Family("summary", "summary_index", "text", "R128", "R126", "R130"),
        "command": Family("action.commands", "command_index", "command", "R157", "R157"),
        "command output": Family("output", "command_index", "output", "R158", "R158"),
    }
)
"""The families of parts, by the type of the part."""

SPOKEN_OF: Final[Mapping[str, str]] = MappingProxyType(
    {
        name: part_type
        for part_type, table in lifecycle.PARTS.items()
        for steps in table.values()
        for name in steps
        if name not in (lifecycle.PART_ADDED, lifecycle.PART_DONE)
    }
)
"""The type of part that an event speaks of, where its name tells."""

# What an event says of a part, and what does not touch its text.
_SAYS: Final = ("$.part", "$.delta", "$.output[", "$.annotation")
_SAYS_ASIDE: Final = ("$.part.annotations", "$.part.logprobs", "$.annotation_index")
_WITH_LOGPROBS: Final = (Role.ADDS, Role.SAYS_WHOLE)
_ANNOTATIONS: Final = frozenset({"file_citation", "url_citation", "container_file_citation", "file_path"})


class Part:
    """A part that is open, or whose item is.

    Attributes:
        type: its type.
        index: the number that its events carry.
        place: where it stands among the parts, in the order in which they came.
        state: where it stands in its table.
        write: takes a delta; the hot path calls it and nothing else.
        partial: its beginning was not seen, so that its deltas are not all there are.
        final: what it was when it was done, for the item to repeat.
        doubt: an error of its text was told, or it was never announced, so that no more is said of what it holds.
        late: an error of the order of its events was told, so that no more is said of it.
        misplaced: its number was told to be wrong, so that its events may carry another.
    """

    __slots__ = (
        *(
            "_findings",
            "_logprobs",
            "_texts",
            "annotations",
            "deltas",
            "doubt",
            "final",
            "index",
            "late",
            "misplaced",
            "partial",
            "place",
        ),
        *("state", "type", "value", "write"),
    )

    def __init__(self, part_type: str, index: int, findings: Findings, *, doubt: bool = False) -> None:
        self._findings, self.type, self.index, self.doubt = findings, part_type, index, doubt
        self.place, self.misplaced, self.late, self.partial = index, False, doubt, False
        self.state = lifecycle.ABSENT
        self._texts = StringIO()
        self.write = self._texts.write
        self.deltas = 0
        self.value: str | None = None
        self.annotations: list[Any] = []
        self.final: Any = None
        self._logprobs: list[Any] = []

    @property
    def text(self) -> str:
        """What its deltas said."""
        return self._texts.getvalue()

    @property
    def closed(self) -> bool:
        """Whether nothing more can come."""
        return self.state == lifecycle.CLOSED

    def takes(self, name: str) -> bool:
        """Whether an event may come now."""
        return name in lifecycle.PARTS[self.type][self.state]

    def say(self, rule: str, path: str, seen: str, expected: str) -> None:
        """Say what is wrong with what it holds, unless it is in doubt; an error puts it in doubt."""
        if not self.doubt:
            self._findings.say(rule, path, seen, expected)
            self.doubt = self._findings.gravity(rule) == "error"

    def refuse(self, name: str, expected: str) -> bool:
        """Say which rule an event breaks that may not come now, unless one was said; return whether it is an error."""
        rule = lifecycle.broken_in_part(self.type, self.state, name)
        if not self.late:
            self._findings.say(rule, "$.type", f"{name} where {self.type} {self.index} is {self.state}", expected)
            self.late = self._findings.gravity(rule) == "error"
            self.doubt = self.doubt or self.late
        return self.late

    def cast_doubt(self) -> None:
        """Say no more of it."""
        self.doubt = self.late = True

    def enter(self, name: str) -> None:
        """Take the part as one whose beginning was not seen, and that is where an event may come."""
        states = (state for state, steps in lifecycle.PARTS[self.type].items() if name in steps)
        self.partial, self.doubt, self.late = True, False, False
        self.state = next(states, self.state)

    def take(self, name: str, event: Mapping[str, Any], odd: Collection[str]) -> None:
        """Judge an event; *name* is the one in the tables, *odd* the places where it is not built as it should be."""
        late = self.state == lifecycle.VALUE_DONE
        moved = self._step(name)
        self.doubt = self.doubt or any(path.startswith(_SAYS) and not path.startswith(_SAYS_ASIDE) for path in odd)
        if not moved:
            return
        role = lifecycle.ROLES[name]
        if self.type == "output_text" and role in _WITH_LOGPROBS and event.get("logprobs") is None:
            seen = "is null" if "logprobs" in event else "is missing"
            self._findings.say("R109", "$.logprobs", seen, "an array", once=name)
        if role is Role.ADDS:
            self._add(event)
        elif role is Role.SAYS_WHOLE:
            self._say_whole(event)
        elif role is Role.REMARKS:
            self._remark(event, late=late)
        elif isinstance(event.get("part"), dict):
            if role is Role.BEGINS:
                self._judge_added(event["part"])
            else:
                self._judge_done(event["part"], odd)

    def _step(self, name: str) -> bool:
        """Step on; where the table refuses it, say the rule and return whether the part went on all the same."""
        steps = lifecycle.PARTS[self.type]
        if name in steps[self.state]:
            self.state = steps[self.state][name]
            return True
        self.refuse(name, " or ".join(steps[self.state]) or "nothing more of this part")
        # A late event does not open the part again.
        states = list(steps)
        after = next((onward[name] for onward in steps.values() if name in onward), self.state)
        moved = states.index(after) > states.index(self.state)
        if moved:
            self.state = after
        return moved

    # What the events say.

    def _judge_added(self, value: Mapping[str, Any]) -> None:
        """The part begins empty (R101)."""
        member = FAMILIES[self.type].value
        if value.get(member):
            self.say("R101", f"$.part.{member}", f"is {shown(value[member])}", "an empty string")
        annotations = value.get("annotations")
        if self.type == "output_text" and annotations and isinstance(annotations, list):
            self.say("R101", "$.part.annotations", f"is {shown(annotations)}", "[]")

    def _add(self, event: Mapping[str, Any]) -> None:
        delta, findings = event.get("delta"), self._findings
        if not isinstance(delta, str):
            self.doubt = True
            return
        if not delta:
            findings.say("R107", "$.delta", "is empty", "some text", once="empty delta")
        self.write(delta)
        self.deltas += 1
        if event.get("logprobs") and findings.wanted("R111"):
            self._logprobs += _tokens(event["logprobs"])

    def _say_whole(self, event: Mapping[str, Any]) -> None:
        """The done value against the deltas (R102, R105, R111, R128, R157)."""
        family, value = FAMILIES[self.type], event.get(FAMILIES[self.type].value)
        if not isinstance(value, str):
            self.doubt = True
            return
        self.value = value
        if not (self.doubt or self.partial):
            path = f"$.{family.value}"
            self.doubt = not judge_whole(value, self.text, self.deltas, path, family.whole, self._findings)
        if event.get("logprobs") and not (self.doubt or self.partial):
            tokens = _tokens(event["logprobs"])
            if tokens != self._logprobs:
                seen = f"{len(tokens)} tokens that are not those of the deltas"
                self.say("R111", "$.logprobs", seen, f"the {len(self._logprobs)} tokens of the deltas")

    def _remark(self, event: Mapping[str, Any], *, late: bool) -> None:
        """An annotation (R116, R117)."""
        findings, at = self._findings, index_of(event.get("annotation_index"))
        if late:
            findings.say("R117", "$.type", "an annotation after the text is done", "it to come between the deltas")
        if at is not None and at != len(self.annotations):
            self.say("R116", "$.annotation_index", f"is {at}", str(len(self.annotations)))
        self.annotations.append(event.get("annotation"))

    def _judge_done(self, value: Mapping[str, Any], odd: Collection[str]) -> None:
        """The finished part against what was said of it (R100, R103, R118-R120, R128)."""
        family, kind = FAMILIES[self.type], word_of(value.get("type"))
        if kind is not None and kind != self.type and self.type != "summary_text":
            self.say("R100", "$.part.type", f"is {shown(kind)}", f"{self.type!r}, as it was added")
            return
        # What is not whole in itself is not compared with the item.
        self.final = None if any(path.startswith("$.part.") for path in odd) else value
        text, said = value.get(family.value), self.text if self.value is None else self.value
        known = self.value is not None or (self.deltas and not self.partial)
        if isinstance(text, str) and text != said and known:
            rule = "R128" if self.type == "summary_text" else "R103"
            self.say(rule, f"$.part.{family.value}", *_unlike(text, said, "the done value"))
        if self.type == "output_text" and not any(path.startswith("$.part.annotations") for path in odd):
            self._judge_annotations(value)

    def _judge_annotations(self, value: Mapping[str, Any]) -> None:
        shows, path, findings = value.get("annotations"), "$.part.annotations", self._findings
        if self.doubt or self.partial or not isinstance(shows, list):
            return
        for at, annotation in enumerate(shows):
            _judge_annotation(annotation, f"{path}[{at}]", len(word_of(value.get("text")) or ""), findings)
        if findings.profile == "azure" and len(shows) < len(self.annotations):
            return
        missing = [said for said in self.annotations if said not in shows]
        if missing:
            self.say("R118", path, f"lacks {len(missing)} of those announced", "all that were announced")
        elif len(shows) > len(self.annotations):
            seen = f"{len(shows)}, and {len(self.annotations)} were announced"
            self.say("R120", path, seen, "those that annotation.added announced")


class Printed(Part):
    """What one command printed: deltas by channel, then the entries of `output` (R158)."""

    __slots__ = ("_channels",)

    def __init__(self, part_type: str, index: int, findings: Findings, *, doubt: bool = False) -> None:
        super().__init__(part_type, index, findings, doubt=doubt)
        self._channels: dict[str, list[str]] = {"stdout": [], "stderr": []}

    def _add(self, event: Mapping[str, Any]) -> None:
        delta = event.get("delta")
        if not isinstance(delta, Mapping):
            self.doubt = True
            return
        self.deltas += 1
        for channel, texts in self._channels.items():
            piece = delta.get(channel)
            if isinstance(piece, str):
                texts.append(piece)

    def _say_whole(self, event: Mapping[str, Any]) -> None:
        entries = event.get("output")
        if not isinstance(entries, list):
            self.doubt = True
            return
        self.final = entries
        if self.doubt or self.partial:
            return
        for channel, texts in self._channels.items():
            pieces = [entry.get(channel) for entry in entries if isinstance(entry, Mapping)]
            shows = "".join(piece for piece in pieces if isinstance(piece, str))
            path = f"$.output[0].{channel}"
            if not judge_whole(shows, "".join(texts), self.deltas, path, "R158", self._findings):
                self.doubt = True
                return


def part_of(part_type: str, index: int, findings: Findings, *, doubt: bool = False) -> Part:
    """Return a part of *part_type*, before its first event."""
    return (Printed if part_type == "command output" else Part)(part_type, index, findings, doubt=doubt)


def judge_whole(value: str, text: str, deltas: int, path: str, rule: str, findings: Findings) -> bool:
    """Say it where a done value is not its deltas joined; return whether it can be relied on."""
    if value == text:
        return True
    if not deltas:
        findings.say("R105", path, f"is {shown(value)} without a delta before it", "the value in one delta at least")
        return findings.gravity("R105") != "error"
    findings.say(rule, path, *_unlike(value, text, "its deltas joined"))
    return findings.gravity(rule) != "error"


def _unlike(seen: str, other: str, what: str) -> tuple[str, str]:
    """Return the message and the expectation for a text that is not the *other* one."""
    at = next((at for at, (a, b) in enumerate(zip(seen, other, strict=False)) if a != b), min(len(seen), len(other)))
    start = max(at - 20, 0)
    return (
        f"is {shown(seen[start : start + 60])} around character {at}, {len(seen)} characters in all",
        f"{what}: {shown(other[start : start + 60])} there, {len(other)} characters in all",
    )


def _tokens(logprobs: Any) -> list[Any]:
    entries = logprobs if isinstance(logprobs, list) else []
    return [entry.get("token") for entry in entries if isinstance(entry, Mapping)]


def _judge_annotation(annotation: Any, path: str, length: int, findings: Findings) -> None:
    """Say it where the type of an annotation is not known, or its offsets lie outside of the text (R119)."""
    if not isinstance(annotation, Mapping):
        return
    kind = word_of(annotation.get("type"))
    if kind is not None and kind not in _ANNOTATIONS and ":" not in kind:
        findings.say("R119", f"{path}.type", f"is {shown(kind)}", " or ".join(sorted(_ANNOTATIONS)), once=kind)
        return
    start, end = annotation.get("start_index"), annotation.get("end_index")
    if type(start) is int and type(end) is int and not 0 <= start <= end <= length:
        seen = f"spans {shown(start)} to {shown(end)}"
        findings.say("R119", path, seen, f"a span within the {length} characters of the text")


def judge_repeated(rule: str, path: str, finals: Collection[Part], shows: list[Any], findings: Findings) -> bool:
    """Say it where a finished item does not repeat its finished parts (R112, R129, R134); return whether it does."""
    without = ("annotations",) if findings.profile == "azure" else ()
    for at, part in enumerate(finals):
        if part.doubt or part.final is None or at >= len(shows):
            continue
        found = difference(remembered(part.final, without), shows[at], without)
        if found is not None:
            where, seen, expected = found
            findings.say(rule, f"{path}[{at}]{where}", f"is {seen}", f"{expected}, as the part was done")
            return False
    return True
