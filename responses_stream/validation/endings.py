"""The end of an item: what `output_item.done` says against what its events said, and what is kept of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import msgspec

from responses_stream import lifecycle
from responses_stream.validation.differences import difference, remembered, shown
from responses_stream.validation.findings import Findings
from responses_stream.validation.items import CHAINS, KEPT, STRINGS, OpenItem, at
from responses_stream.validation.parts import Part, judge_repeated
from responses_stream.validation.structure import word_of

_NEED_DONE: Final = frozenset({"function_call", "custom_tool_call", "mcp_call", "code_interpreter_call"})
_MAY_CHANGE: Final = ("status", "call_id", "encrypted_content")
_JSON_ARGUMENTS: Final = frozenset({"function_call", "mcp_call", "mcp_approval_request"})
_NOT_KEPT: Final = frozenset({"encrypted_content", "fingerprint"})
_ENDS: Final = lifecycle.FINAL | {"cancelled"}
# Of the parts in a member: the rule that all are done, that there are as many, and that the item repeats them.
_RULES: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType(
    {
        "content": ("R104", "R106", "R112"),
        "summary": ("R127", "R129", "R129"),
        "action.commands": ("R157", "R157", "R157"),
        "output": ("R158", "R158", "R158"),
    }
)


class DoneItem:
    """What is kept of an item that is done (R064, R072, R083, R180-R185).

    Attributes:
        index: the `output_index` that it said.
        misplaced: that index was told to be wrong.
        assumed: its added was never seen.
        shape: the item with its long texts as digests; None where the done item was wrong already.
        settled: nothing of it was still to come when it was done.
    """

    __slots__ = ("assumed", "id", "index", "misplaced", "settled", "shape", "status", "type")

    def __init__(self, item: OpenItem, id: str | None, status: str | None, shape: Any, settled: bool) -> None:
        self.type, self.index, self.misplaced, self.id, self.status = item.type, item.index, item.misplaced, id, status
        self.shape, self.settled, self.assumed = shape, settled, item.assumed


def judge_done(item: OpenItem, event: Mapping[str, Any], odd: Collection[str], findings: Findings) -> DoneItem:
    """Judge the finished item; *odd* are the places where the event is not built as it should be."""
    return _Ending(item, event.get("item"), odd, findings).judge()


class _Ending:
    def __init__(self, item: OpenItem, shown_item: Any, odd: Collection[str], findings: Findings) -> None:
        self._open, self._findings = item, findings
        self._item: Mapping[str, Any] = shown_item if isinstance(shown_item, dict) else {}
        self._odd = {path.removeprefix("$.item.") for path in odd if path.startswith("$.item.") or path == "$.item"}
        self._status = word_of(self._item.get("status"))
        self._wrong = bool(self._odd)

    def judge(self) -> DoneItem:
        item, kind = self._open, word_of(self._item.get("type"))
        item_id = self._own_id()
        if item.assumed:
            item.type = kind or item.type
        elif "$.item" in self._odd or kind is None:
            self._wrong = True
        elif kind != item.type:
            self._say("R073", "type", f"is {kind!r}", f"{item.type!r}, as it was added")
        else:
            item_id = self._judge_identity(item_id)
            self._judge_status()
            if not (item.opaque or item.late):
                self._judge_end()
            if not (item.opaque or item.doubt or self._wrong):
                self._judge_content()
        shape = None if self._wrong else remembered(dict(self._item), _NOT_KEPT)
        return DoneItem(item, item_id, self._status, shape, settled=not (item.lax or item.late))

    def _say(self, rule: str, member: str, seen: str, expected: str) -> None:
        """Say what is wrong with the item; what is an error is not said again of the copy in the response."""
        self._findings.say(rule, f"$.item.{member}" if member else "$.type", seen, expected)
        self._wrong = self._wrong or self._findings.gravity(rule) == "error"

    def _own_id(self) -> str | None:
        """Return the id of the item, which may be the one that its events had."""
        said = word_of(self._item.get("id")) or None
        return said if self._open.assumed or said == self._open.alias else self._open.id

    def _judge_identity(self, item_id: str | None) -> str | None:
        """R074-R076, R159: what an item is does not change while it is made. Return the id that can be relied on."""
        item, done, said = self._open, self._item, word_of(self._item.get("id"))
        if said is not None and item_id is not None and said != item_id:
            self._say("R074", "id", f"is {shown(said)}", f"{item_id!r}, as it was added")
            item_id = None
        if item.call_id is not None and done.get("call_id") != item.call_id and "call_id" not in self._odd:
            self._say("R075", "call_id", f"is {shown(done.get('call_id'))}", f"{item.call_id!r}, as it was added")
            item.call_id = None
        for member in KEPT:
            before = word_of(item.added.get(member))
            if before and done.get(member) != before and member not in self._odd:
                self._say("R076", member, f"is {shown(done.get(member))}", f"{shown(before)}, as it was added")
                break
        if not (item.grammar.streams or item.opaque) and self._findings.wanted("R159"):
            kept = {name: member for name, member in item.added.items() if name not in _MAY_CHANGE}
            found = difference(kept, done, _MAY_CHANGE)
            if found is not None:
                where, seen, expected = found
                self._findings.say("R159", f"$.item{where}", f"is {seen}", f"{expected}, as it was added")
        return item_id

    def _judge_status(self) -> None:
        """R077, R078, R086."""
        item, status, known = self._open, self._status, self._open.grammar.statuses
        seen = f"is {shown(status)}"
        if status is None:
            if item.status in lifecycle.FINAL and "status" not in self._odd:
                self._say("R086", "status", "is missing", f"{item.status!r}, which it had when it was added")
            return
        final = _ENDS if known is None else known & _ENDS
        if known is not None and not known:
            self._say("R077", "status", seen, f"no status: {item.type} has none")
        elif known is not None and status not in known:
            self._say("R077", "status", seen, " or ".join(sorted(known)))
        elif status not in final:
            self._say("R078", "status", f"{seen} in done", " or ".join(sorted(final)))
        elif item.status in lifecycle.FINAL and status != item.status:
            self._say("R086", "status", seen, f"{item.status!r}, which it had when it was added")
        else:
            return
        # What it should have been is not known, so nothing is made of it.
        self._odd.add("status")

    def _judge_end(self) -> None:
        """R104, R127, R143, R147-R152, R154, R156-R158: it may end only where its events have led to."""
        item = self._open
        for member, part in item.owed():
            if not part.late:
                self._say(_RULES[member][0], "", f"{part.type} {part.index} is {part.state}", "its done first")
            item.late = item.late or part.late or self._findings.gravity(_RULES[member][0]) == "error"
            if item.late:
                item.doubt = True
                return
        rule = self._unended()
        if rule is not None:
            self._say(*rule)
            item.late = item.late or self._findings.gravity(rule[0]) == "error"

    def _unended(self) -> tuple[str, str, str, str] | None:
        """Return what is wrong about the end of a tool: the rule, the member, what was seen and what was expected."""
        item, done, status = self._open, self._item, self._status
        failed = item.state == lifecycle.BROKEN
        if item.type in STRINGS and item.value is None:
            member, place = STRINGS[item.type]
            value = None if ".".join(place) in self._odd else at(done, place)
            if item.deltas or (item.type in _NEED_DONE and value):
                return "R143", ".".join(place), "a value that no event finished", f"the done event of {member}"
        if item.type in ("mcp_call", "mcp_list_tools") and "error" not in self._odd:
            told = done.get("error") is not None
            if failed is not told:
                seen = f"is {shown(done.get('error'))} after the {item.state} event"
                return "R148", "error", seen, "both to agree"
        ends = item.grammar.ends.get(item.state)
        if item.type not in CHAINS or (ends is not None and status in ends):
            return None
        if item.type == "mcp_list_tools":
            due = " or ".join(item.grammar.steps.get(item.state, ()))
            return None if ends is not None else ("R149", "", f"done where the item is {item.state}", due)
        if "status" in self._odd or status not in (None, *lifecycle.FINAL):
            return None
        if failed:
            return "R148", "status", f"is {shown(status)} after the failed event", "'failed'"
        if item.state == "completed":
            return "R156", "status", f"is {shown(status)} after the completed event", "'completed'"
        if status == "completed":
            return "R156", "status", "is 'completed' and no completed event came", "the event before it"
        return None

    def _judge_content(self) -> None:
        """R106, R112, R113, R129, R134, R142, R144, R157, R158: the finished item repeats what was said."""
        item, done = self._open, self._item
        if item.type in STRINGS and item.value is not None:
            _, place = STRINGS[item.type]
            shows = at(done, place)
            if shows != item.value:
                self._say("R142", ".".join(place), f"is {shown(shows)}", f"{shown(item.value)}, the done value")
                return
        if item.type in _JSON_ARGUMENTS and self._status in (None, "completed"):
            self._judge_arguments(done.get("arguments"))
        for member in item.grammar.parts:
            if not self._wrong:
                self._judge_parts(member)

    def _judge_arguments(self, arguments: object) -> None:
        if isinstance(arguments, str) and arguments and self._findings.wanted("R144"):
            try:
                msgspec.json.decode(arguments, type=msgspec.Raw)
            except (msgspec.DecodeError, RecursionError, UnicodeError):
                self._findings.say("R144", "$.item.arguments", f"is {shown(arguments)}", "valid JSON")

    def _judge_parts(self, member: str) -> None:
        item, parts = self._open, self._open.row(member).parts
        shows = at(self._item, tuple(member.split(".")))
        shows = shows if isinstance(shows, list) else []
        if member == "output":
            shows = _entries(shows, parts)
        elif member == "action.commands":
            for part in parts:
                part.final = part.value  # a command is done with its text alone, and the item shows that
        _, as_many, repeats = _RULES[member]
        if item.type == "reasoning" and member == "content":
            as_many = repeats = "R134"
        if not item.row(member).in_order:
            return
        if len(shows) != len(parts) and not any(part.doubt for part in parts):
            self._say(as_many, member, f"holds {len(shows)}", f"{len(parts)}, as many as were added")
            item.late = self._wrong
            return
        if item.type == "message" and not parts and self._status == "completed":
            self._findings.say("R113", f"$.item.{member}", "is empty", "a part at least in a completed message")
        same = judge_repeated(repeats, f"$.item.{member}", parts, shows, self._findings)
        self._wrong = self._wrong or not same


def _entries(shows: list[Any], parts: Sequence[Part]) -> list[Any]:
    """Cut the `output` of a shell call as its done events told it: one event may tell several entries."""
    cut: list[Any] = []
    for part in parts:
        size = len(part.final) if isinstance(part.final, list) else 1
        if size and not shows:
            return cut
        cut.append(shows[:size])
        shows = shows[size:]
    return cut + [[entry] for entry in shows]
