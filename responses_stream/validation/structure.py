"""Whether an event is built as its type wants it: required members, JSON types, and what an enum may hold.

The wire types of `responses_stream.protocol` are read strictly, and each place where the event does not fit becomes a
breach of the rule that speaks of that place (R012-R015, R066-R068, R109, R110, R114, R119). What the types leave
optional, because some service leaves it out, and the protocol does not, stands in a table here.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from responses_stream import lifecycle
from responses_stream.errors import DecodeError, Problem
from responses_stream.protocol.codec import decode_event
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.protocol.plans import plan_of, tags_of
from responses_stream.validation.closed import fits
from responses_stream.validation.differences import shown
from responses_stream.validation.findings import Findings

_MISSING: Final = "is required and missing"
_INDEXES: Final = (
    *("output_index", "content_index", "summary_index", "command_index"),
    *("annotation_index", "partial_image_index"),
)
# What says where an event belongs, and nothing else.
_WHERE: Final = frozenset({"item_id", *_INDEXES})
_ELEMENT: Final = re.compile(r"\[\d+\]")
_IN_ANNOTATION: Final = re.compile(r"\.annotation\.|\.annotations\[\d+\]\.")

# items.md section 3: what an item holds beyond the members that its wire type cannot do without (R068).
_NEEDED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "message": ("role",),
        "function_call": ("status",),
        "function_call_output": ("call_id", "status"),
        "custom_tool_call_output": ("status",),
        "web_search_call": ("action",),
        "code_interpreter_call": ("code",),
        "image_generation_call": ("result",),
        "computer_call_output": ("status",),
        "shell_call": ("status",),
        "shell_call_output": ("max_output_length", "status"),
        "tool_search_call": ("call_id", "execution", "status"),
        "tool_search_output": ("call_id", "execution", "status"),
        **dict.fromkeys(
            (
                *("a2a_preview_call", "openapi_call", "azure_function_call"),
                *("a2a_preview_call_output", "openapi_call_output", "azure_function_call_output"),
            ),
            ("name",),
        ),
    }
)
_NULLABLE: Final = frozenset({"code", "result", "max_output_length", "call_id"})
# Section 2 of ordering-rules.md: what the service of OpenAI leaves out (R068).
_OPENAI_WITHOUT_STATUS: Final = frozenset(
    {"reasoning", "mcp_list_tools", "mcp_approval_request", "compaction", "program"}
)
_OPENAI_LATE: Final = frozenset({"action", "result"})


# Their own checks say more: R012, R067; R170 and R207 for an error event.
_ELSEWHERE: Final = frozenset({"$.sequence_number", "$.item.id"})
_IN_ERRORS: Final = frozenset({"$.error", "$.message", "$.error.message", "$.status"})
# Some services number their errors.
_LOOSE_ERRORS: Final = frozenset({"$.code", "$.param", "$.error.code", "$.error.param"})
_MOST: Final = 2**63
_NOWHERE: Final[frozenset[str]] = frozenset()


def index_of(value: object) -> int | None:
    """Return *value* where it can be an index or a number of events: an integer from 0, and no boolean."""
    return value if type(value) is int and 0 <= value < _MOST else None


def word_of(value: object) -> str | None:
    """Return *value* where it is a string."""
    return value if isinstance(value, str) else None


def judge_structure(event: dict[str, Any], name: str, findings: Findings) -> frozenset[str] | None:
    """Say where *event* is not built as an event of the type *name*, and return the paths of these places.

    None says that it is built as another event, so that its name must be wrong; then the first place is said alone.
    """
    if name in lifecycle.STATUS_SAID and isinstance(event.get("response"), dict):
        # The copy of a response has rules of its own, and its output is compared and not taken apart.
        return _NOWHERE
    problems = _problems(event, name, findings.profile == "lenient")
    if is_misnamed(event, name, problems):
        if problems:
            _say(problems[0], event, findings)
        else:
            judge_error(event, _NOWHERE, findings)
        return None
    odd = {problem.path for problem in problems if _say(problem, event, findings) != "R119"}
    for index in _INDEXES:
        value = event.get(index)
        if type(value) is int and index_of(value) is None:
            findings.say("R014", f"$.{index}", f"is {shown(value)}", "an integer from 0", once=index)
            odd.add(f"$.{index}")
    part, item = event.get("part"), event.get("item")
    if isinstance(part, dict) and part.get("type") == "output_text" and not isinstance(part.get("annotations"), list):
        seen = f"is {shown(part['annotations'])}" if "annotations" in part else "is missing"
        findings.say("R114", "$.part.annotations", seen, "an array", once="annotations")
        odd.add("$.part.annotations")
    if isinstance(item, dict):
        _judge_item(item, name, odd, findings)
    return frozenset(odd)


def judge_error(event: Mapping[str, Any], odd: Collection[str], findings: Findings) -> None:
    """Judge the shape of an `error` event: flat or nested (R170)."""
    profile, nested = findings.profile, event.get("error")
    flat = isinstance(event.get("message"), str)
    whole = isinstance(nested, Mapping) and isinstance(nested.get("message"), str)
    if nested is not None and not isinstance(nested, Mapping):
        findings.say("R170", "$.error", f"is {shown(nested)}", "an object")
    elif not (flat or whole):
        findings.say("R170", "$", "no message, neither flat nor nested", "error.message, or message")
    elif profile in ("openai", "open-responses") and (flat or not whole):
        findings.say("R170", "$", "the flat shape", "the nested shape alone")
    elif profile == "azure" and (whole or nested is not None):
        findings.say("R170", "$", "the nested shape", "the flat shape alone")
    elif not odd and isinstance(nested, Mapping):
        for member in ("message", "code", "param"):
            if member in event and nested.get(member) != event[member]:
                seen = f"{shown(event.get(member))} flat, {shown(nested.get(member))} nested"
                findings.say("R170", f"$.{member}", seen, "one and the same")
                break


def _problems(event: dict[str, Any], name: str, lenient: bool) -> list[Problem]:
    """Return the places where the wire type does not fit, but for those that other checks speak of."""
    if fits(event, name):
        return []
    elsewhere = _ELSEWHERE | _IN_ERRORS if name == "error" else _ELSEWHERE
    if lenient:
        elsewhere |= _LOOSE_ERRORS
    found = misfits(event, _misfits_of_event)
    return [one for one in found if not (one.path in elsewhere or one.path.endswith(".annotations"))]


def misfits(data: Mapping[str, Any], read: Callable[[Mapping[str, Any]], Sequence[Problem]]) -> list[Problem]:
    """Return the problems that reading *data* meets, but for nulls that may as well be absent (R181)."""
    found = read(data)
    nulls = {problem.path for problem in found if problem.message.endswith("got null")}
    if not nulls:
        return list(found)
    missed = {problem.path for problem in read(_without(data, "$", nulls))}
    return [problem for problem in found if problem.path not in nulls or problem.path in missed]


def _misfits_of_event(event: Mapping[str, Any]) -> Sequence[Problem]:
    try:
        decode_event(event, strict=True, number=0)
    except DecodeError as error:
        return error.problems or (Problem("$", error.reason),)
    return ()


def _without(data: Any, path: str, paths: Collection[str]) -> Any:
    """Return *data* without the members at *paths*."""
    if isinstance(data, dict):
        members = {f"{path}.{key}": (key, value) for key, value in data.items()}
        return {key: _without(value, at, paths) for at, (key, value) in members.items() if at not in paths}
    if isinstance(data, list):
        return [_without(element, f"{path}[{at}]", paths) for at, element in enumerate(data)]
    return data


def is_misnamed(event: Mapping[str, Any], name: str, problems: Collection[Problem]) -> bool:
    """Whether an event lacks what its type has and has what another one has, so that its name must be wrong."""
    if not problems and name != "error":
        return False
    mine, every = _members()[name], _every()
    foreign = (event.keys() & every) - mine
    if name == "error":
        return bool(foreign) and not event.keys() & {"message", "error"}
    lacks = {problem.path[2:] for problem in problems} & mine - event.keys()
    if len(lacks) > 1 and not event.keys() & mine - _WHERE:
        return True  # it says where it belongs, and nothing else
    return bool(foreign and lacks)


@functools.cache
def _members() -> Mapping[str, frozenset[str]]:
    kinds = tags_of(ResponseStreamEvent).items()
    return {name: frozenset(plan_of(kind).members) - {"type", "sequence_number"} for name, kind in kinds}


@functools.cache
def _every() -> frozenset[str]:
    return frozenset().union(*_members().values())


def _say(problem: Problem, event: Mapping[str, Any], findings: Findings) -> str:
    """Say it where the event does not fit; return the rule."""
    path = problem.path
    missing = problem.message == _MISSING or problem.message.endswith("got null")
    # What is missing here will be missing elsewhere too: that is one cause.
    item = event.get("item")
    if ".logprobs[" in path:
        path = path[: path.rindex("]") + 1]
    cause = f"{_ELEMENT.sub('', path)} {item.get('type') if isinstance(item, dict) else ''}"
    expected = problem.message.partition("expected ")[2].partition(", got ")[0]
    rule = _rule_of(path, missing)
    findings.say(rule, path, problem.message, expected or "it to be there", once=cause)
    return rule


def _rule_of(path: str, missing: bool) -> str:
    inside = path.partition("[")[0].split(".")
    last = path.rpartition(".")[2]
    if path in ("$.item", "$.item.type"):
        return "R066"
    if _IN_ANNOTATION.search(path):
        return "R119"
    if last == "logprobs":
        return "R109"
    if ".logprobs[" in path:
        return "R110"
    if last in _INDEXES and not missing:
        return "R014"
    if inside[1:2] == ["item"] and missing:
        return "R068"
    return "R013" if missing else "R015"


def _judge_item(item: Mapping[str, Any], name: str, odd: set[str], findings: Findings) -> None:
    kind = item.get("type")
    item_id = item.get("id")
    if not isinstance(item_id, str) or not item_id:
        seen = f"is {shown(item_id)}" if "id" in item else "is missing"
        findings.say("R067", "$.item.id", seen, "a non-empty string", once=str(kind)[:99])
        odd.add("$.item.id")
    for member in _NEEDED.get(kind, ()) if isinstance(kind, str) else ():
        path, null = f"$.item.{member}", item.get(member) is None
        if path in odd or not null or (member in item and member in _NULLABLE):
            continue
        if findings.profile == "openai" and _may_lack(kind, member, name):
            continue
        seen = "is null" if member in item else "is missing"
        findings.say("R068", path, seen, f"{member} of a {kind}", once=f"{kind}.{member}")
        odd.add(path)
    if kind == "mcp_call" and isinstance(item.get("error"), str) and findings.profile != "lenient":
        findings.say("R015", "$.item.error", f"is {shown(item['error'])}", "an object, or null", once="mcp error")
        odd.add("$.item.error")
    operation = item.get("operation")
    if kind == "apply_patch_call" and isinstance(operation, dict) and not isinstance(operation.get("type"), str):
        seen = f"is {shown(operation['type'])}" if "type" in operation else "is missing"
        findings.say("R068", "$.item.operation.type", seen, "the kind of the operation", once="operation")
        odd.add("$.item.operation.type")


def _may_lack(kind: object, member: str, name: str) -> bool:
    """Whether the service of OpenAI leaves out a member of an item."""
    if member == "status":
        return kind in _OPENAI_WITHOUT_STATUS
    return member in _OPENAI_LATE and name == lifecycle.ITEM_ADDED
