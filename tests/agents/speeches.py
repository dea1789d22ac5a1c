"""Hypothesis strategies for what agents say: all kinds of content, in all orders that mean something."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import attrs
from hypothesis import strategies as st

from responses_stream import ResponseObject
from responses_stream.agents.contents import (
    ApprovalRequest,
    ApprovalResponse,
    CodeInterpreter,
    FunctionCall,
    FunctionResult,
    Image,
    Incomplete,
    Media,
    Reasoning,
    Refusal,
    Said,
    Shell,
    ShellResult,
    Text,
    ToolCall,
    ToolResult,
    Update,
    Usage,
)
from responses_stream.protocol.base import UnknownItem
from responses_stream.protocol.hosted_items import McpCall, McpToolExecutionError
from responses_stream.protocol.items import (
    ResponseCustomToolCall,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseReasoningItem,
)
from responses_stream.protocol.parts import Logprob, ReasoningText, ResponseOutputText, SummaryText

Draw = Callable[[st.SearchStrategy[Any]], Any]

_TEXTS: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
_IDS: Final = st.sampled_from([None, None, "a", "b"])
_OBJECTS: Final = st.dictionaries(st.sampled_from("xyz"), st.integers() | _TEXTS, max_size=2).map(json.dumps)


@attrs.frozen
class Speech:
    """What an agent says."""

    said: list[Said]

    @property
    def pieces(self) -> list[Any]:
        """Everything that is said, piece by piece."""
        return [piece for said in self.said for piece in (said.contents if isinstance(said, Update) else [said])]


def cut(text: str, at: Iterable[int]) -> list[str]:
    """Cut *text* in pieces, empty ones among them."""
    places = [0, *sorted(place % (len(text) + 1) for place in at), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(places)]


_CUTS: Final = st.lists(st.integers(0, 99), max_size=3)

_RAW: Final = st.sampled_from(
    [
        lambda key: [{"type": "web_search_call", "id": f"ws_{key}", "action": {"type": "search", "query": "q"}}],
        lambda key: [UnknownItem(type="acme:thing", id=f"at_{key}", extra={"what": key})],
        # The second form stands for the first (H21.17).
        lambda key: [{"type": "acme:thing", "id": f"an_{key}", "n": n} for n in range(2)],
        lambda key: [
            {
                "type": "message",
                "id": f"m_{key}",
                "role": "assistant",
                "content": [{"type": "output_text", "text": f"raw {key}"}],
            }
        ],
        lambda key: [
            {"type": "function_call", "id": f"f_{key}", "call_id": f"raw_{key}", "name": "f", "arguments": "{}"},
        ],
    ]
)

_SINGLES: Final = st.one_of(
    _TEXTS,
    st.builds(Text, text=_TEXTS, message_id=_IDS, phase=st.sampled_from([None, "commentary", "final_answer"])),
    st.builds(lambda text: Text(text, annotations=[{"type": "file_path", "file_id": "f", "index": 0}]), _TEXTS),
    st.builds(lambda text: Text(text, logprobs=[Logprob(token=text, logprob=-0.5)]), _TEXTS),
    st.builds(Refusal, _TEXTS),
    st.builds(
        Reasoning,
        text=_TEXTS,
        summary=st.booleans(),
        encrypted_content=st.sampled_from([None, None, "sealed"]),
        reasoning_id=_IDS,
        begins=st.booleans(),
    ),
    st.builds(Usage, *[st.integers(0, 9)] * 4),
    st.sampled_from(
        [
            Media("https://example.com/a.png", "image/png", "a picture"),
            Media("http://example.com/"),
            Media("data:image/png;base64,aGk="),
            Media("data:image/svg+xml,%3Csvg/%3E"),
            Media("data:text/plain,hi", name="note"),
            Media("file:///tmp/x", "application/pdf"),
        ]
    ),
)


@st.composite
def speeches(draw: Draw) -> Speech:
    """Anything that an agent may say: pieces of calls in turns with each other and with everything else."""
    # Units are not taken apart: within one, the pieces of the client's calls may not be mixed with anything but tools.
    units: list[list[Any]] = []
    for key in range(draw(st.integers(0, 6))):
        kind = draw(st.sampled_from(["single", "single", "single", "calls", "raw", "shell", "approval"]))
        if kind == "single":
            units.append([draw(_SINGLES)])
        elif kind == "calls":
            units.append(_calls(draw, key))
        elif kind == "raw":
            units.append(draw(_RAW)(key))
        elif kind == "shell":
            outcome = {"type": "exit", "exit_code": 0}
            units.append([Shell(f"s{key}", draw(st.lists(_TEXTS, max_size=2)))])
            units.append([ShellResult(f"s{key}", [{"stdout": draw(_TEXTS), "stderr": "", "outcome": outcome}])])
        else:
            units.append([ApprovalRequest(f"apr_{key}", "drop", draw(_OBJECTS))])
            units.append([ApprovalResponse(f"apr_{key}", draw(st.booleans()))])
    for key in range(draw(st.integers(0, 2))):
        outputs = draw(st.sampled_from([None, [], [{"type": "logs", "logs": "1"}]]))
        runs: list[Any] = [CodeInterpreter(f"c{key}", code) for code in cut("print(1)", draw(_CUTS))]
        _mix(
            draw,
            units,
            [[run] for run in [*runs, *([] if outputs is None else [CodeInterpreter(f"c{key}", outputs=outputs)])]],
        )
    for key in range(draw(st.integers(0, 2))):
        partials: list[Any] = [Image(f"i{key}", partial="cGFydA==") for _ in range(draw(st.integers(1, 5)))]
        _mix(
            draw,
            units,
            [[image] for image in [*partials, *draw(st.sampled_from([[], [Image(f"i{key}", result="aGk=")]]))]],
        )
    # A later form of an item stands for it as long as nothing else has come.
    pieces = [group for unit in units for group in ([unit] if isinstance(unit[0], dict) else [[one] for one in unit])]
    for key in range(draw(st.integers(0, 3))):
        _mix(draw, pieces, [[piece] for piece in _tool(draw, key)])
    return Speech(_grouped(draw, [piece for group in pieces for piece in group]))


_ARGUMENTS: Final = st.sampled_from(["", "{", "}", "{}", "x"])
_RESULTS: Final = st.sampled_from([None, [], [{"type": "logs", "logs": "1"}]])

anything: st.SearchStrategy[Said] = st.one_of(
    _SINGLES,
    _RAW.map(lambda make: make("x")[-1]),
    st.builds(FunctionCall, st.sampled_from("12"), st.sampled_from(["", "f"]), _ARGUMENTS, st.booleans()),
    st.builds(FunctionResult, st.sampled_from("12"), _TEXTS, st.booleans()),
    st.builds(ToolCall, st.sampled_from("12"), st.sampled_from(["", "f"]), _ARGUMENTS),
    st.builds(ToolResult, st.sampled_from("12"), _TEXTS, st.sampled_from([None, "", "failed"])),
    st.builds(CodeInterpreter, st.sampled_from("12"), _TEXTS, _RESULTS),
    st.builds(Image, st.sampled_from("12"), st.sampled_from([None, "", "aGk="]), st.sampled_from([None, "", "aGk="])),
    st.builds(Shell, st.sampled_from("12"), st.lists(_TEXTS, max_size=2)),
    st.builds(ApprovalRequest, st.sampled_from(["", "1", "2"]), st.sampled_from(["", "f"]), _ARGUMENTS),
    st.builds(ApprovalResponse, st.sampled_from(["", "1"]), st.booleans()),
    st.builds(Incomplete, st.sampled_from(["", "content_filter"])),
    st.sampled_from([Text("\ud800"), {"type": "item_reference"}, {}, 3, Update([3])]),  # type: ignore[list-item]  # nothing that may be said
)
"""Anything at all, whether or not it means something there."""


def _calls(draw: Draw, key: int) -> list[Any]:
    """Calls of the client's functions, in turns; some are answered at once."""
    threads: list[list[Any]] = []
    for number in range(draw(st.integers(1, 3))):
        call_id, custom = f"f{key}.{number}", draw(st.booleans())
        arguments = draw(_OBJECTS | st.just(""))
        first, *more = cut(arguments, draw(_CUTS))
        thread: list[Any] = [
            FunctionCall(call_id, "look", first, custom),
            *(FunctionCall(call_id, arguments=piece) for piece in more),
        ]
        if draw(st.booleans()):
            thread.append(FunctionResult(call_id, draw(_TEXTS), custom))
        threads.append(thread)
    mixed: list[list[Any]] = []
    for thread in threads:
        _mix(draw, mixed, [[piece] for piece in thread])
    return [piece for group in mixed for piece in group]


def _tool(draw: Draw, key: int) -> list[Any]:
    """A call of a tool of the agent's own; where nobody answers it, it comes with all of its arguments."""
    call_id, label = f"t{key}", draw(st.sampled_from([None, "files"]))
    results = [[ToolResult(call_id, draw(_TEXTS))], [ToolResult(call_id, "", "no such thing")], []]
    first, *more = cut(draw(_OBJECTS), draw(_CUTS))
    pieces = [ToolCall(call_id, "read", first, label), *(ToolCall(call_id, arguments=piece) for piece in more)]
    return [*pieces, *draw(st.sampled_from(results))]


def _mix(draw: Draw, into: list[list[Any]], thread: Sequence[list[Any]]) -> None:
    """Put *thread* between what is there, in its order."""
    places = sorted(draw(st.integers(0, len(into))) for _ in thread)
    for place, unit in zip(reversed(places), reversed(thread), strict=True):
        into.insert(place, unit)


def _grouped(draw: Draw, pieces: list[Any]) -> list[Said]:
    """Say some pieces together."""
    said: list[Said] = []
    while pieces:
        size = draw(st.integers(0, 3))
        said.append(Update(pieces[:size], "a-model") if size else pieces[0])
        del pieces[: size or 1]
    return said


# What is said, and what a response says.


@attrs.frozen
class Told:
    """What of a speech has to be in a response, in whatever items it is."""

    text: str
    thoughts: str
    summary: str
    calls: list[tuple[str, str]]
    tools: Counter[tuple[str, str | None, str | None]]


def told_by(pieces: Iterable[Any]) -> Told:
    """Return what *pieces* tell."""
    text = thoughts = summary = ""
    calls: dict[str, str] = {}
    tools: dict[str, list[Any]] = {}
    raw: dict[str, Any] = {}
    for piece in pieces:
        if isinstance(piece, str | Text):
            text += piece if isinstance(piece, str) else piece.text
        elif isinstance(piece, Media) and not piece.uri.startswith("data:image/"):
            text += (
                (piece.name or piece.uri)
                if piece.uri.startswith("http")
                else ": ".join(filter(None, (piece.name, piece.uri)))
            )
        elif isinstance(piece, Reasoning):
            thoughts += "" if piece.summary else piece.text
            summary += piece.text if piece.summary else ""
        elif isinstance(piece, FunctionCall):
            calls[piece.call_id] = calls.get(piece.call_id, "") + piece.arguments
        elif isinstance(piece, ToolCall):
            tools.setdefault(piece.call_id, ["", None, None])[0] += piece.arguments
        elif isinstance(piece, ToolResult):
            tools[piece.call_id][1:] = [piece.output or None, piece.error]
        elif isinstance(piece, dict):
            raw[piece["id"]] = piece
            text += piece["content"][0]["text"] if piece["type"] == "message" else ""
            if piece["type"] == "function_call":
                calls[piece["call_id"]] = piece["arguments"]
    return Told(text, thoughts, summary, sorted(calls.items()), Counter(tuple(tool) for tool in tools.values()))


def told_in(response: ResponseObject) -> Told:
    """Return what the items of *response* tell."""
    thoughts = summary = text = ""
    calls: list[tuple[str, str]] = []
    tools: Counter[tuple[str, str | None, str | None]] = Counter()
    for item in response.output:
        if isinstance(item, ResponseOutputMessage):
            text += "".join(part.text for part in item.content if isinstance(part, ResponseOutputText))
        elif isinstance(item, ResponseReasoningItem):
            thoughts += "".join(part.text for part in item.content or () if isinstance(part, ReasoningText))
            summary += "".join(part.text for part in item.summary if isinstance(part, SummaryText))
        elif isinstance(item, ResponseFunctionToolCall):
            calls.append((item.call_id, item.arguments))
        elif isinstance(item, ResponseCustomToolCall):
            calls.append((item.call_id, item.input))
        elif isinstance(item, McpCall):
            error = item.error.content[0]["text"] if isinstance(item.error, McpToolExecutionError) else None
            tools[item.arguments, item.output or None, error] += 1
    return Told(text, thoughts, summary, sorted(calls), tools)
