"""Random programs over the whole public API of the builders.

A `Program` holds a stream and everything that was made of it: builders, whether they are used or not, and conveniences
that were told halfway. A step picks one and calls it, without asking whether that is allowed. What is refused has to
leave everything as it was, and has to advise what is possible; what comes out is kept with its bytes of that moment.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final, TypeVar

import attrs
import msgspec
from hypothesis import strategies as st

from responses_stream import lifecycle
from responses_stream.builders.conversation import (
    CustomToolCallBuilder,
    FunctionCallBuilder,
    MessageBuilder,
    ReasoningBuilder,
)
from responses_stream.builders.hosted import (
    CodeInterpreterCallBuilder,
    FileSearchCallBuilder,
    ImageGenerationCallBuilder,
    WebSearchCallBuilder,
)
from responses_stream.builders.item import ItemBuilder
from responses_stream.builders.mcp import McpCallBuilder, McpListToolsBuilder
from responses_stream.builders.part import PartBuilder
from responses_stream.builders.plain import CompactionBuilder, PlainItemBuilder
from responses_stream.builders.shell import (
    ApplyPatchCallBuilder,
    ShellCallBuilder,
    ShellCallOutputBuilder,
    ShellCommandBuilder,
    ShellOutputBuilder,
)
from responses_stream.builders.stream import ResponseEventStream
from responses_stream.builders.texts import (
    ReasoningTextBuilder,
    RefusalContentBuilder,
    SummaryPartBuilder,
    TextContentBuilder,
)
from responses_stream.errors import InvalidType, InvalidValue, OutOfOrder
from responses_stream.protocol.base import Event, UnknownEvent, Wire
from responses_stream.protocol.codec import to_builtins
from responses_stream.protocol.events import ResponseStreamEvent
from responses_stream.protocol.parts import Logprob, TopLogprob
from responses_stream.sse import encode_event

T = TypeVar("T")
Draw = Callable[[st.SearchStrategy[Any]], Any]

TEXT: Final = st.text(st.characters(codec="utf-8"), max_size=6)
_NAME: Final = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6)
_JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=3,
)
_LOGPROBS: Final = st.lists(
    st.builds(
        Logprob,
        token=TEXT,
        logprob=st.floats(-9, 0),
        top_logprobs=st.lists(st.builds(TopLogprob, token=TEXT, logprob=st.floats(-9, 0)), max_size=1),
    ),
    max_size=2,
)
# Caches, and what is not state.
_NO_STATE: Final = frozenset({"_length", "_measured", "_clock", "_make_item_id"})


class Program:
    """A stream in the making, by random calls."""

    def __init__(self, draw: Draw, stream: ResponseEventStream) -> None:
        self.draw = draw
        self.stream = stream
        self.live: list[ItemBuilder | PartBuilder] = []
        self.half_told: list[Iterator[ResponseStreamEvent]] = []
        self.events: list[ResponseStreamEvent] = []
        self.frames: list[bytes] = []
        self.refusals = 0
        self._ids = 0

    # Values.

    def pick(self, *choices: T) -> T:
        chosen: T = self.draw(st.sampled_from(choices))
        return chosen

    def text(self) -> str:
        drawn: str = self.draw(TEXT)
        return drawn

    def name(self) -> str:
        drawn: str = self.draw(_NAME)
        return drawn

    def json(self) -> Any:
        return self.draw(_JSON)

    def texts(self) -> list[str]:
        drawn: list[str] = self.draw(st.lists(TEXT, max_size=2))
        return drawn

    def call_id(self) -> str:
        """Return a call id; now and then one that may be taken."""
        self._ids += 1
        return self.pick("call_1", f"call_{self._ids}", f"call_{self._ids}")

    def item_id(self) -> str | None:
        return self.pick(None, None, None, "item_1", "item_2")

    def caller(self) -> Mapping[str, Any] | None:
        return self.pick(None, {"type": "direct"}, {"type": "program", "caller_id": "call_1"})

    def status(self) -> Any:
        return ("incomplete", "failed", "completed")[min(self.draw(st.integers(0, 11)), 2)]

    def usage(self) -> Mapping[str, Any] | None:
        if self.pick(True, False):
            return None
        read, written = self.draw(st.integers(0, 9)), self.draw(st.integers(0, 9))
        return {
            "input_tokens": read,
            "output_tokens": written,
            "total_tokens": read + written,
            "input_tokens_details": {"cached_tokens": self.draw(st.integers(0, read))},
            "output_tokens_details": {"reasoning_tokens": self.draw(st.integers(0, written))},
        }

    def annotation(self, length: int) -> Mapping[str, Any]:
        """Return an annotation of a text of *length* characters; now and then one that reaches beyond it."""
        end = self.draw(st.integers(0, length + 1))
        start = self.draw(st.integers(0, end))
        span = {"start_index": start, "end_index": end}
        return self.pick(
            {"type": "url_citation", "url": "u", "title": "t", **span},
            {"type": "container_file_citation", "container_id": "c", "file_id": "f", "filename": "n", **span},
            {"type": "file_citation", "file_id": "f", "filename": "n", "index": start},
            {"type": "file_path", "file_id": "f", "index": start},
            {"type": "acme:remark", "note": "x"},
        )

    # Steps.

    def step(self) -> None:
        """Make one random call, mostly on something that is open."""
        kind = self.draw(st.integers(0, 19))
        open_now = [builder for builder in self.live if self.is_open(builder)]
        if kind < 11 and open_now:
            self.call_on(self.draw(st.sampled_from(open_now[-5:])))
        elif kind < 13 and self.live:
            self.call_on(self.draw(st.sampled_from(self.live[-12:])))
        elif kind < 15 and self.half_told:
            self.tell(self.draw(st.sampled_from(self.half_told)))
        elif kind < 17:
            self.make(CONVENIENCES)
        elif kind < 18:
            self.call(lambda: self.draw(st.sampled_from(_LIFECYCLE))(self), None)
        else:
            self.make(FACTORIES)

    def call_on(self, builder: ItemBuilder | PartBuilder) -> None:
        """Make a random call on *builder*."""
        call = self.draw(st.sampled_from(CALLS[type(builder)]))
        self.call(lambda: call(self, builder), builder)

    def make(self, table: Mapping[str, Make]) -> None:
        """Make something new by *table*: one of the kinds that stream, or one of the many that do not."""
        kinds = sorted(set(table) - set(_PLAIN)) if self.pick(True, True, False) else sorted(_PLAIN)
        make = table[self.draw(st.sampled_from(kinds))]
        self.call(lambda: make(self), None)

    def begin(self) -> None:
        """Let the response begin, as most do."""
        if self.pick(True, False):
            self.call(lambda: self.stream.emit_created(status="queued"), None)
            self.call(self.stream.emit_queued, None)
        else:
            self.call(self.stream.emit_created, None)
        self.call(self.stream.emit_in_progress, None)

    def finish_items(self) -> None:
        """Finish what is open, by trying the calls that lead on."""
        for told in self.half_told:
            while self.tell(told):
                pass
        for _ in range(3):
            for builder in sorted(self.live, key=lambda builder: isinstance(builder, ItemBuilder)):
                if self.is_open(builder):
                    self.lead_on(builder)

    def lead_on(self, builder: ItemBuilder | PartBuilder) -> None:
        """Try the calls that lead *builder* to its end; those that do not fit are refused."""
        for call in _CLOSING[type(builder)]:
            self.call(partial(call, self, builder), builder)

    def end(self) -> None:
        """End the response, in one way or another."""
        for _ in range(2):
            self.call(lambda: self.draw(st.sampled_from(_ENDS))(self), None)
        self.call(lambda: self.stream.emit_completed(usage=self.usage()), None)
        self.call(self.stream.emit_failed, None)

    def is_open(self, builder: ItemBuilder | PartBuilder) -> bool:
        if isinstance(builder, PartBuilder):
            return builder.is_open
        return builder in list(self.stream._core._open.values())

    def call(self, function: Callable[[], object], builder: ItemBuilder | PartBuilder | None) -> bool:
        """Make a call, and return whether it was allowed. What was refused must have changed nothing."""
        # What the call draws changes nothing, so it may be drawn before as well as while.
        before = self.state()
        refusal: OutOfOrder | InvalidType | InvalidValue
        try:
            made = function()
        except (OutOfOrder, InvalidType, InvalidValue) as error:
            refusal = error
        else:
            self.keep(made)
            return True
        self.refusals += 1
        assert self.state() == before, f"{refusal} changed something"
        if isinstance(refusal, OutOfOrder):
            self.heed(refusal, builder)
        else:
            assert refusal.argument in str(refusal)
        return False

    def keep(self, made: object) -> None:
        """Keep what a call made."""
        if isinstance(made, Event | UnknownEvent):
            self.note(made)
        elif isinstance(made, ItemBuilder | PartBuilder):
            self.live.append(made)
            # Most are begun at once.
            if hasattr(made, "emit_added") and self.draw(st.integers(0, 9)):
                self.call(made.emit_added, made)
        else:
            assert isinstance(made, Iterator)
            self.half_told.append(made)

    def tell(self, half_told: Iterator[ResponseStreamEvent]) -> bool:
        """Take the next event of a convenience, and return whether there was one."""
        try:
            self.note(next(half_told))
        except StopIteration:
            self.half_told.remove(half_told)
        except (OutOfOrder, InvalidValue):
            # The response does not take it now, or chunks made less text than was remarked on; then it is over.
            self.half_told.remove(half_told)
        else:
            return True
        return False

    def note(self, event: Any) -> None:
        assert event.sequence_number == len(self.events)
        self.events.append(event)
        self.frames.append(encode_event(event))

    def state(self) -> object:
        """Return all that the stream and its builders hold, as plain data."""
        return [state_of(self.stream._core, set()), [state_of(builder, set()) for builder in self.live]]

    def heed(self, refusal: OutOfOrder, builder: ItemBuilder | PartBuilder | None) -> None:
        """Check that what a refusal advises is possible, on a copy."""
        assert refusal.called not in refusal.allowed
        assert refusal.state
        for advised in refusal.allowed:
            if advised in _ADVICE:
                stream, asked = copy.deepcopy((self.stream, builder))
                assert _ADVICE[advised](stream, asked), f"{refusal}: {advised} is not possible"


def state_of(thing: object, seen: set[int]) -> object:
    """Return what *thing* holds, as plain data."""
    if isinstance(thing, Wire):
        return to_builtins(thing)
    if isinstance(thing, list) and all(isinstance(piece, str) for piece in thing):
        return "".join(thing)
    if isinstance(thing, list | tuple):
        return [state_of(one, seen) for one in thing]
    if isinstance(thing, dict):
        return {key: state_of(one, seen) for key, one in thing.items()}
    if isinstance(thing, set):
        return sorted(thing)
    kind: Any = type(thing)
    if attrs.has(kind):
        if id(thing) in seen:
            return "seen"
        seen.add(id(thing))
        names = [field.name for field in attrs.fields(kind) if field.name not in _NO_STATE]
        return {name: state_of(getattr(thing, name, None), seen) for name in names}
    return thing


# What may be made of a stream, with arguments that mostly fit.

Make = Callable[[Program], object]

_SPAN: Final = {"type": "search", "query": "q"}


def _operation(p: Program) -> Mapping[str, Any]:
    return p.pick(
        {"type": "create_file", "path": "a", "diff": p.text()},
        {"type": "update_file", "path": "a", "diff": ""},
        {"type": "delete_file", "path": "a"},
    )


def _outputs(p: Program) -> Any:
    return p.pick(None, [], [{"type": "logs", "logs": p.text()}, {"type": "image", "url": "u"}])


def _results(p: Program) -> Any:
    return p.pick(None, [], [{"file_id": "f", "filename": "n", "score": 0.5, "text": p.text(), "attributes": {"a": 1}}])


def _web_action(p: Program) -> Any:
    return p.pick(
        {"type": "search", "query": p.text(), "queries": ["q"], "sources": [{"type": "url", "url": "u"}]},
        {"type": "open_page", "url": "u"},
        {"type": "find_in_page", "url": "u", "pattern": "p"},
    )


def _mcp_error(p: Program) -> Any:
    return p.pick(
        {"type": "http_error", "code": 500, "message": p.text()},
        {"type": "mcp_protocol_error", "code": -1, "message": "m"},
        {"type": "mcp_tool_execution_error", "content": p.json()},
    )


def _printed(p: Program) -> Any:
    return {
        "stdout": p.text(),
        "stderr": p.text(),
        "outcome": p.pick({"type": "exit", "exit_code": 1}, {"type": "timeout"}),
    }


def _tool_output(p: Program) -> Any:
    return p.pick(p.text(), [{"type": "input_text", "text": p.text()}, {"type": "input_image", "image_url": "u"}], [])


def _computer_action(p: Program) -> Any:
    return p.pick({"type": "click", "button": "left", "x": 1, "y": 2}, {"type": "wait"}, {"type": "type", "text": "a"})


_PLATFORM: Final = (
    *("a2a_preview", "bing_grounding", "sharepoint_grounding_preview", "azure_ai_search", "bing_custom_search_preview"),
    *("openapi", "browser_automation_preview", "fabric_dataagent_preview", "azure_function"),
)

# The arguments of the factory of each plain kind, which its convenience takes too.
_PLAIN: Final[dict[str, Callable[[Program], tuple[tuple[Any, ...], dict[str, Any]]]]] = {
    "function_call_output": lambda p: ((p.call_id(), _tool_output(p)), {"status": p.status()}),
    "custom_tool_call_output": lambda p: ((p.call_id(), _tool_output(p)), {"status": p.status()}),
    "mcp_approval_request": lambda p: ((p.name(), p.name(), p.text()), {}),
    "mcp_approval_response": lambda p: ((p.name(), p.pick(True, False)), {"reason": p.pick(None, p.text())}),
    "computer_call": lambda p: (
        (p.call_id(),),
        {
            **p.pick({"action": _computer_action(p)}, {"actions": [_computer_action(p)]}),
            "pending_safety_checks": p.pick([], [{"id": "s", "code": None}]),
            "status": p.status(),
        },
    ),
    "computer_call_output": lambda p: (
        (p.call_id(), {"type": "computer_screenshot", "image_url": "u"}),
        {"status": p.status(), "acknowledged_safety_checks": p.pick([], [{"id": "s"}])},
    ),
    "local_shell_call": lambda p: (
        (p.call_id(), p.texts()),
        {"env": p.pick(None, {"A": p.text()}), "timeout_ms": p.pick(None, 5), "status": p.status()},
    ),
    "local_shell_call_output": lambda p: ((p.text(),), {"status": p.status()}),
    "apply_patch_call_output": lambda p: (
        (p.call_id(),),
        {"output": p.pick(None, p.text()), "status": p.status()},
    ),
    "tool_search_call": lambda p: (
        (p.json(),),
        {"call_id": p.pick(None, p.call_id()), "execution": p.pick("server", "client"), "status": p.status()},
    ),
    "tool_search_output": lambda p: (
        ([{"type": "function", "name": "f", "parameters": {}}],),
        {"call_id": p.pick(None, p.call_id()), "status": p.status()},
    ),
    "additional_tools": lambda _: (([{"type": "acme:tool"}],), {}),
    "program": lambda p: ((p.call_id(), p.text(), p.text()), {}),
    "program_output": lambda p: ((p.call_id(), p.text()), {"status": p.status()}),
    "compaction": lambda p: ((p.text(),), {"created_by": p.pick(None, "me")}),
    "structured_outputs": lambda p: ((p.json(),), {}),
    "oauth_consent_request": lambda p: ((p.name(), p.name()), {}),
    "memory_search_call": lambda p: (
        (),
        {
            "results": p.pick(
                None, [{"memory_item": {"memory_id": "m", "updated_at": 1, "scope": "s", "content": p.text()}}]
            ),
            "status": p.status(),
        },
    ),
    "workflow_action": lambda p: ((p.name(), p.name()), {"status": p.status(), "parent_action_id": p.pick(None, "a")}),
    **{
        f"{tool}_call": lambda p: ((p.call_id(), p.text()), {"status": p.status(), "name": p.name()})
        for tool in _PLATFORM
    },
    **{
        f"{tool}_call_output": lambda p: ((p.call_id(), p.json()), {"status": p.status(), "name": p.name()})
        for tool in _PLATFORM
    },
}


def _plain(kind: str, prefix: str) -> Make:
    def make(p: Program) -> object:
        args, kwargs = _PLAIN[kind](p)
        made = getattr(p.stream, f"{prefix}{kind}")(*args, item_id=p.item_id(), **kwargs)
        return made if prefix == "add_output_item_" else iter(made)

    return make


FACTORIES: Final[dict[str, Make]] = {
    **{kind: _plain(kind, "add_output_item_") for kind in _PLAIN},
    "message": lambda p: p.stream.add_output_item_message(
        phase=p.pick(None, "commentary", "final_answer"), item_id=p.item_id()
    ),
    "reasoning": lambda p: p.stream.add_output_item_reasoning(
        encrypted_content=p.pick(None, p.text()), item_id=p.item_id()
    ),
    "function_call": lambda p: p.stream.add_output_item_function_call(
        p.name(),
        p.call_id(),
        namespace=p.pick(None, "n"),
        caller=p.caller(),
        is_async=p.pick(None, True),
        item_id=p.item_id(),
    ),
    "custom_tool_call": lambda p: p.stream.add_output_item_custom_tool_call(
        p.name(), p.call_id(), caller=p.caller(), item_id=p.item_id()
    ),
    "file_search_call": lambda p: p.stream.add_output_item_file_search_call(item_id=p.item_id()),
    "web_search_call": lambda p: p.stream.add_output_item_web_search_call(
        action=p.pick(None, _web_action(p)), item_id=p.item_id()
    ),
    "code_interpreter_call": lambda p: p.stream.add_output_item_code_interpreter_call(p.text(), item_id=p.item_id()),
    "image_generation_call": lambda p: p.stream.add_output_item_image_generation_call(item_id=p.item_id()),
    "mcp_call": lambda p: p.stream.add_output_item_mcp_call(
        p.name(), p.name(), approval_request_id=p.pick(None, "mcpr_1"), item_id=p.item_id()
    ),
    "mcp_list_tools": lambda p: p.stream.add_output_item_mcp_list_tools(p.name(), item_id=p.item_id()),
    "shell_call": lambda p: p.stream.add_output_item_shell_call(
        p.call_id(),
        environment=p.pick(None, {"type": "local"}, {"type": "container_reference", "container_id": "c"}),
        timeout_ms=p.pick(None, 5),
        caller=p.caller(),
        item_id=p.item_id(),
    ),
    "shell_call_output": lambda p: p.stream.add_output_item_shell_call_output(
        p.call_id(), max_output_length=p.pick(None, 5), caller=p.caller(), item_id=p.item_id()
    ),
    "apply_patch_call": lambda p: p.stream.add_output_item_apply_patch_call(
        p.call_id(), _operation(p), caller=p.caller(), item_id=p.item_id()
    ),
    "unknown": lambda p: p.stream.add_output_item(
        {"type": "acme:thing", "data": p.json(), **p.pick({}, {"status": p.status()}, {"id": "item_1"})}
    ),
    "given": lambda p: p.stream.add_output_item(
        p.pick(
            {"type": "structured_outputs", "output": p.json()},
            {"type": "function_call_output", "call_id": "c", "output": p.text()},
            {"type": "tool_search_call", "arguments": {}},
            {"type": "mcp_approval_response", "approval_request_id": "x", "approve": True},
            {"type": "program_output", "call_id": "c", "result": "", "status": p.status()},
            {"type": "message", "content": []},
            {"type": "item_reference", "id": "x"},
        )
    ),
}
"""What begins an item of each kind."""

CONVENIENCES: Final[dict[str, Make]] = {
    **{kind: _plain(kind, "output_item_") for kind in _PLAIN},
    "message": lambda p: iter(
        p.stream.output_item_message(
            p.texts(),
            annotations=p.pick([], [p.annotation(0)]),
            phase=p.pick(None, "commentary"),
            status=p.status(),
            item_id=p.item_id(),
        )
    ),
    "refusal": lambda p: iter(p.stream.output_item_refusal(p.texts(), item_id=p.item_id())),
    "reasoning": lambda p: iter(
        p.stream.output_item_reasoning(p.text(), encrypted_content=p.pick(None, "gA"), item_id=p.item_id())
    ),
    "raw reasoning": lambda p: iter(p.stream.output_item_reasoning(text=p.texts(), item_id=p.item_id())),
    "function_call": lambda p: iter(
        p.stream.output_item_function_call(p.name(), p.call_id(), p.text(), item_id=p.item_id())
    ),
    "custom_tool_call": lambda p: iter(
        p.stream.output_item_custom_tool_call(p.name(), p.call_id(), p.texts(), item_id=p.item_id())
    ),
    "file_search_call": lambda p: iter(
        p.stream.output_item_file_search_call(p.texts(), _results(p), item_id=p.item_id())
    ),
    "web_search_call": lambda p: iter(p.stream.output_item_web_search_call(_web_action(p), item_id=p.item_id())),
    "code_interpreter_call": lambda p: iter(
        p.stream.output_item_code_interpreter_call(
            p.texts(), container_id=p.text(), outputs=_outputs(p), item_id=p.item_id()
        )
    ),
    "image_generation_call": lambda p: iter(
        p.stream.output_item_image_generation_call(
            "aGk=", partial_images=["aGk="] * p.pick(0, 1, 3, 4), quality=p.pick(None, "low"), item_id=p.item_id()
        )
    ),
    "mcp_call": lambda p: iter(
        p.stream.output_item_mcp_call(
            p.name(), p.name(), p.texts(), **p.pick({"output": p.text()}, {"error": _mcp_error(p)}, {})
        )
    ),
    "mcp_list_tools": lambda p: iter(
        p.stream.output_item_mcp_list_tools(
            p.name(), p.pick([], [{"name": "s", "input_schema": {}}]), error=p.pick(None, "Not there.")
        )
    ),
    "shell_call": lambda p: iter(p.stream.output_item_shell_call(p.call_id(), p.texts(), item_id=p.item_id())),
    "shell_call_output": lambda p: iter(
        p.stream.output_item_shell_call_output(p.call_id(), [_printed(p)] * p.pick(0, 1, 2), item_id=p.item_id())
    ),
    "apply_patch_call": lambda p: iter(
        p.stream.output_item_apply_patch_call(p.call_id(), _operation(p), item_id=p.item_id())
    ),
    "unknown": lambda p: iter(p.stream.output_item({"type": "acme:thing", "data": p.json()})),
}
"""What says an item of each kind at once."""

# What may be called on a builder. The types of builders are told apart by the table, so each call may trust them.

Call = Callable[[Program, Any], object]

_ADDED: Final[Call] = lambda _, b: b.emit_added()  # noqa: E731
_DONE: Final[Call] = lambda _, b: b.emit_done()  # noqa: E731
_DONE_SO: Final[Call] = lambda p, b: b.emit_done(status=p.status())  # noqa: E731
_TEXT_DONE: Final[Call] = lambda p, b: b.emit_text_done(p.pick(None, None, None, p.text()))  # noqa: E731
_DELTA: Final[Call] = lambda p, b: b.emit_delta(p.text())  # noqa: E731

CALLS: Final[dict[type, list[Call]]] = {
    MessageBuilder: [
        _ADDED,
        lambda _, b: b.add_text_content(),
        lambda _, b: b.add_text_content(),
        lambda _, b: b.add_refusal_content(),
        _DONE_SO,
    ],
    ReasoningBuilder: [
        _ADDED,
        lambda _, b: b.add_summary_part(),
        lambda _, b: b.add_text_content(),
        lambda p, b: b.emit_done(status=p.status(), encrypted_content=p.pick(None, "gAAA")),
    ],
    TextContentBuilder: [
        _ADDED,
        _DELTA,
        _DELTA,
        lambda p, b: b.emit_delta(p.text(), logprobs=p.draw(_LOGPROBS)),
        lambda p, b: b.emit_annotation_added(p.annotation(len(b.snapshot().text))),
        _TEXT_DONE,
        _DONE,
    ],
    RefusalContentBuilder: [_ADDED, _DELTA, lambda p, b: b.emit_refusal_done(p.pick(None, None, p.text())), _DONE],
    ReasoningTextBuilder: [_ADDED, _DELTA, _TEXT_DONE, _DONE],
    SummaryPartBuilder: [_ADDED, _DELTA, _TEXT_DONE, _DONE],
    FunctionCallBuilder: [
        _ADDED,
        lambda p, b: b.emit_arguments_delta(p.text()),
        lambda p, b: b.emit_arguments_done(p.pick(None, None, p.text())),
        _DONE_SO,
    ],
    CustomToolCallBuilder: [
        _ADDED,
        lambda p, b: b.emit_input_delta(p.text()),
        lambda p, b: b.emit_input_done(p.pick(None, None, p.text())),
        _DONE_SO,
    ],
    FileSearchCallBuilder: [
        _ADDED,
        lambda _, b: b.emit_in_progress(),
        lambda _, b: b.emit_searching(),
        lambda _, b: b.emit_completed(),
        lambda p, b: b.emit_done(queries=p.texts(), results=_results(p), status=p.status()),
    ],
    WebSearchCallBuilder: [
        _ADDED,
        lambda _, b: b.emit_in_progress(),
        lambda _, b: b.emit_searching(),
        lambda _, b: b.emit_completed(),
        lambda p, b: b.emit_done(action=p.pick(None, _web_action(p)), status=p.status()),
    ],
    CodeInterpreterCallBuilder: [
        _ADDED,
        lambda _, b: b.emit_in_progress(),
        lambda p, b: b.emit_code_delta(p.text()),
        lambda p, b: b.emit_code_done(p.pick(None, None, p.text())),
        lambda _, b: b.emit_interpreting(),
        lambda _, b: b.emit_completed(),
        lambda p, b: b.emit_done(outputs=_outputs(p), status=p.status()),
    ],
    ImageGenerationCallBuilder: [
        _ADDED,
        lambda _, b: b.emit_in_progress(),
        lambda _, b: b.emit_generating(),
        lambda p, b: b.emit_partial_image("aGk=", quality=p.pick(None, "low")),
        lambda _, b: b.emit_completed(),
        lambda p, b: b.emit_done(p.pick(None, "aGk="), revised_prompt=p.pick(None, p.text()), status=p.status()),
        lambda p, b: b.emit_done(status="failed", error={"type": "t", "message": p.text()}),
    ],
    McpCallBuilder: [
        _ADDED,
        lambda _, b: b.emit_in_progress(),
        lambda p, b: b.emit_arguments_delta(p.text()),
        lambda p, b: b.emit_arguments_done(p.pick(None, None, p.text())),
        lambda _, b: b.emit_completed(),
        lambda _, b: b.emit_failed(),
        lambda p, b: b.emit_done(output=p.pick(None, p.text()), status=p.pick(None, p.status())),
        lambda p, b: b.emit_done(error=_mcp_error(p), status=p.pick(None, p.status())),
    ],
    McpListToolsBuilder: [
        _ADDED,
        lambda _, b: b.emit_in_progress(),
        lambda _, b: b.emit_completed(),
        lambda _, b: b.emit_failed(),
        lambda p, b: b.emit_done(tools=[{"name": "s", "input_schema": {}}], error=p.pick(None, p.name())),
    ],
    ShellCallBuilder: [_ADDED, lambda _, b: b.add_command(), _DONE_SO],
    ShellCommandBuilder: [_ADDED, _DELTA, _DELTA, lambda p, b: b.emit_done(p.pick(None, None, p.text()))],
    ShellCallOutputBuilder: [_ADDED, lambda _, b: b.add_output(), _DONE_SO],
    ShellOutputBuilder: [
        lambda p, b: b.emit_delta(stdout=p.text(), stderr=p.text()),
        lambda p, b: b.emit_done(p.pick(0, 1, {"type": "timeout"})),
    ],
    ApplyPatchCallBuilder: [
        _ADDED,
        lambda p, b: b.emit_diff_delta(p.text()),
        lambda p, b: b.emit_diff_done(p.pick(None, None, p.text())),
        _DONE,
    ],
    CompactionBuilder: [
        _ADDED,
        lambda _, b: b.emit_compacting(),
        lambda p, b: b.emit_done(encrypted_content=p.pick(None, p.text())),
    ],
    PlainItemBuilder: [_ADDED, _DONE],
}

# The calls that lead a builder to its end; those that do not fit are refused on the way.
_CLOSING: Final[dict[type, list[Call]]] = {
    kind: [call for call in calls if call not in (_ADDED, _DELTA, _DONE_SO, _TEXT_DONE)]
    + ([_DONE] if kind is not TextContentBuilder else [])
    for kind, calls in CALLS.items()
}
_CLOSING[TextContentBuilder] = [lambda _, b: b.emit_text_done(), _DONE]
_CLOSING[ReasoningTextBuilder] = [lambda _, b: b.emit_text_done(), _DONE]
_CLOSING[SummaryPartBuilder] = [lambda _, b: b.emit_text_done(), _DONE]
_CLOSING[RefusalContentBuilder] = [lambda _, b: b.emit_refusal_done(), _DONE]
_CLOSING[ShellCommandBuilder] = [_DONE]
_CLOSING[ShellOutputBuilder] = [_DONE]
for _kind in (MessageBuilder, ReasoningBuilder, ShellCallBuilder, ShellCallOutputBuilder):
    _CLOSING[_kind] = [_DONE]
_CLOSING[FunctionCallBuilder] = [lambda _, b: b.emit_arguments_done(), _DONE]
_CLOSING[CustomToolCallBuilder] = [lambda _, b: b.emit_input_done(), _DONE]
_CLOSING[ApplyPatchCallBuilder] = [lambda _, b: b.emit_diff_done(), _DONE]
_CLOSING[CodeInterpreterCallBuilder].insert(0, lambda _, b: b.emit_code_done())
_CLOSING[McpCallBuilder].insert(0, lambda _, b: b.emit_arguments_done())

_ENDS: Final[list[Make]] = [
    lambda p: p.stream.emit_completed(usage=p.usage()),
    lambda p: p.stream.emit_completed(usage=p.usage()),
    lambda p: p.stream.emit_completed(usage=p.usage()),
    lambda p: p.stream.emit_incomplete(p.pick("max_output_tokens", "content_filter"), usage=p.usage()),
    lambda p: p.stream.emit_failed(p.name(), p.name(), usage=p.usage()),
    lambda p: p.stream.emit_cancelled(),
    lambda p: p.stream.emit_error(p.name(), p.name(), param=p.pick(None, "input")),
]
_BEGINNINGS: Final[list[Make]] = [
    lambda p: p.stream.emit_created(status=p.pick("in_progress", "queued")),
    lambda p: p.stream.emit_queued(),
    lambda p: p.stream.emit_in_progress(),
]
# Most calls of the lifecycle come too late or too early; an end that comes early leaves little to see.
_LIFECYCLE: Final[list[Make]] = [*_BEGINNINGS * 6, *_ENDS[2:]]


# How to do what a refusal advises: on a copy of the stream, with the copy of the builder that refused.

Advice = Callable[[ResponseEventStream, Any], bool]


def _works(*calls: Callable[[], object]) -> bool:
    for call in calls:
        try:
            call()
        except (OutOfOrder, InvalidType, InvalidValue):
            continue
        return True
    return False


def _on_stream(call: Callable[[ResponseEventStream], object]) -> Advice:
    return lambda stream, _: _works(lambda: call(stream))


def _item_added(stream: ResponseEventStream, builder: Any) -> bool:
    item = builder._item if isinstance(builder, PartBuilder) else builder
    if item is None or item._state != lifecycle.ABSENT:
        item = stream.add_output_item_message()
    return _works(item.emit_added)


def _item_done(*statuses: str | None) -> Advice:
    """Try the ways in which an item may end with one of *statuses*."""
    ways: list[dict[str, Any]] = [
        {},
        {"result": "aGk="},
        {"action": _SPAN},
        {"error": {"type": "http_error", "code": 1, "message": "m"}},
        {"error": "Not there."},
    ]

    def follow(_: ResponseEventStream, item: Any) -> bool:
        item = item._item if isinstance(item, PartBuilder) else item
        takes = item.emit_done.__code__.co_varnames
        calls = [
            way | ({"status": status} if "status" in takes else {})
            for way in ways
            for status in statuses
            if set(way) <= set(takes) and (status is not None or "status" not in takes)
        ]
        return _works(*(lambda call=call: item.emit_done(**call) for call in calls))

    return follow


def _new_part(make: str, begin: str) -> Advice:
    """Begin the part that refused, or another one of its item."""

    def follow(_: ResponseEventStream, builder: Any) -> bool:
        part = builder if isinstance(builder, PartBuilder) else getattr(builder, make)()
        return _works(getattr(part, begin))

    return follow


def _on_builder(*methods: str, args: tuple[Any, ...] = ()) -> Advice:
    def follow(_: ResponseEventStream, builder: Any) -> bool:
        calls = [getattr(builder, method) for method in methods if hasattr(builder, method)]
        return _works(*(lambda call=call: call(*args) for call in calls))

    return follow


_ADVICE: Final[dict[str, Advice]] = {
    lifecycle.CREATED: _on_stream(lambda stream: stream.emit_created()),
    f"{lifecycle.CREATED}[queued]": _on_stream(lambda stream: stream.emit_created(status="queued")),
    lifecycle.QUEUED: _on_stream(lambda stream: stream.emit_queued()),
    lifecycle.IN_PROGRESS: _on_stream(lambda stream: stream.emit_in_progress()),
    lifecycle.COMPLETED: _on_stream(lambda stream: stream.emit_completed()),
    lifecycle.FAILED: _on_stream(lambda stream: stream.emit_failed()),
    lifecycle.INCOMPLETE: _on_stream(lambda stream: stream.emit_incomplete()),
    lifecycle.ERROR: _on_stream(lambda stream: stream.emit_error()),
    lifecycle.ITEM_ADDED: _item_added,
    lifecycle.ITEM_DONE: _item_done(None, "completed"),
    f"{lifecycle.ITEM_DONE}[incomplete]": _item_done("incomplete"),
    f"{lifecycle.ITEM_DONE}[failed]": _item_done("failed"),
    lifecycle.PART_ADDED: _new_part("add_text_content", "emit_added"),
    lifecycle.PART_DONE: _on_builder("emit_done"),
    lifecycle.SUMMARY_ADDED: _new_part("add_summary_part", "emit_added"),
    lifecycle.SUMMARY_DONE: _on_builder("emit_done"),
    "response.shell_call_command.added": _new_part("add_command", "emit_added"),
    "response.shell_call_command.done": _on_builder("emit_done"),
    "response.shell_call_output_content.done": _new_part("add_output", "emit_done"),
    "response.output_text.delta": _on_builder("emit_delta", args=("x",)),
    "response.output_text.done": _on_builder("emit_text_done"),
    "response.output_text.annotation.added": _on_builder(
        "emit_annotation_added", args=({"type": "file_path", "file_id": "f", "index": 0},)
    ),
    "response.refusal.delta": _on_builder("emit_delta", args=("x",)),
    "response.refusal.done": _on_builder("emit_refusal_done"),
    "response.reasoning_text.delta": _on_builder("emit_delta", args=("x",)),
    "response.reasoning_text.done": _on_builder("emit_text_done"),
    "response.reasoning_summary_text.delta": _on_builder("emit_delta", args=("x",)),
    "response.reasoning_summary_text.done": _on_builder("emit_text_done"),
    "response.function_call_arguments.delta": _on_builder("emit_arguments_delta", args=("x",)),
    "response.function_call_arguments.done": _on_builder("emit_arguments_done"),
    "response.custom_tool_call_input.delta": _on_builder("emit_input_delta", args=("x",)),
    "response.custom_tool_call_input.done": _on_builder("emit_input_done"),
    "response.mcp_call_arguments.delta": _on_builder("emit_arguments_delta", args=("x",)),
    "response.mcp_call_arguments.done": _on_builder("emit_arguments_done"),
    "response.code_interpreter_call_code.delta": _on_builder("emit_code_delta", args=("x",)),
    "response.code_interpreter_call_code.done": _on_builder("emit_code_done"),
    "response.apply_patch_call_operation_diff.delta": _on_builder("emit_diff_delta", args=("x",)),
    "response.apply_patch_call_operation_diff.done": _on_builder("emit_diff_done"),
    "response.image_generation_call.partial_image": _on_builder("emit_partial_image", args=("aGk=",)),
    "response.compaction.compacting": _on_builder("emit_compacting"),
    **{
        f"response.{kind}.{state}": _on_builder(f"emit_{state}")
        for kind in (
            *("file_search_call", "web_search_call", "code_interpreter_call", "image_generation_call"),
            *("mcp_call", "mcp_list_tools"),
        )
        for state in ("in_progress", "searching", "generating", "interpreting", "completed", "failed")
    },
}


REQUESTS: Final[st.SearchStrategy[Any]] = st.none() | st.fixed_dictionaries(
    {"model": TEXT},
    optional={
        "instructions": TEXT,
        "metadata": st.dictionaries(TEXT, TEXT, max_size=2),
        "temperature": st.floats(0, 2),
        "tools": st.just([{"type": "function", "name": "f"}, {"type": "mcp", "server_label": "s"}]),
        "conversation": st.just("conv_1") | st.just({"id": "conv_1"}),
        "background": st.booleans(),
    },
)
"""Requests of the usual kind."""


@st.composite
def programs(draw: Draw) -> Program:
    """Streams that were written by programs that begin and end as they should."""
    program = Program(draw, ResponseEventStream("resp_1", draw(REQUESTS), clock=lambda: 1767225600.0))
    program.begin()
    for _ in range(draw(st.integers(0, 40))):
        program.step()
    if draw(st.integers(0, 5)):
        program.finish_items()
    program.end()
    return program


@st.composite
def random_calls(draw: Draw) -> Program:
    """Streams that were written by calls without any sense, and then ended."""
    program = Program(draw, ResponseEventStream("resp_1", clock=lambda: 1767225600.0))
    if draw(st.integers(0, 2)):
        program.begin()
    for _ in range(draw(st.integers(0, 25))):
        program.step()
    if not program.call(program.stream.emit_completed, None):
        program.call(program.stream.emit_failed, None)
    return program


def as_dicts(events: list[ResponseStreamEvent]) -> list[dict[str, Any]]:
    """Return events as plain data, as a client reads them."""
    return [msgspec.json.decode(encode_event(event).split(b"data: ", 1)[1]) for event in events]
