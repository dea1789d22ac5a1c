"""An item while it is open: its own events, the string that it streams, and its parts.

The life of an item is its `Grammar` in `responses_stream.lifecycle`. This module steps through it and names the rule
when it refuses; what the finished item says is judged in `endings`. Once an error of its events was told, an item is in
doubt, and no more is said of them: what follows has mostly the same cause.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from io import StringIO
from types import MappingProxyType
from typing import Any, Final

from responses_stream import lifecycle
from responses_stream.validation.differences import remembered, shown
from responses_stream.validation.findings import Findings
from responses_stream.validation.parts import Part, judge_whole
from responses_stream.validation.rows import Row
from responses_stream.validation.structure import index_of, word_of

# The streamed strings: the item, the stem of its events, the member of the done event, and the place in the item.
STRINGS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = MappingProxyType(
    {
        "function_call": ("arguments", ("arguments",)),
        "custom_tool_call": ("input", ("input",)),
        "mcp_call": ("arguments", ("arguments",)),
        "code_interpreter_call": ("code", ("code",)),
        "apply_patch_call": ("diff", ("operation", "diff")),
    }
)
"""The streamed strings: for the item, the member of the done event that holds it, and its place in the item."""

CHAINS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "mcp_call": "R147",
        "mcp_list_tools": "R149",
        "file_search_call": "R150",
        "web_search_call": "R151",
        "code_interpreter_call": "R152",
        "image_generation_call": "R154",
    }
)
"""The rule of the order of its own events, for the items that have a chain of them."""

KEPT: Final = ("name", "role", "server_label", "namespace", "container_id", "execution")
"""What an item keeps once it has it (R076)."""

_EMPTY_AT_FIRST: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = MappingProxyType(
    {
        **{kind: (place,) for kind, (_, place) in STRINGS.items()},
        "message": (("content",),),
        "reasoning": (("summary",), ("content",)),
        "shell_call": (("action", "commands"),),
        "shell_call_output": (("output",),),
    }
)
# R150 and R151 say of each state that it comes once; of others, services repeat the first (R146).
_EACH_ONCE: Final = frozenset({"file_search_call", "web_search_call"})
_LATE_BEGIN: Final = frozenset({"shell_call_output"})


class OpenItem:
    """An item that was added and is not done.

    Attributes:
        place: where it stands among the items, in the order in which they came.
        index: the `output_index` that it says.
        misplaced: that index was told to be wrong, so that its events may carry another.
        assumed: its added was never seen, so that its beginning cannot be judged.
        doubt: an error of what it holds was told, so that no more is said of that.
        late: an error of the order of its events was told, so that no more is said of it.
        excused: that it is not done is told already.
        id: its id; None where it has none that can be relied on.
        alias: another id that its events carry.
        rows: its parts, by the member that they stand in.
        value: the done value of its streamed string.
    """

    __slots__ = (
        *("_findings", "_images", "_steps_seen", "_string", "added", "alias", "assumed", "call_id", "deltas"),
        *(
            "doubt",
            "excused",
            "grammar",
            "id",
            "index",
            "late",
            "misplaced",
            "place",
            "rows",
            "state",
            "status",
            "type",
            "value",
        ),
        "write",
    )

    def __init__(
        self, item: Mapping[str, Any], item_type: str, place: int, findings: Findings, *, assumed: bool = False
    ) -> None:
        self._findings, self.place, self.index, self.assumed = findings, place, place, assumed
        self.misplaced = self.doubt = self.late = self.excused = False
        self.id, self.alias = word_of(item.get("id")) or None, ""
        self.rows: dict[str, Row] = {}
        self._steps_seen: set[str] = set()
        self._images = 0
        self._string = StringIO()
        self.write = self._string.write
        self.deltas = 0
        self.value: str | None = None
        self.state = lifecycle.OPEN
        self.become(item, item_type)

    def become(self, item: Mapping[str, Any], item_type: str) -> None:
        """Take what the item says of itself as it begins."""
        self.type, self.grammar = item_type, _grammar_of(item, item_type)
        if self.state not in self.grammar.steps:
            self.state = lifecycle.OPEN
        self.call_id, self.status = word_of(item.get("call_id")) or None, word_of(item.get("status"))
        kept = {member: word_of(item.get(member)) for member in KEPT}
        self.added: Mapping[str, Any] = kept if self.grammar.streams else remembered(dict(item))

    @property
    def opaque(self) -> bool:
        """Whether its type is not known, so that any event may be its own."""
        return self.grammar is lifecycle.UNKNOWN_ITEM

    @property
    def lax(self) -> bool:
        """Whether its beginning was not seen, or what it is, so that only what is certain is judged."""
        return self.assumed or self.opaque

    @property
    def string(self) -> str:
        """What the deltas of its streamed string said."""
        return self._string.getvalue()

    def cast_doubt(self) -> None:
        """Say no more of its events and its parts."""
        if self.doubt and self.late:
            return
        self.doubt = self.late = True
        for row in self.rows.values():
            row.cast_doubt()

    def _refuse(self, rule: str, path: str, seen: str, expected: str) -> None:
        """Say which rule an event breaks that may not come now; an error is said once."""
        if not self.late:
            self._findings.say(rule, path, seen, expected)
            self.late = self._findings.gravity(rule) == "error"
            self.doubt = self.doubt or self.late

    # Added.

    def judge_added(self, item: Mapping[str, Any], odd: Collection[str]) -> None:
        """Judge the item as it begins (R065, R069, R070, R077, R080)."""
        findings, kind = self._findings, self.type
        if kind in lifecycle.INPUT_ONLY:
            findings.say("R080", "$.item.type", f"is {kind!r}, which is for input only", "an output item")
            self.assumed, self.id, self.grammar = True, None, lifecycle.UNKNOWN_ITEM
            return
        if self.opaque and ":" not in kind:
            findings.say("R065", "$.item.type", f"is {kind!r}", "a known type, or one with a slug: 'acme:thing'")
        status, known = self.status, self.grammar.statuses
        if known is not None and status is not None:
            if status not in known:
                expected = " or ".join(sorted(known)) or "no status"
                findings.say("R077" if known else "R069", "$.item.status", f"is {shown(status)}", expected)
                self.status = None
            elif status != "in_progress" and self.grammar.streams and kind not in _LATE_BEGIN:
                findings.say("R069", "$.item.status", f"is {shown(status)} in added", "'in_progress'")
        for place in _EMPTY_AT_FIRST.get(kind, ()):
            value, path = at(item, place), f"$.item.{'.'.join(place)}"
            if value and not any(one.startswith(path) for one in odd):
                findings.say("R070", path, f"is {shown(value)} in added", "nothing in it yet")
                self.doubt = self.doubt or findings.gravity("R070") == "error"

    # Its own events.

    def step(self, name: str, event: Mapping[str, Any]) -> None:
        """Take an event of a tool: a state, or a piece or the whole of a streamed string."""
        if self.opaque:
            return
        after = self.grammar.steps.get(self.state, {}).get(name)
        counts = after is not None or self._refused(name)
        self._steps_seen.add(name)
        if not counts:
            return
        if after is not None:
            self.state = after
        if name.endswith(".delta"):
            self._add(event)
        elif name.endswith(".partial_image"):
            self._count_image(index_of(event.get("partial_image_index")))
        elif name.endswith(("arguments.done", "input.done", "code.done", "diff.done")):
            self._say_whole(event)

    def _refused(self, name: str) -> bool:
        """Say which rule the event breaks; return whether it is an event of this item, and counts all the same."""
        steps = self.grammar.steps
        states = [state for state, after in steps.items() if name in after]
        if not states:
            diff = self.grammar is lifecycle.WITHOUT_DIFF and "operation_diff" in name
            self._reject("R160" if diff else "R085", name, self._allowed())
            return False
        value = name.endswith((".delta", ".done"))
        if self.assumed and name not in self._steps_seen:
            pass
        elif value and self.value is not None:
            self._refuse("R140", "$.type", f"{name} after the done value", self._allowed())
        elif name.endswith(".in_progress") and name in self._steps_seen and self.type not in _EACH_ONCE:
            self._refuse("R146", "$.type", f"a second {name}", self._allowed())
        elif name.endswith(".partial_image") and self.state.startswith("generating"):
            most = f"at most {lifecycle.MOST_PARTIAL_IMAGES} partial images"
            if not self.doubt:
                self._refuse("R155", "$.type", f"partial image {self._images + 1}", most)
        else:
            rule = CHAINS.get(self.type, "R085")
            self._refuse(rule, "$.type", f"{name} where {self.type} is {self.state}", self._allowed())
        self._go_to(steps[states[0]][name])
        return value and self.value is None

    def _reject(self, rule: str, name: str, expected: str) -> None:
        """Say that an event is none of this item; it may be one of it by another name."""
        if not self.late:
            self._findings.say(rule, "$.type", f"{name} inside {self.type}", expected)
            if self._findings.gravity(rule) == "error":
                self.cast_doubt()

    def _go_to(self, state: str) -> None:
        """Go on to *state* unless the item is further on: a late event does not open it again."""
        order = list(self.grammar.steps)
        if order.index(state) > order.index(self.state):
            self.state = state

    def _allowed(self) -> str:
        return " or ".join([*self.grammar.steps.get(self.state, ()), lifecycle.ITEM_DONE])

    def _count_image(self, index: int | None) -> None:
        # Of an item whose beginning was not seen, images may have been shown before.
        unseen = self.assumed and not self._images
        if index is not None and index != self._images and not (self.doubt or unseen):
            self._findings.say("R155", "$.partial_image_index", f"is {index}", str(self._images))
            self.doubt = self._findings.gravity("R155") == "error"
        self._images = self._images + 1 if index is None else index + 1

    def _add(self, event: Mapping[str, Any]) -> None:
        delta = event.get("delta")
        if not isinstance(delta, str):
            self.doubt = True
            return
        if not delta:
            self._findings.say("R107", "$.delta", "is empty", "some text", once="empty delta")
        self.write(delta)
        self.deltas += 1

    def _say_whole(self, event: Mapping[str, Any]) -> None:
        member, _ = STRINGS[self.type]
        name, value = event.get("name"), event.get(member)
        mine = self.added.get("name")
        if self.type == "function_call" and not (self.lax or self.late):
            if isinstance(name, str) and mine is not None and name != mine:
                self._findings.say("R145", "$.name", f"is {shown(name)}", f"{shown(mine)}, the name of the item")
            elif name is None and self._findings.profile == "azure":
                self._findings.say("R145", "$.name", "is missing", shown(mine), once="name")
        if not isinstance(value, str):
            self.doubt, self.value = True, ""
            return
        self.value = value
        if not (self.doubt or self.assumed):
            self.doubt = not judge_whole(value, self.string, self.deltas, f"$.{member}", "R141", self._findings)

    # Its parts.

    def accepts(self, name: str, member: str, event: Mapping[str, Any]) -> bool:
        """Whether an event may come now: one of a part in *member*, or of its own where that is empty."""
        if member:
            return self.lax or (member in self.grammar.parts and self.row(member).accepts(name, event))
        return self.opaque or name in self.grammar.steps.get(self.state, ())

    def take_part(self, name: str, member: str, event: Mapping[str, Any], odd: Collection[str]) -> Part | None:
        """Take an event of a part; return the part, unless the item has no such parts (R085, R090, R125)."""
        if not self._fits(name, member, event):
            return None
        row = self.row(member)
        return row.take(name, event, odd, mute=self.lax or self.late, unseen=self.assumed and not self.late)

    def row(self, member: str) -> Row:
        """Return the parts that stand in *member*."""
        if member not in self.rows:
            self.rows[member] = Row(self.grammar.parts.get(member, ()), self._findings)
        return self.rows[member]

    def owed(self) -> Iterator[tuple[str, Part]]:
        """Yield the parts that are not done, each with its member."""
        return ((member, part) for member, row in self.rows.items() for part in row.owed())

    def _fits(self, name: str, member: str, event: Mapping[str, Any]) -> bool:
        """Whether an item of this type has such parts (R085, R090, R125)."""
        types = self.grammar.parts.get(member)
        if self.lax:
            return True
        spoken = lifecycle.OPEN_REASONING_NAMES.get(name, name)
        part, expected = event.get("part"), "events of this type of item"
        if types is None:
            rule = "R125" if member == "summary" else "R085"
            self._reject(rule, name, expected)
            return False
        if name == lifecycle.PART_ADDED and isinstance(part, dict):
            kind = word_of(part.get("type"))
            if kind is not None and kind not in types:
                self._refuse("R090", "$.part.type", f"is {shown(kind)} in a {self.type}", " or ".join(sorted(types)))
            return True
        known = [kind for kind in types if any(spoken in steps for steps in lifecycle.PARTS[kind].values())]
        if not known:
            self._reject("R085", name, expected)
        return bool(known)


def at(item: Mapping[str, Any], place: tuple[str, ...]) -> Any:
    """Return what an item has in a place; None where it has nothing."""
    found: Any = item
    for member in place:
        found = found.get(member) if isinstance(found, Mapping) else None
    return found


def _grammar_of(item: Mapping[str, Any], item_type: str) -> lifecycle.Grammar:
    operation = item.get("operation")
    if item_type == "apply_patch_call" and isinstance(operation, Mapping) and operation.get("type") == "delete_file":
        return lifecycle.WITHOUT_DIFF
    return lifecycle.grammar_of(item_type)
