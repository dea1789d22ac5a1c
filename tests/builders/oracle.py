"""An independent judge of finished streams: the strict rules of ordering-rules.md, written from their text alone.

It takes plain dicts and imports nothing of the package under test, so that a mistake in the tables of
`responses_stream.lifecycle` cannot hide behind itself. It judges the wire of a fresh stream after decisions 29 to 33,
or of one that goes on from stored items (H17.20). What the catalogue calls a warning it leaves alone, but for R047,
R105 and R119, which the builders promise too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

from . import oracle_shapes as shapes

Json: TypeAlias = dict[str, Any]

_TERMINAL: Final = {
    "response.completed": {"completed"},
    "response.failed": {"failed", "cancelled"},
    "response.incomplete": {"incomplete"},
}
_EARLY: Final = {
    "response.created": {"queued", "in_progress"},
    "response.queued": {"queued"},
    "response.in_progress": {"in_progress"},
}
_LEGAL: Final = {
    None: {"queued", "in_progress"},
    "queued": {"queued", "in_progress", "failed", "cancelled"},
    "in_progress": {"in_progress", "completed", "incomplete", "failed", "cancelled"},
}
_ECHOED: Final = (
    *("model", "instructions", "previous_response_id", "conversation", "metadata", "tools", "tool_choice"),
    *("parallel_tool_calls", "background", "store", "text", "truncation"),
)
_RESPONSE: Final = shapes.members(
    "id object created_at:n model output:a tool_choice:so parallel_tool_calls:b error:o= incomplete_details:o="
    " instructions:sa= metadata:o= temperature:n=",
    tools=["o"],
)
_FINAL: Final = {"completed", "incomplete", "failed"}
_KEPT: Final = ("name", "role", "server_label", "namespace", "container_id", "execution")

# The families of the item types: what stands between `response.` and the last word of the event's name.
_FAMILIES: Final = {
    "message": {"content_part", "output_text", "output_text.annotation", "refusal"},
    "reasoning": {
        *("content_part", "reasoning_text", "reasoning", "reasoning_summary_part", "reasoning_summary_text"),
    },
    "function_call": {"function_call_arguments"},
    "custom_tool_call": {"custom_tool_call_input"},
    "file_search_call": {"file_search_call"},
    "web_search_call": {"web_search_call"},
    "code_interpreter_call": {"code_interpreter_call", "code_interpreter_call_code"},
    "image_generation_call": {"image_generation_call"},
    "mcp_call": {"mcp_call", "mcp_call_arguments"},
    "mcp_list_tools": {"mcp_list_tools"},
    "shell_call": {"shell_call_command"},
    "shell_call_output": {"shell_call_output_content"},
    "apply_patch_call": {"apply_patch_call_operation_diff"},
    "compaction": {"compaction"},
}
# The streamed strings: the family, and the member of the event and of the item that hold the whole.
_STRINGS: Final = {
    "function_call_arguments": ("arguments", "arguments"),
    "custom_tool_call_input": ("input", "input"),
    "mcp_call_arguments": ("arguments", "arguments"),
    "code_interpreter_call_code": ("code", "code"),
    "apply_patch_call_operation_diff": ("diff", "operation.diff"),
}
# The events of tools in their order; `|` parts alternatives, `*` marks what may come any number of times, or not.
_CHAINS: Final = {
    "file_search_call": ("R150", "in_progress searching completed"),
    "web_search_call": ("R151", "in_progress searching completed"),
    "code_interpreter_call": ("R152", "in_progress delta* done interpreting completed"),
    "image_generation_call": ("R154", "in_progress generating partial_image* completed"),
    "mcp_call": ("R147", "in_progress delta* done completed|failed"),
    "mcp_list_tools": ("R149", "in_progress completed|failed"),
}
_EMPTY_AT_FIRST: Final = {
    "message": ("content",),
    "reasoning": ("summary", "content"),
    "function_call": ("arguments",),
    "custom_tool_call": ("input",),
    "mcp_call": ("arguments",),
    "code_interpreter_call": ("code",),
    "shell_call": ("action.commands",),
    "shell_call_output": ("output",),
    "apply_patch_call": ("operation.diff",),
}
_PART_TYPES: Final = {"message": {"output_text", "refusal"}, "reasoning": {"reasoning_text"}}
_PART_OF: Final = {
    "output_text": "output_text",
    "refusal": "refusal",
    "reasoning_text": "reasoning_text",
    "reasoning": "reasoning_text",
}
_PART_TEXT: Final = {"output_text": "text", "refusal": "refusal", "reasoning_text": "text"}


def judge(events: Sequence[Json], stored: Sequence[Json] = ()) -> list[str]:
    """Return what is wrong with a stream, each as ``Rxxx: why``; *stored* are the items that it goes on from."""
    judgement = _Judgement(stored)
    for event in events:
        judgement.take(event)
    judgement.finish()
    return judgement.wrong


def rules(wrong: Iterable[str]) -> set[str]:
    """Return the ids of the rules in the answer of `judge`."""
    return {one.partition(":")[0] for one in wrong}


class _Part:
    """A part of `content` or of `summary`, a command, or what a command printed."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.pieces: list[str] = []
        self.value: Any = None
        self.valued = False
        self.done: Json | None = None
        self.annotations: list[Any] = []

    @property
    def text(self) -> str:
        return "".join(self.pieces)


class _Item:
    """An item, from its added on."""

    def __init__(self, added: Json) -> None:
        self.added = added
        self.kind = str(added.get("type"))
        self.done: Json | None = None
        self.parts: dict[int, _Part] = {}
        self.summary: dict[int, _Part] = {}
        self.commands: dict[int, _Part] = {}
        self.strings: dict[str, _Part] = {}
        self.steps: list[str] = []
        self.images = 0


class _Judgement:
    def __init__(self, stored: Sequence[Json]) -> None:
        self.wrong: list[str] = []
        self.stored = list(stored)
        self.at = 0
        self.last: int | None = None
        self.names: list[str] = []
        self.first: Json | None = None
        self.status: str | None = None
        self.terminal: Json | None = None
        self.items: dict[int, _Item] = {}
        self.ids: set[str] = set()
        self.call_ids: set[str] = set()
        self.reasoning: set[str] = set()
        for index, item in enumerate(self.stored):
            self.items[index] = _Item(item)
            self.items[index].done = item
            self.ids.add(str(item.get("id")))
            if item.get("type") in shapes.CALLS and item.get("call_id"):
                self.call_ids.add(str(item["call_id"]))

    def say(self, rule: str, why: str) -> None:
        self.wrong.append(f"{rule}: event {self.at}: {why}")

    def need(self, holds: bool, rule: str, why: str) -> None:
        if not holds:
            self.say(rule, why)

    # The envelope, and what every event has in common.

    def take(self, event: Json) -> None:
        name = event.get("type")
        self.at = len(self.names)
        if not isinstance(name, str) or not name:
            self.say("R011", f"type is {name!r}")
            name = ""
        self._number(event, name)
        shape = shapes.EVENTS.get(name)
        before = [one for one in self.names if one != "keepalive"]
        self.names.append(name)
        if shape is None or name == "keepalive":
            return
        for rule, why in shapes.misfitting_members(event, shape, "event"):
            self.say(rule, why)
        self._order(name, before)
        if name in _TERMINAL or name in _EARLY:
            self._copy(name, event.get("response"))
        elif name == "error":
            self._error(event)
        elif "output_index" in shape:
            self._item_event(name, event)

    def _number(self, event: Json, name: str) -> None:
        number = event.get("sequence_number")
        if not shapes.is_index(number):
            self.say("R012", f"sequence_number is {number!r}")
            return
        assert isinstance(number, int)
        if name == "keepalive" and number in (self.last, 0 if self.last is None else self.last + 1):
            self.last = number
        elif self.last is None:
            self.need(number == 0 or bool(self.stored), "R021", f"begins with {number}")
        else:
            self.need(number > self.last, "R022", f"{number} after {self.last}")
            self.need(number == self.last + 1, "R023", f"{number} after {self.last}")
        self.last = number

    def _order(self, name: str, before: list[str]) -> None:
        ended = any(one in _TERMINAL for one in before)
        if name == "response.created":
            self.need("response.created" not in before, "R031", "a second created")
        elif not before:
            lone = name == "error" or (self.stored and name.startswith("response."))
            self.need(bool(lone), "R030", f"begins with {name}")
        if name == "response.queued":
            self.need("response.queued" not in before, "R032", "a second queued")
            self.need(before[-1:] == ["response.created"], "R033", "not straight after created")
            self.need("response.in_progress" not in before, "R034", "after in_progress")
        if name == "response.in_progress":
            self.need("response.in_progress" not in before, "R035", "a second in_progress")
        if ended:
            self.say("R036" if name in _TERMINAL else "R038", f"{name} after the end")
        if "error" in before:
            self.need(name != "error", "R176", "a second error")
            self.need(before[-1] == "error" and name == "response.failed", "R172", f"{name} after an error")

    def finish(self) -> None:
        """Judge what only the end of the stream shows."""
        told = [name for name in self.names if name in shapes.EVENTS and name != "keepalive"]
        lone = told == ["error"]
        self.need(lone or any(name in _TERMINAL for name in told), "R029", "no terminal event")
        if "error" in told and not lone:
            self.need("response.failed" in told[told.index("error") :], "R171", "no response.failed after the error")

    # The response.

    def _copy(self, name: str, response: Any) -> None:
        if not isinstance(response, dict):
            return
        for _, why in shapes.misfitting_members(response, _RESPONSE, "response"):
            self.say("R053", why)
        status, output = response.get("status"), response.get("output")
        output = output if isinstance(output, list) else []
        if name in _TERMINAL:
            self.need(status in _TERMINAL[name], "R048", f"{name} with status {status!r}")
            if name == "response.failed":
                self.need(status in ("failed", "cancelled"), "R049", f"status is {status!r}")
        else:
            self.need(status in _EARLY[name], "R040", f"{name} with status {status!r}")
        legal: set[str] = _LEGAL.get(self.status, set())
        self.need(status in legal, "R041", f"{self.status} to {status}")
        self.status = status if isinstance(status, str) else None
        self._constants(response)
        self._ending(response, status)
        self._usage(response.get("usage"))
        if name in ("response.created", "response.queued") and not self.stored:
            self.need(not output, "R045", "output is not empty")
        if name == "response.in_progress":
            self.need(len(output) <= len(self.items), "R046", "lists more items than were added")
        if name in _TERMINAL and self.terminal is None:
            self.terminal = response
            self._terminal(name, output)

    def _constants(self, response: Json) -> None:
        first = self.first = self.first or response
        self.need(response.get("id") == first.get("id"), "R042", "the id is another")
        self.need(response.get("created_at") == first.get("created_at"), "R043", "created_at is another")
        self.need(response.get("object") == "response", "R044", f"object is {response.get('object')!r}")
        for member in _ECHOED:
            self.need(response.get(member) == first.get(member), "R047", f"{member} is another")

    def _ending(self, response: Json, status: Any) -> None:
        error = response.get("error")
        told = isinstance(error, dict) and all(
            isinstance(error.get(member), str) and error[member] for member in ("code", "message")
        )
        self.need(told if status == "failed" else error is None, "R050", f"{status} with error {error!r:.60}")
        details = response.get("incomplete_details")
        reasoned = isinstance(details, dict) and bool(details.get("reason"))
        self.need(reasoned if status == "incomplete" else details is None, "R051", f"{status} with {details!r:.60}")
        at, since = response.get("completed_at"), response.get("created_at")
        timely = shapes.is_number(at) and shapes.is_number(since) and at >= since  # type: ignore[operator]
        self.need(timely if status == "completed" else at is None, "R052", f"{status} with completed_at {at!r}")

    def _usage(self, usage: Any) -> None:
        if usage is None:
            return
        if not isinstance(usage, dict):
            self.say("R057", "usage is no object")
            return
        read, written, total = (usage.get(f"{one}_tokens") for one in ("input", "output", "total"))
        details_in = usage.get("input_tokens_details") or {}
        details_out = usage.get("output_tokens_details") or {}
        counts = [read, written, total, *_leaves(details_in), *_leaves(details_out)]
        if not all(map(shapes.is_index, counts)):
            self.say("R057", f"not all counts are integers from 0: {usage!r:.120}")
            return
        self.need(total == read + written, "R057", f"{read} and {written} do not make {total}")  # type: ignore[operator]
        self.need(details_in.get("cached_tokens", 0) <= read, "R057", "more was cached than read")
        self.need(details_out.get("reasoning_tokens", 0) <= written, "R057", "more was thought than written")

    def _terminal(self, name: str, output: list[Any]) -> None:
        still_open = [index for index, item in self.items.items() if item.done is None]
        done = {index: item.done for index, item in self.items.items() if item.done is not None}
        for index, item in done.items():
            if item.get("status") == "incomplete":
                self.need(index == max(self.items), "R059", f"item {index} is incomplete and not the last")
                self.need(name != "response.completed", "R059", f"item {index} is incomplete, the response completes")
        if name == "response.completed":
            self.need(not still_open, "R079", f"still open: {still_open}")
            for item in [*done.values(), *output]:
                status = item.get("status") if isinstance(item, dict) else None
                self.need(status not in ("in_progress", "incomplete"), "R089", f"an item is {status}")
            self.need(len(output) == len(self.items), "R180", f"{len(output)} items, {len(self.items)} were added")
            for index, item in enumerate(output):
                expected = done.get(index)
                if expected is None or not isinstance(item, dict):
                    continue
                names = [(one.get("type"), one.get("id")) for one in (item, expected)]
                self.need(names[0] == names[1], "R182", f"item {index} is {names[0]}, {names[1]} was done")
                self.need(_settled(item) == _settled(expected), "R181", f"item {index} is not as it was done")
            return
        known = {str(item.added.get("id")) for item in self.items.values()}
        for item in output:
            self.need(isinstance(item, dict) and item.get("id") in known, "R184", f"never added: {item!r:.60}")
        if name == "response.incomplete":
            self.need(not still_open, "R088", f"still open: {still_open}")
            told = [item.get("id") for item in output if isinstance(item, dict)]
            for item in done.values():
                self.need(item.get("id") in told, "R183", f"{item.get('id')} is missing")
            for item in output:
                status = item.get("status") if isinstance(item, dict) else None
                self.need(status != "in_progress", "R183", "an item is in progress")

    def _error(self, event: Json) -> None:
        nested = event.get("error")
        flat = isinstance(event.get("message"), str)
        self.need(flat or isinstance(nested, dict), "R170", "neither the flat nor the nested shape")
        if isinstance(nested, dict):
            self.need(isinstance(nested.get("message"), str), "R170", "the nested shape has no message")
            for member in ("code", "message", "param"):
                agree = member not in event or event[member] == nested.get(member)
                self.need(agree, "R170", f"the two shapes disagree on {member}")

    # Items.

    def _item_event(self, name: str, event: Json) -> None:
        if "response.created" not in self.names and not self.stored:
            self.say("R060", f"{name} before created")
        if "response.in_progress" not in self.names:
            self.say("R061", f"{name} before in_progress")
        index = event.get("output_index")
        if not shapes.is_index(index):
            return
        assert isinstance(index, int)
        item = event.get("item")
        if name == "response.output_item.added":
            if isinstance(item, dict):
                self._added(index, item)
        elif name == "response.output_item.done":
            if isinstance(item, dict):
                self._done(index, item)
        else:
            self._inside(name, index, event)

    def _whole_item(self, item: Json) -> None:
        kind = item.get("type")
        self.need(isinstance(kind, str) and bool(kind), "R066", f"type is {kind!r}")
        self.need(isinstance(item.get("id"), str) and bool(item["id"]), "R067", f"id is {item.get('id')!r}")
        self.need(kind not in ("compaction_trigger", "configuration_update", "item_reference"), "R080", f"is a {kind}")
        for rule, why in shapes.misfitting_members(item, shapes.ITEMS.get(str(kind), {}), str(kind)):
            self.say("R068" if rule == "R013" else rule, why)
        status = item.get("status")
        known = shapes.STATUSES.get(str(kind))
        if known is not None and status is not None:
            self.need(status in known, "R077", f"{kind} with status {status!r}")
        for part in _list(item.get("content")):
            if isinstance(part, dict) and part.get("type") == "output_text":
                self._output_text(part)

    def _output_text(self, part: Json) -> None:
        self.need(isinstance(part.get("annotations"), list), "R114", "output_text without annotations")
        self._logprobs(part.get("logprobs"))

    def _added(self, index: int, item: Json) -> None:
        self._whole_item(item)
        self.need(index == len(self.items), "R062", f"added at {index}, {len(self.items)} were")
        self.need(index not in self.items, "R063", f"{index} is taken")
        self.need(str(item.get("id")) not in self.ids, "R064", f"the id {item.get('id')!r} is taken")
        self.ids.add(str(item.get("id")))
        self._added_status(item)
        for member in _EMPTY_AT_FIRST.get(str(item.get("type")), ()):
            self.need(not _member(item, member), "R070", f"{member} is not empty")
        if item.get("type") in shapes.CALLS and item.get("call_id") is not None:
            self.need(item["call_id"] not in self.call_ids, "R162", f"the call id {item['call_id']!r} is taken")
            self.call_ids.add(str(item["call_id"]))
        self.items.setdefault(index, _Item(item))

    def _added_status(self, item: Json) -> None:
        kind, status = str(item.get("type")), item.get("status")
        known = shapes.STATUSES.get(kind)
        if known is None or status is None:
            return
        fine = {"in_progress"}
        if kind in shapes.ONE_SHOT:
            fine |= {"completed"} if "in_progress" in known else _FINAL
        self.need(status in fine, "R069", f"{kind} is added with status {status!r}")

    def _done(self, index: int, item: Json) -> None:
        self._whole_item(item)
        known = self.items.get(index)
        if known is None:
            self.say("R071", f"{index} was not added")
            return
        if known.done is not None:
            self.say("R072", f"{index} was done before")
            return
        added = known.added
        self.need(item.get("type") == added.get("type"), "R073", f"{added.get('type')} became {item.get('type')}")
        self.need(item.get("id") == added.get("id"), "R074", f"{added.get('id')} became {item.get('id')}")
        self.need(item.get("call_id") == added.get("call_id"), "R075", "the call_id is another")
        for member in _KEPT:
            if added.get(member):
                self.need(item.get(member) == added[member], "R076", f"{member} is another")
        status, before = item.get("status"), added.get("status")
        if status is not None:
            self.need(status in _FINAL, "R078", f"done with status {status!r}")
        if before in _FINAL:
            self.need(status == before, "R086", f"{before} became {status}")
        known.done = item
        self._done_parts(known, item)
        self._done_summary(known, item)
        self._done_strings(known, item)
        self._done_tool(known, item)
        self._done_shell(known, item)

    def _done_parts(self, known: _Item, item: Json) -> None:
        content = _list(item.get("content"))
        for at, part in known.parts.items():
            self.need(part.done is not None, "R104", f"part {at} is open")
        if known.kind in _PART_TYPES:
            self.need(len(content) == len(known.parts), "R106", f"{len(content)} parts, {len(known.parts)} were added")
            rule = "R112" if known.kind == "message" else "R134"
            for at, part in known.parts.items():
                same = at < len(content) and content[at] == part.done
                self.need(same or part.done is None, rule, f"part {at} is not as it was done")

    def _done_summary(self, known: _Item, item: Json) -> None:
        for at, part in known.summary.items():
            self.need(part.done is not None, "R127", f"summary part {at} is open")
        if known.kind == "reasoning":
            told = [part.done for part in known.summary.values() if part.done is not None]
            self.need(_list(item.get("summary")) == told, "R129", "summary is not what was told")

    def _done_strings(self, known: _Item, item: Json) -> None:
        for family in _FAMILIES.get(known.kind, ()):
            if family not in _STRINGS:
                continue
            value, told = _member(item, _STRINGS[family][1]), known.strings.get(family)
            if told is not None and told.valued:
                self.need(value == told.value, "R142", f"{value!r:.40} in the item, {told.value!r:.40} was told")
            elif told is not None:
                self.say("R143", f"{family} was begun and not done")
            elif known.kind != "apply_patch_call":
                self.need(not value, "R143", f"{value!r:.40} was not told")

    def _done_tool(self, known: _Item, item: Json) -> None:
        if known.kind not in _CHAINS:
            return
        rule, _ = _CHAINS[known.kind]
        status, failed = item.get("status"), "failed" in known.steps
        ended = failed or "completed" in known.steps
        if known.kind == "mcp_list_tools":
            self.need(ended, rule, "done before completed or failed")
        else:
            self.need(
                ("completed" in known.steps) == (status == "completed"), "R156", f"status {status} after {known.steps}"
            )
            if status == "completed":
                self.need(ended, rule, f"completed after {known.steps}")
        if known.kind in ("mcp_call", "mcp_list_tools"):
            self.need(failed == (item.get("error") is not None), "R148", f"error is {item.get('error')!r:.40}")
        if known.kind == "mcp_call":
            self.need(failed == (status == "failed"), "R148", f"status is {status}")

    def _done_shell(self, known: _Item, item: Json) -> None:
        if known.kind == "shell_call":
            told = [part.value for part in known.commands.values()]
            self.need(all(part.valued for part in known.commands.values()), "R157", "a command is open")
            self.need(_list(_member(item, "action.commands")) == told, "R157", "the commands are not those told")
        if known.kind == "shell_call_output":
            self.need(all(part.valued for part in known.commands.values()), "R158", "an output is open")
            printed = [one for _, part in sorted(known.commands.items()) for one in _list(part.value)]
            self.need(_list(item.get("output")) == printed, "R158", "the output is not that told")

    # Inside items.

    def _inside(self, name: str, index: int, event: Json) -> None:
        item = self.items.get(index)
        family, _, word = name.removeprefix("response.").rpartition(".")
        if item is None:
            self.say("R082", f"{name} at {index}, where nothing was added")
            return
        self.need(item.done is None, "R083", f"{name} after the item was done")
        if "item_id" in event:
            self.need(event["item_id"] == item.added.get("id"), "R081", f"item_id is {event['item_id']!r}")
        self.need(family in _FAMILIES.get(item.kind, ()), "R085", f"{name} in a {item.kind}")
        if family.startswith("reasoning_summary"):
            self._summary(item, family, word, event)
        elif family == "content_part":
            self._part(item, word, event)
        elif family == "output_text.annotation":
            self._annotation(item, event)
        elif family in _PART_OF:
            self._text(item, family, word, event)
        elif family == "shell_call_command":
            self._command(item, word, event)
        elif family == "shell_call_output_content":
            self._printed(item, word, event)
        elif family in _STRINGS:
            self._string(item, family, word, event)
        if item.kind in _CHAINS and family in _FAMILIES[item.kind]:
            self._chain(item, word)
        if word == "partial_image":
            due = event.get("partial_image_index") == item.images < 3
            self.need(due, "R155", f"index {event.get('partial_image_index')}, {item.images} were shown")
            item.images += 1

    def _chain(self, item: _Item, word: str) -> None:
        rule, chain = _CHAINS[item.kind]
        links = [link.rstrip("*").split("|") for link in chain.split()]
        place = next(at for at, link in enumerate(links) if word in link)
        before = [at for at, link in enumerate(links) if at < place and not chain.split()[at].endswith("*")]
        for at in before:
            self.need(any(one in item.steps for one in links[at]), rule, f"{word} before {links[at]}")
        after = {one for link in links[place + 1 :] for one in link}
        self.need(not after & set(item.steps), rule, f"{word} after {item.steps}")
        if not chain.split()[place].endswith("*"):
            self.need(not set(links[place]) & set(item.steps), rule, f"{word} twice")
        item.steps.append(word)

    def _part(self, item: _Item, word: str, event: Json) -> None:
        at, shown = event.get("content_index"), event.get("part")
        if not isinstance(at, int) or not isinstance(shown, dict):
            return
        part = item.parts.get(at)
        kind = str(shown.get("type"))
        if kind == "output_text":
            self._output_text(shown)
        if word == "added":
            self.need(kind in _PART_TYPES.get(item.kind, ()), "R090", f"a {kind} in a {item.kind}")
            self.need(at == len(item.parts), "R091", f"part {at}, {len(item.parts)} were added")
            self.need(part is None, "R092", f"part {at} twice")
            full = [member for member in ("text", "refusal", "annotations", "logprobs") if shown.get(member)]
            self.need(not full, "R101", f"{full} of the added part")
            self.need(_PART_TEXT.get(kind, "text") in shown, "R101", "the added part has no text")
            item.parts.setdefault(at, _Part(kind))
            return
        if part is None:
            self.say("R097", f"part {at} was not added")
            return
        self.need(part.done is None, "R098", f"part {at} is done twice")
        self.need(part.valued, "R096", f"part {at} is done before its value")
        self.need(kind == part.kind, "R100", f"{part.kind} became {kind}")
        if part.valued:
            text = shown.get(_PART_TEXT.get(kind, "text"))
            self.need(text == part.value, "R103", f"{text!r:.40}, {part.value!r:.40} was told")
        announced = _list(shown.get("annotations"))[: len(part.annotations)]
        self.need(announced == part.annotations, "R118", "annotations are missing")
        part.done = shown

    def _text(self, item: _Item, family: str, word: str, event: Json) -> None:
        part = item.parts.get(event.get("content_index", -1))
        raw = _PART_OF[family] == "reasoning_text"
        if raw:
            self.reasoning.add(family)
            self.need(len(self.reasoning) == 1, "R133", "two families of names")
        if family == "output_text":
            self.need(isinstance(event.get("logprobs"), list), "R109", "logprobs is no array")
            self._logprobs(event.get("logprobs"))
        if part is None:
            self.say("R132" if raw else "R093", f"{family}.{word} outside of a part")
            return
        if part.kind != _PART_OF[family]:
            self.say("R132" if raw else "R099", f"{family}.{word} in a {part.kind}")
            return
        if word == "delta":
            self.need(not part.valued, "R094", "a delta after the done value")
            part.pieces.append(str(event.get("delta")))
            return
        value = event.get("refusal" if family == "refusal" else "text")
        self.need(not part.valued, "R095", "a second done value")
        self.need(value == part.text, "R102", f"{value!r:.40}, the deltas make {part.text!r:.40}")
        self.need(not value or bool(part.pieces), "R105", "a value without a delta")
        part.value, part.valued = value, True

    def _annotation(self, item: _Item, event: Json) -> None:
        part = item.parts.get(event.get("content_index", -1))
        if part is None or part.kind != "output_text" or part.done is not None:
            self.say("R115", "outside of an open part of text")
            return
        count, annotation = len(part.annotations), event.get("annotation")
        self.need(event.get("annotation_index") == count, "R116", f"index {event.get('annotation_index')} for {count}")
        part.annotations.append(annotation)
        if isinstance(annotation, dict):
            start, end = annotation.get("start_index"), annotation.get("end_index")
            if shapes.is_number(start) and shapes.is_number(end):
                within = 0 <= start <= end <= len(part.text)  # type: ignore[operator]
                self.need(within, "R119", f"{start} to {end} of {len(part.text)} characters")

    def _logprobs(self, logprobs: Any) -> None:
        for one in _list(logprobs):
            for inner in [one, *_list(one.get("top_logprobs") if isinstance(one, dict) else None)]:
                fine = isinstance(inner, dict) and isinstance(inner.get("token"), str)
                self.need(
                    fine and shapes.is_number(inner.get("logprob")), "R110", f"a log probability is {inner!r:.60}"
                )

    def _summary(self, item: _Item, family: str, word: str, event: Json) -> None:
        if item.kind != "reasoning":
            self.say("R125", f"{family}.{word} in a {item.kind}")
            return
        at = event.get("summary_index")
        if not isinstance(at, int):
            return
        part = item.summary.get(at)
        shown = event.get("part")
        if isinstance(shown, dict):
            self.need(shown.get("type") == "summary_text", "R131", f"type is {shown.get('type')!r}")
        if family.endswith("part") and word == "added":
            self.need(at == len(item.summary), "R126", f"part {at}, {len(item.summary)} were added")
            self.need(part is None, "R127", f"summary part {at} twice")
            self.need(isinstance(shown, dict) and shown.get("text") == "", "R101", "the added part is not empty")
            item.summary.setdefault(at, _Part("summary_text"))
            return
        if part is None:
            self.say("R127", f"{family}.{word} of a part that was not added")
        elif word == "delta":
            self.need(not part.valued, "R127", "a delta after the done value")
            part.pieces.append(str(event.get("delta")))
        elif family.endswith("text"):
            self.need(not part.valued, "R127", "a second done value")
            self.need(event.get("text") == part.text, "R128", f"the deltas make {part.text!r:.40}")
            part.value, part.valued = event.get("text"), True
        elif isinstance(shown, dict):
            self.need(part.valued and part.done is None, "R127", "part.done out of order")
            self.need(shown.get("text") == part.text, "R128", f"the deltas make {part.text!r:.40}")
            part.done = shown

    def _string(self, item: _Item, family: str, word: str, event: Json) -> None:
        known = item.strings.setdefault(family, _Part(family))
        self.need(not known.valued, "R140", f"{word} after the done value")
        if _member(item.added, "operation.type") == "delete_file":
            self.say("R160", "a diff of a file to be deleted")
        if word == "delta":
            known.pieces.append(str(event.get("delta")))
            return
        value = event.get(_STRINGS[family][0])
        self.need(value == known.text, "R141", f"{value!r:.40}, the deltas make {known.text!r:.40}")
        self.need(not value or bool(known.pieces), "R105", "a value without a delta")
        known.value, known.valued = value, True
        if event.get("name") is not None:
            self.need(event["name"] == item.added.get("name"), "R145", f"name is {event['name']!r}")

    def _command(self, item: _Item, word: str, event: Json) -> None:
        at = event.get("command_index")
        if not isinstance(at, int):
            return
        command = item.commands.get(at)
        if word == "added":
            self.need(command is None and at == len(item.commands), "R157", f"command {at} is added out of order")
            self.need(event.get("command") == "", "R157", "the added command is not empty")
            item.commands.setdefault(at, _Part("command"))
        elif command is None or command.valued:
            self.say("R157", f"{word} of command {at}, which is not open")
        elif word == "delta":
            command.pieces.append(str(event.get("delta")))
        else:
            self.need(event.get("command") == command.text, "R157", f"the deltas make {command.text!r:.40}")
            command.value, command.valued = event.get("command"), True

    def _printed(self, item: _Item, word: str, event: Json) -> None:
        at = event.get("command_index")
        if not isinstance(at, int):
            return
        output = item.commands.setdefault(at, _Part("output"))
        if output.valued:
            self.say("R158", f"{word} after the output of command {at} was done")
        elif word == "delta":
            output.pieces.append("")
        else:
            output.value, output.valued = event.get("output"), True


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _member(item: Json, path: str) -> Any:
    found: Any = item
    for step in path.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    return found


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in _leaves(inner)]
    return [] if value is None else [value]


def _settled(item: Json) -> Json:
    """R181: an item without what may change until the end; null is as good as absent."""
    return {
        name: value
        for name, value in item.items()
        if value is not None and name not in ("encrypted_content", "fingerprint")
    }
