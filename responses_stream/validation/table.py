"""The items of one response: what an event does to them, and which rules of the items it breaks (R059-R088, R161-R163).

Where an event names no item, or names two, the rule is said once and the event goes to the item that it must have
meant; where that is not certain, no more is said of any that it may have meant.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, Final

from responses_stream import lifecycle
from responses_stream.validation.copies import Copies
from responses_stream.validation.differences import shown
from responses_stream.validation.endings import DoneItem, judge_done
from responses_stream.validation.findings import Findings
from responses_stream.validation.items import OpenItem
from responses_stream.validation.names import Names
from responses_stream.validation.parts import FAMILIES, SPOKEN_OF, Part
from responses_stream.validation.register import Register, likeness
from responses_stream.validation.structure import index_of, word_of

Event = dict[str, Any]

PART_EVENTS: Final = frozenset({*lifecycle.ROLES, *lifecycle.OPEN_REASONING_NAMES})
"""The events of parts."""

STEP_EVENTS: Final[Mapping[str, str]] = MappingProxyType(
    {name: kind for kind, grammar in lifecycle.ITEMS.items() for steps in grammar.steps.values() for name in steps}
)
"""The type of item that each event of a tool belongs to."""

_REASONING: Final = frozenset({*lifecycle.OPEN_REASONING_NAMES, *lifecycle.OPEN_REASONING_NAMES.values()})
_ITEM_OF_PART: Final = MappingProxyType(
    {
        "output_text": "message",
        "refusal": "message",
        "reasoning_text": "reasoning",
        "summary_text": "reasoning",
        "command": "shell_call",
        "command output": "shell_call_output",
    }
)


class Hot:
    """The next event, where it is one more delta like the last: what it has to look like, and where it goes."""

    __slots__ = ("count", "counted_by", "index", "item_id", "logprobs", "name", "obfuscated", "size", "takes")

    def __init__(self, event: Event, takes: OpenItem | Part, counted_by: str | None) -> None:
        self.name, self.size = event["type"], len(event)
        self.item_id, self.index = event.get("item_id"), event.get("output_index")
        self.counted_by, self.count = counted_by, event.get(counted_by) if counted_by else None
        self.logprobs, self.obfuscated = "logprobs" in event, "obfuscation" in event
        self.takes = takes


class ItemTable:
    """The items of one response.

    Attributes:
        cut_short: whether an item was done as incomplete, so that nothing may follow it (R059).
        hot: what the next event may look like to take the short way.
    """

    def __init__(self, findings: Findings, copies: Copies, request: Mapping[str, Any] | None, *, resumed: bool) -> None:
        self._findings, self._resumed = findings, resumed
        self._register = Register()
        self._names = Names(self._register, copies, request, findings, context=resumed)
        self.cut_short = False
        self.hot: Hot | None = None
        # The place of the last item that was added.
        self._last = 0
        # Whether events are missing, and whether items were taken as added that never were.
        self._gap = self._odd = False
        self._family = ""
        self._told: set[str] = set()

    @property
    def open(self) -> Mapping[int, OpenItem]:
        """The items that are open, by their place."""
        return self._register.open

    @property
    def done(self) -> Mapping[int, DoneItem]:
        """What is kept of the others."""
        return self._register.done

    @property
    def added_so_far(self) -> int:
        """How many items were added, as far as can be told."""
        return max(self._register.places.count, self._register.places.due)

    @property
    def in_order(self) -> bool:
        """Whether a list of all items can be compared with what was seen of them."""
        return self._register.places.orderly and not (self._odd or self._loose)

    @property
    def _loose(self) -> bool:
        """Whether items may have been added and finished that were not seen."""
        return self._resumed or self._gap

    def has_open(self, event: Event) -> bool:
        """Whether the item that an event speaks of is open."""
        item = event.get("item")
        item_id = word_of(item.get("id")) if isinstance(item, dict) else None
        register = self._register
        return (register.open_at(index_of(event.get("output_index"))) or register.named(item_id)) is not None

    def doubt(self, event: Event) -> None:
        """Take it that an event said something of an item that could not be read."""
        if "output_index" in event or "item_id" in event:
            found = self._register.find(index_of(event.get("output_index")), word_of(event.get("item_id")))
            if found is not None:
                found.cast_doubt()

    def excuse(self) -> None:
        """Take the open items as ones whose beginning was not seen: that they are there was told already."""
        for item in self._register.fresh():
            item.assumed = True

    def missed(self) -> None:
        """Take it that events are missing: what they said is not known, nor which items they added and finished."""
        self._gap = True
        for item in self._register.fresh():
            item.assumed = True
            item.cast_doubt()

    def unsure(self) -> None:
        """Take it that events may be missing: what the open items said is not known for sure."""
        for item in self._register.open.values():
            item.doubt = True
            for row in item.rows.values():
                for part in row.owed():
                    part.doubt = True

    def steady(self) -> None:
        """Take it back that events are missing: it is how this stream is numbered."""
        self._gap = False

    def clear(self) -> None:
        """Forget the items: the response has ended."""
        self._register.clear()
        self._names.clear()

    # Added.

    def added(self, event: Event, odd: Collection[str]) -> None:
        """Judge `output_item.added`; *odd* are the places where the event is not built as it should be."""
        findings, item, index = self._findings, event.get("item"), index_of(event.get("output_index"))
        fields: Mapping[str, Any] = item if isinstance(item, dict) else {}
        kind = word_of(fields.get("type"))
        if self._is_known(index, fields, kind):
            return
        if self.cut_short:
            findings.say("R059", "$.type", "an item after an incomplete one", lifecycle.INCOMPLETE, once="after")
        if any(not other.lax for other in self._register.few()):
            findings.say("R084", "$.output_index", "another item is open", "it to be done first", once="open")
        added = self._new(fields, kind or "", index, assumed=kind is None)
        if kind is not None:
            added.judge_added(fields, odd)
            self._names.judge(added)

    def _is_known(self, index: int | None, fields: Mapping[str, Any], kind: str | None) -> bool:
        """Whether the item was added before, or taken as added; say it where another one has its index (R063)."""
        known, done = self._register.open_at(index), self._register.done_at(index)
        if known is not None and known.assumed and not self._resumed:
            # It comes late; that it was missing is told.
            known.become(fields, kind or known.type)
            known.id = known.id or word_of(fields.get("id"))
            self._last = max(self._last, known.place)
            return True
        holder = known if known is not None else done
        if holder is None or holder.misplaced:
            return False
        if holder.assumed and not self._resumed:
            return True
        seen, expected = f"{index} was added before", str(self._register.places.due)
        self._findings.say("R063", "$.output_index", seen, expected, once=f"{index}")
        if word_of(fields.get("id")) != holder.id:
            return False
        if known is not None:
            known.excused = True  # this may have been its done
        return True

    def _new(self, fields: Mapping[str, Any], kind: str, index: int | None, *, assumed: bool) -> OpenItem:
        """Return a new item, and say where its index is not the next one (R062)."""
        places = self._register.places
        due, misplaced = places.due, places.of(index) is not None
        if index is not None and not misplaced and not places.fits(index) and not self._loose:
            self._say_once("R062", "$.output_index", f"is {index}", str(due))
            misplaced = True
        item = OpenItem(fields, kind, places.take(index), self._findings, assumed=assumed)
        item.index, item.misplaced = due if index is None else index, misplaced
        self._last = item.place
        self._register.add(item)
        return item

    # Done.

    def finish(self, event: Event, odd: Collection[str]) -> None:
        """Judge `output_item.done`."""
        findings, item, index = self._findings, event.get("item"), index_of(event.get("output_index"))
        fields: Mapping[str, Any] = item if isinstance(item, dict) else {}
        found = self._finished(index, fields) or self._done_elsewhere(index, fields)
        if found is None:
            return
        if not found.lax and any(other.place < found.place and not other.lax for other in self._register.few()):
            seen = f"the item at {found.index} before an earlier one"
            findings.say("R087", "$.output_index", seen, "the order of added", once="order")
        call_id = found.call_id
        kept = judge_done(found, event, odd, findings)
        if call_id is not None and found.call_id is None:
            self._names.dispute(found, call_id, word_of(fields.get("call_id")))
        if kept.status == "incomplete" and not found.assumed:
            if not self._register.places.orderly:
                pass  # which one is the last is not known
            elif found.place < self._last:
                seen = f"the item at {found.index} is incomplete"
                findings.say("R059", "$.item.status", seen, "only the last item to be")
                kept.status = None
            else:
                self.cut_short = True
        self._register.close(found, kept)

    def _finished(self, index: int | None, fields: Mapping[str, Any]) -> OpenItem | None:
        """Return the open item that is done: the one at *index*, unless another is more like it (R071, R074)."""
        findings, item_id = self._findings, word_of(fields.get("id"))
        found, named = self._register.find(index, item_id, word_of(fields.get("type")) or ""), None
        if found is None:
            return None
        named = self._register.named(item_id)
        if named is not None and named is not found and likeness(named, fields) > likeness(found, fields):
            seen = f"is {index}, and {shown(item_id)} was added at {named.index}"
            findings.say("R074", "$.output_index", seen, str(named.index))
            return named
        if index is not None and index != found.index and not found.misplaced:
            seen = f"no item is open at {index}, and {shown(found.id)} is at {found.index}"
            findings.say("R071", "$.output_index", seen, str(found.index))
        return found

    def _done_elsewhere(self, index: int | None, fields: Mapping[str, Any]) -> OpenItem | None:
        """Judge the done of an item that is not open; return the item that is taken as added."""
        findings, done = self._findings, self._register.done_at(index)
        if done is not None:
            if self._resumed or not done.assumed:
                seen = f"the item at {index} is done"
                findings.say("R072", "$.output_index", seen, "one done for each", once=f"{index}")
            return None
        if index is not None and not self._loose and not self._register.places.left_out(index):
            findings.say("R071", "$.output_index", f"no item was added at {index}", lifecycle.ITEM_ADDED)
        adopted = self._take_as_added(fields, word_of(fields.get("type")) or "", index)
        # What is still in progress is not done: it must have been its added.
        return None if adopted.status == "in_progress" and not self._loose else adopted

    def _take_as_added(self, fields: Mapping[str, Any], kind: str, index: int | None) -> OpenItem:
        """Return an item that was never added; where its index is not the next, it may be the index that is wrong."""
        places = self._register.places
        expected = index is None or self._loose or places.fits(index) or places.left_out(index)
        place = places.take(index) if expected or index is None else places.stray(index)
        self._odd = True
        adopted = OpenItem(fields, kind, place, self._findings, assumed=True)
        adopted.index = place if index is None else index
        self._register.add(adopted)
        if adopted.id is not None:
            self._register.ids.setdefault(adopted.id, place)
        return adopted

    # Inside an item.

    def inside(self, name: str, event: Event, odd: Collection[str]) -> None:
        """Judge an event inside an item."""
        known = lifecycle.OPEN_REASONING_NAMES.get(name, name)
        kind = _kind_of(known, event)
        item = self._subject(event, name, kind)
        if item is None:
            return
        parts = FAMILIES[SPOKEN_OF.get(known, "output_text")] if name in PART_EVENTS else None
        member, counted_by = (parts.member, parts.counted_by) if parts is not None else ("", None)
        if _is_broken(odd) and not item.accepts(name, member, event):
            # What it was meant to be is not known, so nothing is made of its place.
            item.cast_doubt()
            return
        if name in _REASONING and (item.lax or item.type == kind):
            family = name.rpartition(".")[0]
            self._family = self._family or family
            if family != self._family:
                self._say_once("R133", "$.type", f"is {name!r}", f"{self._family}.*, as before")
        takes: OpenItem | Part | None = item
        if parts is None:
            item.step(name, event)
        else:
            if member == "summary" and isinstance(event.get("part"), dict) and "$.part.type" not in odd:
                self._judge_summary(event["part"])
            takes = item.take_part(name, member, event, odd)
        if "item_id" not in event and (item.late or takes is None or takes.late):
            self._doubt_all(kind)
        if takes is None or takes.doubt or item.doubt or odd or event.get("logprobs"):
            return
        if name.endswith(".delta") and item.id == event.get("item_id", item.id) and isinstance(event["delta"], str):
            self.hot = Hot(event, takes, counted_by)

    def _judge_summary(self, part: Mapping[str, Any]) -> None:
        if part.get("type") != "summary_text":
            self._findings.say("R131", "$.part.type", f"is {shown(part.get('type'))}", "'summary_text'", once="summary")

    def _subject(self, event: Event, name: str, kind: str) -> OpenItem | None:
        """Return the item that an event is inside of, and say it where that is not certain (R081-R083)."""
        findings, index, item_id = self._findings, index_of(event.get("output_index")), word_of(event.get("item_id"))
        found, done = self._register.find(index, item_id, kind), self._register.done_at(index)
        if found is None and done is None:
            return self._unannounced(index, item_id, kind)
        if found is None and done is not None:
            if self._resumed or done.settled:
                seen = f"{name} after the item at {index} was done"
                findings.say("R083", "$.type", seen, "nothing more of it", once=f"{index}")
            if item_id is None:
                self._doubt_all(kind)
            return None
        assert found is not None
        if index is None or index == found.index:
            self._judge_id(found, item_id)
        elif not found.misplaced:
            found.misplaced = True
            if done is not None:
                seen = f"is {shown(item_id)}, but the item at {index} is {shown(done.id)}"
                findings.say("R081", "$.item_id", seen, "the id of the item at output_index")
            else:
                seen = f"no item was added at {index}, and {shown(item_id)} is at {found.index}"
                findings.say("R082", "$.output_index", seen, str(found.index))
        return found

    def _judge_id(self, item: OpenItem, item_id: str | None) -> None:
        """R081, once for each item."""
        if item_id is None or item_id in (item.id, item.alias):
            return
        other = self._register.named(item_id)
        if item.id is None:
            if other is None:
                item.id = item_id
                self._register.ids[item_id] = item.place
        elif not item.alias:
            findings, seen = self._findings, f"is {shown(item_id)}"
            findings.say("R081", "$.item_id", seen, f"{shown(item.id)}, the id of the item at {item.index}")
            item.alias = item_id
            if other is not None and findings.gravity("R081") == "error":
                # It may be the index that is wrong.
                item.cast_doubt()
                other.cast_doubt()

    def _unannounced(self, index: int | None, item_id: str | None, kind: str) -> OpenItem:
        """Return the item that an event must have meant which speaks of none; or take one as added (R082)."""
        places = self._register.places
        if not self._loose and not (index is not None and places.left_out(index)):
            if index is not None:  # else that it has none is told
                expected = lifecycle.ITEM_ADDED
                self._findings.say("R082", "$.output_index", f"no item was added at {index}", expected, once=f"{index}")
            meant = self._register.of_kind(kind) if item_id is None else []
            if len(meant) == 1 and not (index is not None and places.fits(index)):
                return meant[0]
            for item in meant:
                item.cast_doubt()
        return self._take_as_added({"id": item_id}, kind, index)

    def _doubt_all(self, kind: str) -> None:
        """Say no more of the items that an event may have meant which went elsewhere."""
        for item in self._register.of_kind(kind):
            item.cast_doubt()

    def _say_once(self, rule: str, path: str, seen: str, expected: str) -> None:
        if rule not in self._told:
            self._told.add(rule)
            self._findings.say(rule, path, seen, expected)


def _kind_of(name: str, event: Event) -> str:
    """Return the type of item that has such events."""
    spoken = SPOKEN_OF.get(name)
    if spoken is None and isinstance(event.get("part"), dict):
        spoken = word_of(event["part"].get("type"))
    return STEP_EVENTS.get(name) or _ITEM_OF_PART.get(spoken or "", "")


def _is_broken(odd: Collection[str]) -> bool:
    """Whether an event is built so wrong that it may not be what it says; log probabilities do not count."""
    return any(not path.startswith("$.logprobs") for path in odd)
