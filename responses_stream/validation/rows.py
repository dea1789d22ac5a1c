"""The parts of an item that stand in one member, and which of them an event speaks of.

An event names its part by a number and, mostly, by its own name: text, refusal, summary. Where the two disagree, or no
part has that number, the rule is said once and the event goes to the part that it must have meant.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from responses_stream import lifecycle
from responses_stream.lifecycle import Role
from responses_stream.validation.differences import shown
from responses_stream.validation.findings import Findings
from responses_stream.validation.parts import FAMILIES, SPOKEN_OF, Part, part_of
from responses_stream.validation.places import Places
from responses_stream.validation.structure import index_of, word_of

_FEW: Final = 64


class Row:
    """The parts of one member.

    Args:
        types: the types of parts that may stand here; empty where that is not known.
        findings: takes what is wrong.
    """

    __slots__ = ("_findings", "_loose", "_open", "_places", "_told", "_types", "parts")

    def __init__(self, types: Iterable[str], findings: Findings) -> None:
        self._types, self._findings = sorted(types), findings
        self._places = Places()
        self._told: set[str] = set()
        self._loose = False
        self.parts: list[Part] = []
        self._open: dict[int, Part] = {}

    def owed(self) -> Iterator[Part]:
        """Yield the parts that are not done."""
        return iter(self._open.values())

    def _few(self) -> list[Part]:
        """Return the open parts, though not without end: guesses are made among few."""
        return list(islice(self._open.values(), _FEW))

    @property
    def in_order(self) -> bool:
        """Whether a list of them can be compared with what was seen of them."""
        return self._places.orderly and self._places.count == self._places.due

    def cast_doubt(self) -> None:
        """Say no more of the parts that are here."""
        for part in self.parts:
            part.cast_doubt()

    def accepts(self, name: str, event: Mapping[str, Any]) -> bool:
        """Whether an event may come now."""
        name = lifecycle.OPEN_REASONING_NAMES.get(name, name)
        spoken = SPOKEN_OF.get(name)
        part = self._at(index_of(event.get(FAMILIES[spoken or self._type_for(None)].counted_by)), name)
        if lifecycle.ROLES[name] is Role.BEGINS:
            return part is None and spoken in (None, *self._types)
        return part is not None and part.takes(name)

    def take(
        self, name: str, event: Mapping[str, Any], odd: Collection[str], *, mute: bool, unseen: bool = False
    ) -> Part:
        """Judge an event of one of the parts and return the part.

        *mute*: nothing is to be said of new ones. *unseen*: they may have begun before the item was seen.
        """
        name = lifecycle.OPEN_REASONING_NAMES.get(name, name)
        kind = word_of(event["part"].get("type")) if isinstance(event.get("part"), dict) else None
        part_type = SPOKEN_OF.get(name) or self._type_for(kind)
        index = index_of(event.get(FAMILIES[part_type].counted_by))
        part = self._at(index, name)
        if lifecycle.ROLES[name] is Role.BEGINS:
            part = self._begin(part, name, part_type, index, mute)
            if name == lifecycle.PART_ADDED and kind != part_type:
                part.cast_doubt()
        elif part is None:
            part = self._missing(name, part_type, index, mute)
            if unseen and part.state == lifecycle.ABSENT:
                part.enter(name)
        elif not part.takes(name):
            part = self._other(part, name)
        part.take(name, event, odd)
        if part.closed:
            self._open.pop(part.place, None)
        return part

    def _type_for(self, kind: str | None) -> str:
        """Return the type of a part that an event shows, or one that may stand here."""
        known = self._types or list(FAMILIES)
        return kind if kind is not None and kind in known else known[0]

    def _at(self, index: int | None, name: str) -> Part | None:
        """Return the part that says that it has *index*, or the one whose number was wrong, or the only one."""
        place = self._places.of(index)
        if place is not None:
            part = self.parts[place]
            part.misplaced = part.misplaced and lifecycle.ROLES[name] is Role.BEGINS
            return part
        if index is None:
            return next(iter(self._open.values())) if len(self._open) == 1 else None
        meant = [part for part in self._few() if part.misplaced and part.takes(name)]
        return meant[0] if len(meant) == 1 else None

    def _begin(self, known: Part | None, name: str, part_type: str, index: int | None, mute: bool) -> Part:
        """Return the part that begins (R091, R092, R108, R126, R127, R130, R157, R158)."""
        family, due = FAMILIES[part_type], self._places.due
        path, told = f"$.{family.counted_by}", False
        if known is not None and index is not None and not known.misplaced:
            if not known.closed:
                # It is added twice, or late: its own table knows. Or it is another one with a wrong number.
                self._loose = True
                self._places.may_lack_one()
                return known
            known.refuse(name, f"part {due}")
            mute = told = True
        elif index is not None and not mute and not self._places.fits(index):
            told = True
            self._say_once(family.place, path, f"is {index}", str(due))
        alone = not self._open
        part = self._new(part_type, index, mute)
        part.misplaced = told
        if told and self._findings.gravity(family.place) == "error":
            part.cast_doubt()
        if family.alone is not None and not mute and not alone:
            self._findings.say(family.alone, path, "another part of the item is open", "it to be done first")
        return part

    def _missing(self, name: str, part_type: str, index: int | None, mute: bool) -> Part:
        """Return the part that an event speaks of and that was never added, or the one that it must have meant."""
        announces = lifecycle.PARTS[part_type][lifecycle.ABSENT]
        meant = [part for part in self._few() if part.takes(name)]
        fits = index is not None and self._places.fits(index)
        if name in announces and (mute or index is None or fits or len(meant) != 1):
            return self._begin(None, name, part_type, index, mute)
        if not (mute or self._loose or (index is not None and self._places.left_out(index))):
            rule = lifecycle.broken_in_part(part_type, lifecycle.ABSENT, name)
            self._say_once(rule, "$.type", f"{name}, and no part {shown(index)} was added", " or ".join(announces))
            if len(meant) == 1 and not fits:
                return meant[0]
            # Either one was not added, or the number is wrong and it is a piece of another.
            for part in meant:
                part.cast_doubt()
        expected = index is None or fits or self._places.left_out(index)
        return self._new(part_type, index, mute=True, expected=expected)

    def _other(self, part: Part, name: str) -> Part:
        """Return the part that an event must have meant, which the one that it names does not take."""
        meant = [other for other in self._few() if other is not part and other.takes(name)]
        if part.late or not meant:
            return part
        if part.refuse(name, f"part {meant[0].index}"):
            for other in meant:
                other.cast_doubt()
        return meant[0]

    def _new(self, part_type: str, index: int | None, mute: bool, *, expected: bool = True) -> Part:
        number = self._places.due if index is None else index
        part = part_of(part_type, number, self._findings, doubt=mute)
        part.place = self._places.take(index) if expected else self._places.stray(number)
        self.parts.append(part)
        self._open[part.place] = part
        return part

    def _say_once(self, rule: str, path: str, seen: str, expected: str) -> None:
        if rule not in self._told:
            self._told.add(rule)
            self._findings.say(rule, path, seen, expected)
