"""A part of an item, as it is said: content, a reasoning summary, a command of a shell call, or what one printed.

A part goes through its table in `responses_stream.lifecycle` whatever the upstream does. What its deltas have said was
read already, so where a later copy of the text goes on from there the rest becomes one more delta, and where it differs
the deltas win.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from responses_stream import lifecycle
from responses_stream.agents.chat_completions_values import Characters
from responses_stream.agents.repairing_report import Json, Outlet
from responses_stream.agents.repairing_shapes import fitted_event
from responses_stream.lifecycle import Role
from responses_stream.validation.parts import FAMILIES

NAMES: Final[Mapping[str, Mapping[Role, str]]] = MappingProxyType(
    {
        part_type: MappingProxyType({lifecycle.ROLES[name]: name for steps in table.values() for name in steps})
        for part_type, table in lifecycle.PARTS.items()
    }
)
"""The event that does something to a part, by the type of the part."""

Say: TypeAlias = Callable[[str, Mapping[str, Any], "Mapping[str, Any] | None", "Part"], Json]
"""Says an event of a part: its name, its members, and the event of the upstream that it is made of, if there is one.

Returns it as it was said."""

_NONE: Final = object()
_OUTCOME: Final = MappingProxyType({"type": "exit", "exit_code": 0})


def reconciled(said: str, value: object, rule: str, outlet: Outlet, what: str) -> tuple[str, str]:
    """Return the whole of a text and the rest of it that no delta said; report what had to be decided.

    Args:
        said: its deltas, joined.
        value: what a later copy of it says; None where it says nothing.
        rule: the rule that both are the same.
        outlet: takes the report.
        what: names the text.
    """
    if value == said:
        return said, ""
    if not isinstance(value, str):
        outlet.mend("R013" if value is None else "R015", f"{what} was no text; it was given what its deltas said")
        return said, ""
    if value.startswith(said):
        rest = value[len(said) :]
        whole = "the whole of it" if not said else f"{len(rest)} characters"
        outlet.mend(rule if said else "R105", f"{whole} of {what} was in no delta, and was said in one")
        return value, rest
    outlet.mend(rule, f"{what} was not what its deltas had said; what they said stands")
    return said, ""


def whole_pieces(characters: Characters, delta: str, outlet: Outlet) -> str | None:
    """Return a delta in whole characters; None where it has but half a one, which waits for the next delta."""
    whole = characters.take(delta)
    if whole != delta:
        outlet.mend("R001", "characters that were cut in two were joined", habit="halves")
    return whole if whole or not delta else None


class Part:
    """A part that was begun.

    Attributes:
        type: its type.
        place: where it stands among the parts of its row.
        number: how the upstream counts it; None where it does not.
        implied: whether no event told that it begins, but its own text.
        state: where it stands in its table.
        final: what the done item shows in its place, once it is closed.
    """

    def __init__(self, part_type: str, place: int, number: int | None, outlet: Outlet, say: Say) -> None:
        self.type, self.place, self.number = part_type, place, number
        self.state = lifecycle.ABSENT
        self.final: Any = None
        self.implied = False
        self._outlet, self._say_event = outlet, say
        self._names, self._family = NAMES[part_type], FAMILIES[part_type]
        self._characters = Characters()
        self._texts: list[str] = []
        self._value: str | None = None
        self._tokens = 0
        self._annotations: list[Any] = []
        self._begun: Json = {}

    @property
    def closed(self) -> bool:
        return self.state == lifecycle.CLOSED

    @property
    def text(self) -> str:
        """What was said of it."""
        if len(self._texts) > 1:
            self._texts = ["".join(self._texts)]
        return self._texts[0] if self._texts else ""

    def takes(self, role: Role) -> bool:
        """Whether an event that does this may come now."""
        name = self._names.get(role)
        return name is not None and name in lifecycle.PARTS[self.type][self.state]

    def take(self, role: Role, event: Mapping[str, Any]) -> None:
        """Take an event of the upstream; one that may not come any more is left out."""
        if role not in self._names:
            self.drop("R115" if role is Role.REMARKS else "R099")
        elif self.closed or (self.state == lifecycle.VALUE_DONE and role in (Role.ADDS, Role.SAYS_WHOLE, Role.BEGINS)):
            name = self._names.get(role, "")
            self.drop(lifecycle.broken_in_part(self.type, self.state, name) if name else "R099")
        elif role is Role.BEGINS:
            if self.state == lifecycle.ABSENT:
                self.begin(event)
            else:
                self.drop("R092" if self.type != "summary_text" else "R127")
        elif role is Role.ADDS:
            self._add(event)
        elif role is Role.SAYS_WHOLE:
            value = _value_of(event, self._family.value)
            if value is None and not self._texts:
                self._outlet.mend("R013", "it said nothing, and was left out")
            else:
                self._say_whole(value, event)
        elif role is Role.REMARKS:
            self._remark(event)
        else:
            self._close(event.get("part"), event)

    def drop(self, rule: str) -> None:
        """Report that an event was left out."""
        self._outlet.mend(rule, f"it came when {self.type} {self.place} was {self.state}, and was left out")

    # What it says.

    def begin(self, event: Mapping[str, Any] | None = None) -> None:
        """Say that it begins, where that is said at all."""
        name = self._names.get(Role.BEGINS)
        if self.state != lifecycle.ABSENT or name is None:
            return
        shown = event.get("part") if event is not None else None
        members: Json = {}
        if name == "response.shell_call_command.added":
            members["command"] = ""
        else:
            fields = shown if isinstance(shown, dict) else {"logprobs": []} if self.type == "output_text" else {}
            members["part"] = self._begun = {**fields, **self._empty()}
            if isinstance(shown, dict) and shown.get(self._family.value):
                self._outlet.mend("R101", "the part was not empty when it was added, and was made so")
        self._say(name, members, event)

    def close(self, shown: Any = None, *, listed: bool = False) -> None:
        """Say what is still owed of it. *shown*: what the done item has in its place, where that is *listed*."""
        self.begin()
        if self.closed:
            return
        if self.state == lifecycle.OPEN:
            value = shown.get(self._family.value) if isinstance(shown, dict) else shown
            self._say_whole(value if isinstance(value, str) and listed else self.text, None)
        if self.state == lifecycle.VALUE_DONE:
            self._close(shown if isinstance(shown, dict) else None, None)

    def so_far(self) -> Any:
        """Return what an item shows in its place that may not be done any more."""
        return self.final if self.closed else {**self._begun, **self._empty(), self._family.value: self.text}

    def _say(self, name: str, members: Mapping[str, Any], event: Mapping[str, Any] | None) -> Json:
        said = self._say_event(name, members, event, self)
        self.state = lifecycle.PARTS[self.type][self.state][name]
        return said

    def _empty(self) -> Json:
        empty: Json = {"type": self.type, self._family.value: ""}
        return empty | ({"annotations": []} if self.type == "output_text" else {})

    def _add(self, event: Mapping[str, Any]) -> None:
        delta = event.get("delta")
        if not isinstance(delta, str):
            self._outlet.mend("R013" if delta is None else "R015", "its delta was no text, and it was left out")
            return
        delta = whole_pieces(self._characters, delta, self._outlet)
        if delta is None:
            return
        self._texts.append(delta)
        logprobs = event.get("logprobs")
        self._tokens += len(logprobs) if isinstance(logprobs, list) else 0
        members: Json = {"delta": delta}
        if self.type == "output_text" and not isinstance(logprobs, list):
            self._outlet.mend("R109", "its log probabilities were no array; they were made an empty one", habit="delta")
            members["logprobs"] = []
        self._say(self._names[Role.ADDS], members, event)

    def _say_whole(self, value: object, event: Mapping[str, Any] | None) -> None:
        whole, rest = reconciled(self.text, value, self._family.whole, self._outlet, f"the text of {self.type}")
        given = event.get("logprobs") if event is not None else None
        logprobs = given if isinstance(given, list) else []
        members: Json = {self._family.value: whole}
        if rest:
            piece: Json = {"delta": rest}
            if self.type == "output_text":
                piece["logprobs"] = logprobs[self._tokens :]
            self._texts.append(rest)
            self._say(self._names[Role.ADDS], piece, None)
        if self.type == "output_text":
            if event is not None and not isinstance(given, list):
                self._outlet.mend("R109", "its log probabilities were no array; they were made an empty one")
            members["logprobs"] = logprobs
        self._value = whole
        if self._names[Role.SAYS_WHOLE] == self._last:
            self.final = whole
        self._say(self._names[Role.SAYS_WHOLE], members, event)

    @property
    def _last(self) -> str:
        """The event that closes it."""
        return self._names.get(Role.ENDS) or self._names[Role.SAYS_WHOLE]

    def _close(self, shown: Any, event: Mapping[str, Any] | None) -> None:
        # A part that was never shown whole has the members that it began with.
        fields = shown if isinstance(shown, dict) else self._begun
        if self.state == lifecycle.OPEN:
            if event is not None:
                self._outlet.mend(
                    "R096" if self.type != "summary_text" else "R127", "its done value was said before it"
                )
            text = fields.get(self._family.value)
            self._say_whole(text if isinstance(text, str) else self.text, None)
        members: Json = {**fields, "type": self.type, self._family.value: self._value}
        if event is not None and fields != {**members}:
            other = fields.get(self._family.value) != self._value
            rule = ("R103" if self.type != "summary_text" else "R128") if other else "R100"
            self._outlet.mend(rule, "the closed part was made what its events had said")
        if self.type == "output_text":
            members["annotations"] = self._all_annotations(fields.get("annotations"))
            if "logprobs" in members and not isinstance(members["logprobs"], list):
                members["logprobs"] = self._begun.get("logprobs")
        self.final = self._say(self._names[Role.ENDS], {"part": members}, event)["part"]

    def _all_annotations(self, shown: object) -> list[Any]:
        given = shown if isinstance(shown, list) else []
        if len(given) == len(self._annotations) and given != self._annotations:
            self._outlet.mend("R118", "the annotations of the closed part were made those that were announced")
            return list(self._annotations)
        listed = [next((said for said in self._annotations if _is_part_of(one, said)), one) for one in given]
        if not isinstance(shown, list):
            self._outlet.mend("R114", "its annotations were no array; they were made one")
        missing = [said for said in self._annotations if said not in listed]
        if missing or not isinstance(shown, list):
            if missing:
                self._outlet.mend("R118", "the annotations that were announced were put into the closed part")
            listed = [*self._annotations, *(one for one in listed if one not in self._annotations)]
        return listed

    def _remark(self, event: Mapping[str, Any]) -> None:
        annotation = event.get("annotation")
        name, where = self._names[Role.REMARKS], dict.fromkeys(("output_index", "content_index", "annotation_index"), 0)
        _, odd = fitted_event({"item_id": "", **where, "annotation": annotation}, name, {})
        if odd or not isinstance(annotation, dict):
            self._outlet.mend("R119", "it had no annotation that says what it is, and was left out")
            return
        number = len(self._annotations)
        if event.get("annotation_index") != number:
            self._outlet.mend("R116", "its annotation was numbered anew")
        said = self._say(name, {"annotation_index": number, "annotation": annotation}, event)
        self._annotations.append(said["annotation"])


class Printed(Part):
    """What one command printed: deltas by channel, and at the end the entries of `output` (R158)."""

    def __init__(self, part_type: str, place: int, number: int | None, outlet: Outlet, say: Say) -> None:
        super().__init__(part_type, place, number, outlet, say)
        self._channels: dict[str, list[str]] = {"stdout": [], "stderr": []}

    def close(self, shown: Any = None, *, listed: bool = False) -> None:
        if not self.closed:
            self._say_whole(shown if listed else None, None)

    def _add(self, event: Mapping[str, Any]) -> None:
        given = event.get("delta")
        if not isinstance(given, dict):
            self._outlet.mend("R013", "its delta was no object, and it was left out")
            return
        delta = {key: piece for key, piece in given.items() if key not in self._channels or isinstance(piece, str)}
        for channel, pieces in self._channels.items():
            pieces.append(delta.get(channel, ""))
        self._say(self._names[Role.ADDS], {"delta": delta}, event)

    def _say_whole(self, value: object, event: Mapping[str, Any] | None) -> None:
        entries = [dict(entry) for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
        told = {channel: "".join(pieces) for channel, pieces in self._channels.items()}
        if not entries:
            if event is not None:
                self._outlet.mend("R013", "its output was given what its deltas had said")
            entries = [{**told, "outcome": dict(_OUTCOME)}]
        rest: Json = {}
        for channel, said in told.items():
            shown = "".join(text for entry in entries if isinstance(text := entry.get(channel), str))
            whole, rest_of = reconciled(said, shown, "R158", self._outlet, f"the {channel}")
            if rest_of:
                rest[channel] = rest_of
            if whole != shown:
                for entry in entries:
                    entry[channel] = ""
                entries[0][channel] = whole
        if rest:
            self._say(self._names[Role.ADDS], {"delta": rest}, None)
        self.final = self._say(self._names[Role.SAYS_WHOLE], {"output": entries}, event)["output"]


def part_of(part_type: str, place: int, number: int | None, outlet: Outlet, say: Say) -> Part:
    """Return a part of *part_type*, before its first event."""
    return (Printed if part_type == "command output" else Part)(part_type, place, number, outlet, say)


def meant_in(row: list[Part], number: int | None, role: Role, kind: str) -> Part | None:
    """Return the part that an event speaks of: the one with its number, or the only one that may be meant."""
    named = next((part for part in reversed(row) if part.number == number), None) if number is not None else None
    if named is not None or role is Role.BEGINS:
        return named
    due = [part for part in row if not part.closed]
    if number is None:
        # A piece is of the part that began last, and what is done is the first one.
        same = [part for part in due if part.type == kind]
        if role is Role.ADDS:
            # Where nobody says that parts begin, more text behind a whole one is of the next part.
            same = [part for part in same if part.state == lifecycle.OPEN or not part.implied]
        if same:
            return same[-1 if role is Role.ADDS else 0]
        due = [part for part in due if part.state == lifecycle.OPEN and not part.implied]
        return due[0] if len(due) == 1 else None
    if due and _is_next(due[-1], number, kind):
        return None
    return due[0] if len(due) == 1 and (number >= len(row) or due[0].place == number) else None


def _is_next(part: Part, number: int, kind: str) -> bool:
    """Whether a higher number is that of a new part: where nobody says that parts begin, or it is of another kind."""
    return part.number is not None and number > part.number and (part.implied or kind != part.type)


def _is_part_of(one: object, whole: object) -> bool:
    """Whether an annotation is *whole*, or what is left of it."""
    if not (isinstance(one, dict) and isinstance(whole, dict) and one):
        return one == whole
    return all(whole.get(member, _NONE) == value for member, value in one.items() if value is not None)


def _value_of(event: Mapping[str, Any], member: str) -> object:
    """Return the done value of an event, also where it is one of another kind of part."""
    if member in event:
        return event[member]
    return next((event[other] for other in ("text", "refusal", "arguments", "command") if other in event), None)
