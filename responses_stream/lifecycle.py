"""The rules of order, as tables: what may come next in a response, in an item, and in a part of an item.

A state leads, by the name of an event, to the next state; what a table does not list is refused. Builders and
validator step through the same tables, so they cannot disagree. Where a rule depends on a status, the table names it in
brackets behind the event: ``response.created[queued]``. The comments name the rules of ordering-rules.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from itertools import pairwise
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from responses_stream.errors import OutOfOrder

EventName: TypeAlias = str
State: TypeAlias = str
Table: TypeAlias = Mapping[State, Mapping[EventName, State]]

ABSENT: Final = "absent"
OPEN: Final = "open"
VALUE_DONE: Final = "value done"
CLOSED: Final = "closed"
BROKEN: Final = "failed"

CREATED: Final = "response.created"
QUEUED: Final = "response.queued"
IN_PROGRESS: Final = "response.in_progress"
COMPLETED: Final = "response.completed"
FAILED: Final = "response.failed"
INCOMPLETE: Final = "response.incomplete"
ERROR: Final = "error"
ITEM_ADDED: Final = "response.output_item.added"
ITEM_DONE: Final = "response.output_item.done"
ITEM_CUT: Final = "response.output_item.done[incomplete]"
PART_ADDED: Final = "response.content_part.added"
PART_DONE: Final = "response.content_part.done"
SUMMARY_ADDED: Final = "response.reasoning_summary_part.added"
SUMMARY_DONE: Final = "response.reasoning_summary_part.done"
INSIDE_ITEM: Final = "events of open items"

TERMINAL: Final = frozenset({COMPLETED, FAILED, INCOMPLETE})
"""The events that end a stream; there is no `response.cancelled` (decision 6)."""

BEFORE: Final = "before response.created"
RESUMED: Final = "resumed"
RUNNING: Final = "in progress"
CUT_SHORT: Final = "cut short"
ERRORED: Final = "error told"
ENDED: Final = "ended"

RESPONSE: Final[Table] = MappingProxyType(
    {
        # R030: created is first. R040: it is queued or in progress. A lone error may stand instead (H3.10).
        BEFORE: {CREATED: "created", f"{CREATED}[queued]": "created as queued", ERROR: ENDED},
        # R037 is a warning: a terminal may follow at once (decision 30).
        "created": {IN_PROGRESS: RUNNING, COMPLETED: ENDED, INCOMPLETE: ENDED, FAILED: ENDED, ERROR: ERRORED},
        # R032-R034, R041: what waits can only start, or fail.
        "created as queued": {QUEUED: "queued", IN_PROGRESS: RUNNING, FAILED: ENDED, ERROR: ERRORED},
        "queued": {IN_PROGRESS: RUNNING, FAILED: ENDED, ERROR: ERRORED},
        # A stream that goes on from stored items says so once more before it adds others (H17.20).
        RESUMED: {IN_PROGRESS: RUNNING, COMPLETED: ENDED, INCOMPLETE: ENDED, FAILED: ENDED, ERROR: ERRORED},
        # R060, R061: items only here. R035: in_progress is not said twice.
        RUNNING: {
            ITEM_ADDED: RUNNING,
            INSIDE_ITEM: RUNNING,
            ITEM_DONE: RUNNING,
            ITEM_CUT: CUT_SHORT,
            COMPLETED: ENDED,
            INCOMPLETE: ENDED,
            FAILED: ENDED,
            ERROR: ERRORED,
        },
        # R059: an incomplete item is the last one, and the response does not complete.
        CUT_SHORT: {INSIDE_ITEM: CUT_SHORT, ITEM_DONE: CUT_SHORT, INCOMPLETE: ENDED, FAILED: ENDED, ERROR: ERRORED},
        # R171, R172: nothing but response.failed follows an error.
        ERRORED: {FAILED: ENDED},
        # R036, R038: nothing follows a terminal event.
        ENDED: {},
    }
)

_ANY: Final = "any other event"

_RULES: Final[Mapping[State, Mapping[EventName, str]]] = MappingProxyType(
    {
        BEFORE: {_ANY: "R030", ITEM_ADDED: "R060", ITEM_DONE: "R060", INSIDE_ITEM: "R060"},
        CUT_SHORT: {ITEM_ADDED: "R059", ITEM_CUT: "R059", COMPLETED: "R059"},
        ERRORED: {_ANY: "R172", ERROR: "R176"},
        ENDED: {_ANY: "R038", COMPLETED: "R036", FAILED: "R036", INCOMPLETE: "R036"},
        _ANY: {
            CREATED: "R031",
            QUEUED: "R032-R034",
            IN_PROGRESS: "R035",
            COMPLETED: "R041",
            INCOMPLETE: "R041",
            ITEM_ADDED: "R061",
            ITEM_DONE: "R061",
            INSIDE_ITEM: "R061",
        },
    }
)


def broken_by(state: State, name: EventName) -> str:
    """Return the rule that an event breaks which `RESPONSE` refuses in *state*."""
    event, here = name.partition("[")[0], _RULES.get(state, {})
    return here.get(name) or here.get(event) or here.get(_ANY) or _RULES[_ANY].get(event, "")


def allowed_in(state: State, items_open: bool) -> tuple[EventName, ...]:
    """Return the events that `RESPONSE` lists for *state*, without those that need open items, or that none is."""
    needs_none = (COMPLETED, INCOMPLETE)  # R079, R088
    out = needs_none if items_open else (INSIDE_ITEM, ITEM_DONE, ITEM_CUT)
    return tuple(name for name in RESPONSE[state] if name not in out)


STATUS_SAID: Final[Mapping[EventName, frozenset[str]]] = MappingProxyType(
    {
        CREATED: frozenset({"queued", "in_progress"}),
        QUEUED: frozenset({"queued"}),
        IN_PROGRESS: frozenset({"in_progress"}),
        COMPLETED: frozenset({"completed"}),
        FAILED: frozenset({"failed", "cancelled"}),
        INCOMPLETE: frozenset({"incomplete"}),
    }
)
"""The statuses that the response of a lifecycle event may have (R040, R048, R049 with decision 29)."""


def _part(
    added: EventName, delta: EventName, done: EventName, closed: EventName | None
) -> dict[State, dict[EventName, State]]:
    """R093-R098, R127, R157: added, deltas, one done value, and done where the done value is not the end."""
    if closed is None:
        return {ABSENT: {added: OPEN}, OPEN: {delta: OPEN, done: CLOSED}, CLOSED: {}}
    return {
        ABSENT: {added: OPEN},
        OPEN: {delta: OPEN, done: VALUE_DONE},
        VALUE_DONE: {closed: CLOSED},
        CLOSED: {},
    }


def _output(delta: EventName, done: EventName) -> dict[State, dict[EventName, State]]:
    """R158: nothing says that it begins; deltas, then one done value."""
    return {ABSENT: {delta: OPEN, done: CLOSED}, OPEN: {delta: OPEN, done: CLOSED}, CLOSED: {}}


_TEXT: Final = _part(PART_ADDED, "response.output_text.delta", "response.output_text.done", PART_DONE)
# R115, D09: an annotation may come before or after the text is done, while the part is open.
for _state in (OPEN, VALUE_DONE):
    _TEXT[_state]["response.output_text.annotation.added"] = _state

PARTS: Final[Mapping[str, Table]] = MappingProxyType(
    {
        "output_text": _TEXT,
        "refusal": _part(PART_ADDED, "response.refusal.delta", "response.refusal.done", PART_DONE),
        "reasoning_text": _part(PART_ADDED, "response.reasoning_text.delta", "response.reasoning_text.done", PART_DONE),
        "summary_text": _part(
            SUMMARY_ADDED,
            "response.reasoning_summary_text.delta",
            "response.reasoning_summary_text.done",
            SUMMARY_DONE,
        ),
        # One command of a shell_call, and what one command printed, are parts by another name.
        "command": _part(
            "response.shell_call_command.added",
            "response.shell_call_command.delta",
            "response.shell_call_command.done",
            None,
        ),
        "command output": _output(
            "response.shell_call_output_content.delta", "response.shell_call_output_content.done"
        ),
    }
)
"""The life of a part, by its type."""


class Role(StrEnum):
    """What an event does to its part."""

    BEGINS = "begins"
    ADDS = "adds"
    SAYS_WHOLE = "says whole"
    ENDS = "ends"
    REMARKS = "remarks"


ROLES: Final[Mapping[EventName, Role]] = MappingProxyType(
    {
        PART_ADDED: Role.BEGINS,
        PART_DONE: Role.ENDS,
        SUMMARY_ADDED: Role.BEGINS,
        SUMMARY_DONE: Role.ENDS,
        "response.output_text.annotation.added": Role.REMARKS,
        "response.shell_call_command.added": Role.BEGINS,
        **{
            name: Role.ADDS if name.endswith(".delta") else Role.SAYS_WHOLE
            for table in PARTS.values()
            for steps in table.values()
            for name in steps
            if name.endswith((".delta", ".done")) and name not in (PART_DONE, SUMMARY_DONE)
        },
    }
)
"""What each event of a part does to it."""

_CONTENT_BROKEN: Final[Mapping[Role, Mapping[State, str]]] = MappingProxyType(
    {
        Role.BEGINS: dict.fromkeys((OPEN, VALUE_DONE, CLOSED), "R092"),
        Role.ADDS: {ABSENT: "R093", VALUE_DONE: "R094", CLOSED: "R094"},
        Role.SAYS_WHOLE: {ABSENT: "R093", VALUE_DONE: "R095", CLOSED: "R095"},
        Role.ENDS: {ABSENT: "R097", OPEN: "R096", CLOSED: "R098"},
        Role.REMARKS: {ABSENT: "R115", CLOSED: "R115"},
    }
)
_OTHERS_BROKEN: Final = MappingProxyType({"summary_text": "R127", "command": "R157", "command output": "R158"})


def broken_in_part(part_type: str, state: State, name: EventName) -> str:
    """Return the rule that an event breaks which the table of a part refuses in *state*."""
    name = OPEN_REASONING_NAMES.get(name, name)
    if not any(name in steps for steps in PARTS[part_type].values()):
        return "R115" if ROLES[name] is Role.REMARKS else "R099"
    if state == ABSENT and part_type == "reasoning_text" and ROLES[name] in (Role.ADDS, Role.SAYS_WHOLE):
        return "R132"
    return _OTHERS_BROKEN.get(part_type) or _CONTENT_BROKEN[ROLES[name]][state]


OPEN_REASONING_NAMES: Final[Mapping[EventName, EventName]] = MappingProxyType(
    {
        "response.reasoning.delta": "response.reasoning_text.delta",
        "response.reasoning.done": "response.reasoning_text.done",
    }
)
"""The names of Open Responses for raw reasoning, and the names that the tables use (D03)."""

MOST_PARTIAL_IMAGES: Final = 3
"""How many partial images one call may show (R155)."""

FINAL: Final = frozenset({"completed", "incomplete", "failed"})
"""The statuses that an item may end with (R078)."""


class Grammar(NamedTuple):
    """What may happen inside an item of one type.

    Attributes:
        steps: its own events; the item is in state ``open`` once it is added.
        ends: the states in which `output_item.done` may come, each with the statuses that it may carry there. None in
            a set stands for an item without a status.
        statuses: all statuses that the type knows (R077); empty where it has none, None where it is not known.
        parts: the types of parts that it may have, by the member that they stand in.
        rules: the rules of which an event breaks one that *steps* refuses.
        calls: whether it is a call, whose `call_id` is its own (R162).
    """

    steps: Table = MappingProxyType({OPEN: MappingProxyType({})})
    ends: Mapping[State, frozenset[str | None]] = MappingProxyType({OPEN: FINAL | {None}})
    statuses: frozenset[str] | None = None
    parts: Mapping[str, frozenset[str]] = MappingProxyType({})
    rules: str = "R085"
    calls: bool = False

    @property
    def streams(self) -> bool:
        """Whether the type has events of its own that have to be sent."""
        return len(self.steps) > 1 or bool(self.parts)


_CUT: Final = frozenset({"incomplete"})
_BROKEN: Final = frozenset({"incomplete", "failed"})
_WHOLE: Final = frozenset({"completed"})
_USUAL: Final = frozenset({"in_progress", "completed", "incomplete"})
_NO_STATUS: Final[frozenset[str | None]] = frozenset({None})


def _value(prefix: str) -> tuple[EventName, EventName]:
    return f"response.{prefix}.delta", f"response.{prefix}.done"


def _string(prefix: str, calls: bool) -> Grammar:
    """R140-R143: deltas, then one done value; without it the item cannot be whole."""
    delta, done = _value(prefix)
    return Grammar(
        steps={
            OPEN: {delta: "streaming", done: VALUE_DONE},
            "streaming": {delta: "streaming", done: VALUE_DONE},
            VALUE_DONE: {},
        },
        ends={OPEN: _CUT, VALUE_DONE: frozenset({"completed", "incomplete"})},
        statuses=_USUAL,
        rules="R140, R143",
        calls=calls,
    )


def _chain(prefix: str, *names: str, statuses: Iterable[str], rule: str) -> Grammar:
    """R150, R151, R156: each state event once, in order; without the last the item is incomplete or failed."""
    states = [OPEN, *names]
    steps: dict[State, dict[EventName, State]] = {
        state: {f"response.{prefix}.{name}": name} for state, name in zip(states, names, strict=False)
    }
    steps[names[-1]] = {}
    known = frozenset({"in_progress", "completed", "failed", *statuses})
    ends = dict.fromkeys(states[:-1], _BROKEN & known) | {states[-1]: _WHOLE}
    return Grammar(steps=steps, ends=ends, statuses=known, rules=f"{rule}, R156")


def _code_interpreter() -> Grammar:
    """R152, R143: code that was begun is finished before the item is."""
    call, (delta, done) = "response.code_interpreter_call", _value("code_interpreter_call_code")
    return Grammar(
        steps={
            OPEN: {f"{call}.in_progress": "in_progress"},
            "in_progress": {delta: "streaming", done: VALUE_DONE},
            "streaming": {delta: "streaming", done: VALUE_DONE},
            VALUE_DONE: {f"{call}.interpreting": "interpreting"},
            "interpreting": {f"{call}.completed": "completed"},
            "completed": {},
        },
        ends={OPEN: _BROKEN, "in_progress": _BROKEN, VALUE_DONE: _BROKEN, "interpreting": _BROKEN, "completed": _WHOLE},
        statuses=frozenset({"in_progress", "interpreting", *FINAL}),
        rules="R140, R143, R152, R156",
    )


def _image_generation() -> Grammar:
    """R154, R155: partial images come while the image is being made, and there are not many of them."""
    call = "response.image_generation_call"
    shown = ["generating", *(f"generating, {count} shown" for count in range(1, MOST_PARTIAL_IMAGES + 1))]
    steps: dict[State, dict[EventName, State]] = {
        OPEN: {f"{call}.in_progress": "in_progress"},
        "in_progress": {f"{call}.generating": shown[0]},
        **{state: {f"{call}.completed": "completed"} for state in shown},
        "completed": {},
    }
    for state, after in pairwise(shown):
        steps[state][f"{call}.partial_image"] = after
    return Grammar(
        steps=steps,
        ends=dict.fromkeys(steps, frozenset({"failed"})) | {"completed": _WHOLE},
        statuses=frozenset({"in_progress", "generating", "completed", "failed"}),
        rules="R154, R155, R156",
    )


def _mcp_call() -> Grammar:
    """R147, R148: in_progress, arguments, then completed or failed; the item says the same."""
    call, (delta, done) = "response.mcp_call", _value("mcp_call_arguments")
    return Grammar(
        steps={
            OPEN: {f"{call}.in_progress": "in_progress"},
            "in_progress": {delta: "streaming", done: VALUE_DONE},
            "streaming": {delta: "streaming", done: VALUE_DONE},
            VALUE_DONE: {f"{call}.completed": "completed", f"{call}.failed": BROKEN},
            "completed": {},
            BROKEN: {},
        },
        ends={
            OPEN: _CUT,
            "in_progress": _CUT,
            VALUE_DONE: _CUT,
            "completed": _WHOLE,
            BROKEN: frozenset({"failed"}),
        },
        statuses=frozenset({"in_progress", "calling", *FINAL}),
        rules="R140, R143, R147, R156",
    )


def _mcp_list_tools() -> Grammar:
    """R149: in_progress, then completed or failed. The item has no status."""
    call = "response.mcp_list_tools"
    return Grammar(
        steps={
            OPEN: {f"{call}.in_progress": "in_progress"},
            "in_progress": {f"{call}.completed": "completed", f"{call}.failed": BROKEN},
            "completed": {},
            BROKEN: {},
        },
        ends={"completed": _NO_STATUS, BROKEN: _NO_STATUS},
        statuses=frozenset(),
        rules="R149",
    )


def _apply_patch() -> Grammar:
    """R140-R142, R160: the diff may be streamed, and then it is finished. The type knows no `incomplete`."""
    delta, done = _value("apply_patch_call_operation_diff")
    return Grammar(
        steps={
            OPEN: {delta: "streaming", done: VALUE_DONE},
            "streaming": {delta: "streaming", done: VALUE_DONE},
            VALUE_DONE: {},
        },
        ends={OPEN: _WHOLE, VALUE_DONE: _WHOLE},
        statuses=frozenset({"in_progress", "completed"}),
        rules="R140-R142",
        calls=True,
    )


WITHOUT_DIFF: Final = Grammar(ends={OPEN: _WHOLE}, statuses=frozenset({"in_progress", "completed"}), rules="R160")
"""What may happen inside an `apply_patch_call` that deletes a file: it has no diff to stream."""


def _plain(*statuses: str, calls: bool = False) -> Grammar:
    """An item that is only added and done."""
    ends: frozenset[str | None] = FINAL & frozenset(statuses) or _NO_STATUS
    return Grammar(ends={OPEN: ends}, statuses=frozenset(statuses), calls=calls)


_PLATFORM_TOOLS: Final = (
    "a2a_preview",
    "bing_grounding",
    "sharepoint_grounding_preview",
    "azure_ai_search",
    "bing_custom_search_preview",
    "openapi",
    "browser_automation_preview",
    "fabric_dataagent_preview",
    "azure_function",
)

ITEMS: Final[Mapping[str, Grammar]] = MappingProxyType(
    {
        "message": Grammar(
            statuses=_USUAL,
            ends={OPEN: frozenset({"completed", "incomplete"})},
            parts={"content": frozenset({"output_text", "refusal"})},
        ),
        "reasoning": Grammar(
            statuses=_USUAL,
            ends={OPEN: frozenset({"completed", "incomplete", None})},
            parts={"summary": frozenset({"summary_text"}), "content": frozenset({"reasoning_text"})},
        ),
        "function_call": _string("function_call_arguments", calls=True),
        "custom_tool_call": _string("custom_tool_call_input", calls=True),
        "file_search_call": _chain(
            "file_search_call",
            "in_progress",
            "searching",
            "completed",
            statuses=("searching", "incomplete"),
            rule="R150",
        ),
        "web_search_call": _chain(
            "web_search_call",
            "in_progress",
            "searching",
            "completed",
            statuses=("searching", "incomplete"),
            rule="R151",
        ),
        "code_interpreter_call": _code_interpreter(),
        "image_generation_call": _image_generation(),
        "mcp_call": _mcp_call(),
        "mcp_list_tools": _mcp_list_tools(),
        "mcp_approval_request": _plain(),
        "mcp_approval_response": _plain(),
        "shell_call": Grammar(
            statuses=_USUAL,
            ends={OPEN: frozenset({"completed", "incomplete"})},
            parts={"action.commands": frozenset({"command"})},
            calls=True,
        ),
        "shell_call_output": Grammar(
            statuses=_USUAL,
            ends={OPEN: frozenset({"completed", "incomplete"})},
            parts={"output": frozenset({"command output"})},
        ),
        "apply_patch_call": _apply_patch(),
        "compaction": Grammar(
            steps={OPEN: {"response.compaction.compacting": "compacting"}, "compacting": {}},
            ends={OPEN: _NO_STATUS, "compacting": _NO_STATUS},
            statuses=frozenset(),
        ),
        "function_call_output": _plain(*_USUAL),
        "custom_tool_call_output": _plain(*_USUAL),
        "computer_call": _plain(*_USUAL, calls=True),
        "computer_call_output": _plain("failed", *_USUAL),
        "local_shell_call": _plain(*_USUAL, calls=True),
        "local_shell_call_output": _plain(*_USUAL),
        "apply_patch_call_output": _plain("completed", "failed"),
        "tool_search_call": _plain(*_USUAL, calls=True),
        "tool_search_output": _plain(*_USUAL),
        "additional_tools": _plain(),
        "program": _plain(calls=True),
        "program_output": _plain("completed", "incomplete"),
        "structured_outputs": _plain(),
        "oauth_consent_request": _plain(),
        "memory_search_call": _plain("searching", "failed", *_USUAL),
        "workflow_action": _plain("completed", "failed", "in_progress", "cancelled"),
        **{f"{tool}_call": _plain("failed", *_USUAL, calls=True) for tool in _PLATFORM_TOOLS},
        **{f"{tool}_call_output": _plain("failed", *_USUAL) for tool in _PLATFORM_TOOLS},
    }
)
"""What may happen inside an item, by its type (items.md section 3)."""

UNKNOWN_ITEM: Final = Grammar()
"""What may happen inside an item whose type is not known: it is added and done, with any status."""

INPUT_ONLY: Final = frozenset({"compaction_trigger", "configuration_update", "item_reference"})
"""Types that are never output items (R080)."""


def step_part(part_type: str, state: State, name: EventName, where: str) -> State:
    """Return the state of a part after the event *name*. The caller stores it, so a refused event leaves no trace.

    Raises:
        OutOfOrder: the table of the part does not list it; *where* names the part in the message.
    """
    steps = PARTS[part_type][state]
    try:
        return steps[name]
    except KeyError:
        broken = broken_in_part(part_type, state, name)
        raise OutOfOrder(name, f"{where} {state}", tuple(steps), broken) from None


def broken_in_item(grammar: Grammar, state: State, name: EventName) -> str:
    """Return the rules of which an event breaks one that an item refuses in *state*."""
    if state in (ABSENT, CLOSED):
        absent = state == ABSENT
        return {ITEM_ADDED: "R063", ITEM_DONE: "R071" if absent else "R072"}.get(name, "R082" if absent else "R083")
    if name == ITEM_ADDED:
        return "R063"
    ours = name == ITEM_DONE or any(name in steps for steps in grammar.steps.values())
    return grammar.rules if ours or grammar.rules == "R085" else f"R085, {grammar.rules}"


def grammar_of(item_type: str) -> Grammar:
    """Return what may happen inside an item of *item_type*."""
    return ITEMS.get(item_type, UNKNOWN_ITEM)
