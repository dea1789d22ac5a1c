"""An item of the repaired stream: whatever the upstream says of it, it is added, filled, and done as it was filled.

Its own events are led by `repairing_steps`, its parts by `repairing_parts`. What the done item shows and no event said
is said by events before it; what it shows otherwise than it was said becomes what was said.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from responses_stream import lifecycle
from responses_stream.agents.repairing_opening import at_first, put
from responses_stream.agents.repairing_parts import Part, meant_in, part_of
from responses_stream.agents.repairing_report import Json, Outlet
from responses_stream.agents.repairing_shapes import EVENTS, fitted_event
from responses_stream.agents.repairing_steps import Steps
from responses_stream.lifecycle import Role
from responses_stream.protocol.plans import plan_of
from responses_stream.validation.differences import difference
from responses_stream.validation.items import KEPT, STRINGS, at
from responses_stream.validation.parts import FAMILIES, SPOKEN_OF
from responses_stream.validation.structure import index_of, word_of

_MCP: Final = ("mcp_call", "mcp_list_tools")
_UNKNOWN_ERROR: Final = "The call failed."
# Which rule a finished item breaks that is not what was said of it, by the member.
_RULES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "id": "R074",
        "call_id": "R075",
        "status": "R078",
        "type": "R073",
        "content": "R112",
        "summary": "R129",
        "action": "R157",
        "output": "R158",
        "error": "R148",
        **dict.fromkeys(KEPT, "R076"),
        **dict.fromkeys(("arguments", "input", "code", "operation"), "R142"),
    }
)
# Which rule an item breaks whose parts are not closed, or are too few, when it is done.
_OPEN_PARTS: Final = MappingProxyType({"summary": "R127", "action.commands": "R157", "output": "R158"})
_MORE_PARTS: Final = MappingProxyType({"summary": "R129", "action.commands": "R157", "output": "R158"})
_PLACE_RULES: Final = MappingProxyType({"item_id": "R081", "output_index": "R082"})
_WITHOUT_TYPE: Final = ("action.commands", "output")
_WITHOUT_ITEM_ID: Final = frozenset(name for name, kind in EVENTS.items() if "item_id" not in plan_of(kind).members)
_ENDS: Final = lifecycle.FINAL | {"cancelled"}


class Item:
    """An item that was added.

    Attributes:
        type: its type.
        id: its id in every event, the first one that was seen.
        index: its place in the output.
        number: the `output_index` that the upstream gives it; None where it gives none.
        implied: whether no added told of it, but its own events.
        closed: whether its done was said.
        cut: whether it ended as incomplete.
        shown: the item as its added, or its done, says it.
        early: the item as the upstream showed it first.
    """

    def __init__(
        self, fields: Mapping[str, Any], kind: str, item_id: str, number: int | None, outlet: Outlet, *, implied: bool
    ) -> None:
        self.type, self.id, self.number, self.implied = kind, item_id, number, implied
        self.index = -1
        self.closed = self.cut = False
        self.shown: Json = {}
        self._outlet = outlet
        self._set_out(fields)

    def _set_out(self, fields: Mapping[str, Any]) -> None:
        kind, outlet = self.type, self._outlet
        operation = fields.get("operation")
        deletes = kind == "apply_patch_call" and isinstance(operation, dict) and operation.get("type") == "delete_file"
        self._grammar = lifecycle.WITHOUT_DIFF if deletes else lifecycle.grammar_of(kind)
        self._steps = Steps(kind, self._grammar, fields, outlet, self._say)
        self._rows: dict[str, list[Part]] = {member: [] for member in self._grammar.parts}
        self._members = {one: member for member, types in self._grammar.parts.items() for one in types}
        # What an added shows that may only be said later.
        self.early = fields

    @property
    def said(self) -> bool:
        """Whether it was said that it is added."""
        return self.index >= 0

    @property
    def texts(self) -> list[str]:
        """What was said of each text of it that is not over."""
        parts = [part.text for row in self._rows.values() for part in row if not part.closed]
        return [text for text in (*parts, self._steps.text) if text]

    def has_closed(self, event: Mapping[str, Any]) -> bool:
        """Whether the text of the part that an event counts is over."""
        numbers = {index_of(event.get(member)) for member in ("content_index", "summary_index")} - {None}
        over = (lifecycle.VALUE_DONE, lifecycle.CLOSED)
        return any(part.state in over and part.number in numbers for row in self._rows.values() for part in row)

    @property
    def begun(self) -> bool:
        """Whether anything was said of it besides that it was added."""
        return self._steps.state != lifecycle.OPEN or any(self._rows.values())

    # Added.

    def open(self, index: int, fields: Mapping[str, Any], event: Mapping[str, Any] | None) -> None:
        """Say that it is added.

        Args:
            index: its place in the output.
            fields: what is known of it.
            event: the event of the upstream that says so, where there is one.
        """
        self.index = index
        if fields is not self.early:
            self._set_out(fields)
        made = at_first(self.early, self.type, self.id, self._grammar, added=event is not None)
        said, _ = fitted_event({**(event or {}), "output_index": self.index, "item": made}, lifecycle.ITEM_ADDED, {})
        self.shown = said["item"]
        self._steps.name = word_of(self.shown.get("name")) or ""
        if event is not None:
            self._compare(self.early, added=True)
            self._placed(event, "R062")
        self._outlet.say(said)

    # What comes inside.

    def take(self, name: str, event: Mapping[str, Any]) -> None:
        """Take an event inside of it."""
        if not self._grammar.parts:
            self._steps.take(name, event)
            return
        spoken = lifecycle.OPEN_REASONING_NAMES.get(name, name)
        role = lifecycle.ROLES.get(spoken)
        if role is None:
            role = {"delta": Role.ADDS, "done": Role.SAYS_WHOLE}.get(name.rpartition(".")[2])
        shown = event.get("part")
        kind = SPOKEN_OF.get(spoken) or (_kind_of(shown) if isinstance(shown, dict) else "")
        if role is None or (kind == "summary_text" and "summary" not in self._grammar.parts):
            self._outlet.mend("R085" if role is None else "R125", f"a {self.type} has no such events; it was left out")
            return
        if role in (Role.ENDS, Role.SAYS_WHOLE) and not _says_text(event) and self._is_new(kind, event):
            self._outlet.mend("R097", "nothing was said yet, so it was taken as the beginning of its part")
            role = Role.BEGINS
        part = self._part_of(kind, role, event)
        if part is None:
            return
        if SPOKEN_OF.get(spoken, part.type) != part.type:
            self._outlet.mend("R099", f"it was taken as an event of {part.type}, which the part is")
        part.take(role, event)

    def _part_of(self, kind: str, role: Role, event: Mapping[str, Any]) -> Part | None:
        """Return the part that an event is of, begun where it has to be; None where the event is left out."""
        if kind not in self._members:
            kind = self._open_type() or ("output_text" if self.type == "message" else min(self._members))
        row = self._rows[self._members[kind]]
        number = index_of(event.get(FAMILIES[kind].counted_by))
        found = meant_in(row, number, role, kind)
        if found is not None:
            return found
        if role is Role.REMARKS and not row:
            self._outlet.mend("R115", "it belongs to no part, and was left out")
            return None
        part = self._new_part(kind, row, number)
        if role is not Role.BEGINS and part.takes(Role.BEGINS):
            rule = {"summary_text": "R127", "reasoning_text": "R132", "command": "R157"}.get(kind, "R093")
            self._outlet.mend(rule, f"its part was never added; {kind} {part.place} was added before it")
            part.begin()
            part.implied = True
        return part

    def _is_new(self, kind: str, event: Mapping[str, Any]) -> bool:
        """Whether an event is of a part that has not begun."""
        number = index_of(event.get(FAMILIES[kind].counted_by)) if kind in FAMILIES else None
        return number is not None and not any(part.number == number for row in self._rows.values() for part in row)

    def _open_type(self) -> str | None:
        return next((part.type for row in self._rows.values() for part in row if not part.closed), None)

    def _new_part(self, kind: str, row: list[Part], number: int | None) -> Part:
        part = part_of(kind, len(row), number, self._outlet, self._say_of_part)
        row.append(part)
        return part

    # Done.

    def close(
        self,
        event: Mapping[str, Any] | None,
        fields: Mapping[str, Any] | None,
        *,
        cut: bool = False,
        last: bool = True,
    ) -> None:
        """Say what is owed of it, and that it is done.

        Args:
            event: the event of the upstream that says so, where there is one.
            fields: what the upstream shows as the finished item, there or in the final output; None where it was
                never shown.
            cut: whether it was cut off, so that it is incomplete where its type knows that.
            last: whether no item stands behind it: only then it may be incomplete (R059).
        """
        given = fields or {}
        source = self.early if fields is None else given
        for member in self._rows:
            self._close_parts(member, source)
        if self.type in STRINGS:
            self._steps.show(at(source, STRINGS[self.type][1]))
        wanted, failed = self._wanted(given, cut)
        status = self._steps.end(wanted, failed=failed, last=last, told=event is not None)
        made = {**(event or {}), "output_index": self.index, "item": self._finished(given, status)}
        said, _ = fitted_event(made, lifecycle.ITEM_DONE, {"item": self.shown})
        self.shown = said["item"]
        if fields is not None:
            self._compare(fields)
        if event is not None:
            self._placed(event, "R071")
        self._outlet.say(said)
        self.closed, self.cut = True, self.shown.get("status") == "incomplete"
        # What the finished item says is kept, and nothing else.
        self._rows, self.early = {}, {}
        self._steps = Steps(self.type, self._grammar, {}, self._outlet, self._say)

    def so_far(self) -> Json:
        """Return the item as it is shown where its done may not be said any more: what was said of its texts."""
        made: Json = {**self.shown, "status": "incomplete"}
        for member, row in self._rows.items():
            if row:
                made[member] = [part.so_far() for part in row]
        return made

    def _wanted(self, given: Mapping[str, Any], cut: bool) -> tuple[str | None, bool]:
        """Return the status that it should end with, and whether its events have to tell that it failed."""
        status, before = given.get("status"), self.shown.get("status")
        if isinstance(before, str) and before in lifecycle.FINAL:
            status = before  # R086
        elif not isinstance(status, str) or status not in _ENDS:
            without = "status" not in (given or self.shown) and None in self._grammar.ends.get(self._steps.state, ())
            status = None if without else ""
        if self._steps.failed or (self.type in _MCP and given.get("error") is not None):
            return "failed", True
        if cut and not status:
            return "incomplete", self.type == "mcp_list_tools"
        if status == "cancelled":
            return "failed", False
        return ("completed" if status == "" else status), status == "failed"

    def _close_parts(self, member: str, source: Mapping[str, Any]) -> None:
        """Close the parts of a row by what the finished item has there, and say those that stand there only."""
        shows, row = at(source, tuple(member.split("."))), self._rows[member]
        listed = list(shows) if isinstance(shows, list) else []
        if len(listed) > len(row) and _is_all_said(listed, row):
            listed = []  # where nothing told them apart, one part has said all of it
        taken = 0
        for part in row:
            # One event may tell several entries of what was printed.
            size = len(part.final) if member == "output" and part.closed else 1
            here = listed[taken : taken + size]
            taken += size
            if not part.closed and here:
                self._outlet.mend(_OPEN_PARTS.get(member, "R104"), f"{part.type} {part.place} was closed before it")
            if not here:
                part.close()
            else:
                part.close(here if member == "output" else here[0], listed=True)
        for shown in listed[taken:]:
            self._add_part(member, shown)

    def _add_part(self, member: str, shown: Any) -> None:
        types, row = self._grammar.parts[member], self._rows[member]
        kind = _kind_of(shown) if isinstance(shown, dict) else ""
        if member not in _WITHOUT_TYPE and not kind:
            return
        if kind not in types:
            kind = "output_text" if self.type == "message" else min(types)
        rule = _MORE_PARTS.get(member, "R106")
        self._outlet.mend(rule, f"{kind} {len(row)} stood in the finished item only, and was said before it")
        self._new_part(kind, row, None).close([shown] if member == "output" else shown, listed=True)

    def _finished(self, given: Mapping[str, Any], status: str | None) -> Json:
        """Return the finished item: what the upstream shows of it, and above that what was said."""
        made: Json = {**(given or self.shown), "type": self.type, "id": self.id}
        for member in ("call_id", *KEPT):
            if isinstance(before := self.shown.get(member), str) and before:
                made[member] = before
        if status is not None:
            made["status"] = status
        elif self._grammar.statuses is not None or made.get("status") not in (None, *_ENDS):
            made.pop("status", None)
        for member, row in self._rows.items():
            finals = [part.final for part in row]
            if member == "output":
                finals = [entry for final in finals for entry in final]
            if finals or at(made, tuple(member.split("."))):
                put(made, tuple(member.split(".")), finals)
        if self._steps.value is not None:
            put(made, STRINGS[self.type][1], self._steps.value)
        if self.type in _MCP:
            self._settle_error(made)
        return made

    def _settle_error(self, made: Json) -> None:
        """R148: the failed event and the error of the finished item go together."""
        error = made.get("error")
        told = error is not None
        fits = isinstance(error, str) or (isinstance(error, dict) and self.type == "mcp_call")
        if self._steps.failed and not fits:
            failure = {"type": "mcp_tool_execution_error", "content": _UNKNOWN_ERROR}
            made["error"] = failure if self.type == "mcp_call" else _UNKNOWN_ERROR
        elif told and not self._steps.failed:
            made["error"] = None

    # Saying it.

    def _compare(self, given: Mapping[str, Any], *, added: bool = False) -> None:
        """Report where the item is not said as the upstream shows it."""
        found = difference(dict(given), self.shown, (), "")
        if found is None:
            return
        where, seen, before = found
        member = where.removeprefix(".").partition(".")[0].partition("[")[0]
        rule = "R068" if before == "absent" else _RULES.get(member, "R068")
        if added and rule not in ("R068", "R074"):
            rule = "R069" if member == "status" else "R070"
        self._outlet.mend(rule, f"item{where} was {before}, and became {seen}")

    def _placed(self, event: Mapping[str, Any], rule: str) -> None:
        number = event.get("output_index")
        if number != self.index or isinstance(number, bool):
            rule = rule if number is not None else "R013"
            self._outlet.mend(rule, f"its output_index became {self.index}", habit=f"index {self.index}")

    def _say(self, name: str, members: Mapping[str, Any], event: Mapping[str, Any] | None) -> None:
        """Say an event of its own, made of *event* where there is one."""
        self._say_at(name, members, event, {}, "R014")

    def _say_of_part(self, name: str, members: Mapping[str, Any], event: Mapping[str, Any] | None, part: Part) -> Json:
        """Say an event of a part."""
        family = FAMILIES[part.type]
        return self._say_at(
            self._outlet.spoken(name, event), members, event, {family.counted_by: part.place}, family.place
        )

    def _say_at(
        self,
        name: str,
        members: Mapping[str, Any],
        event: Mapping[str, Any] | None,
        counts: Mapping[str, int],
        rule: str,
    ) -> Json:
        where: Json = {"output_index": self.index, **counts}
        given = event or {}
        if name not in _WITHOUT_ITEM_ID or "item_id" in given:
            where["item_id"] = self.id
        for member, value in where.items() if event is not None else ():
            if member not in given:
                self._outlet.mend("R013", f"its {member} was missing", habit=member)
            elif given[member] != value or isinstance(given[member], bool):
                broken = _PLACE_RULES.get(member, rule)
                self._outlet.mend(broken, f"its {member} became {value!r}", habit=f"{member} {self.index}")
        said, odd = fitted_event({**given, **where, **members}, name, {})
        if event is not None and odd:
            self._outlet.mend("R109" if "logprobs" in odd[0] else "R015", f"{odd[0]} did not fit its type")
        self._outlet.say(said)
        return said


def _kind_of(part: Mapping[str, Any]) -> str:
    """Return the type of a part, which a refusal shows without it."""
    kind = part.get("type")
    return kind if isinstance(kind, str) else "refusal" if "refusal" in part else ""


def _is_all_said(listed: list[Any], row: list[Part]) -> bool:
    """Whether the parts that were said have the texts of all that are listed."""
    said = "".join(part.text for part in row)
    shown = [one.get("text") or one.get("refusal") for one in listed if isinstance(one, dict)]
    return bool(said) and said == "".join(text for text in shown if isinstance(text, str))


def _says_text(event: Mapping[str, Any]) -> bool:
    """Whether the done event of a part, or of its text, shows any text."""
    holders = [holder for holder in (event, event.get("part")) if isinstance(holder, dict)]
    return any(holder.get(member) for holder in holders for member in ("text", "refusal", "command", "output"))
