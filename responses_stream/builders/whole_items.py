"""Any item that is there as a whole, said by all of its events: what `ResponseEventStream.output_item` does.

An item may come from a store, from another server or from a tool. Its builder says it as if it were being made: texts
in one delta, states in their order. The item of `output_item.done` is the one that was given, whatever stands in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from msgspec import UNSET

from responses_stream import lifecycle
from responses_stream.builders import values
from responses_stream.builders.conversation import (
    CustomToolCallBuilder,
    FunctionCallBuilder,
    MessageBuilder,
    ReasoningBuilder,
)
from responses_stream.builders.events import Events
from responses_stream.builders.item import ItemBuilder
from responses_stream.builders.plain import both
from responses_stream.builders.texts import (
    ReasoningTextBuilder,
    RefusalContentBuilder,
    SummaryPartBuilder,
    TextContentBuilder,
)
from responses_stream.errors import InvalidType, InvalidValue
from responses_stream.protocol.base import Wire
from responses_stream.protocol.events import ResponseOutputItemAddedEvent, ResponseStreamEvent
from responses_stream.protocol.hosted_items import (
    ActionSearch,
    ImageGenerationCall,
    McpCall,
    McpListTools,
    McpToolExecutionError,
    ResponseCodeInterpreterToolCall,
    ResponseFileSearchToolCall,
    ResponseFunctionWebSearch,
)
from responses_stream.protocol.items import (
    OutputItem,
    ResponseCustomToolCall,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseReasoningItem,
)
from responses_stream.protocol.machine_items import (
    ResponseApplyPatchToolCall,
    ResponseFunctionShellToolCall,
    ResponseFunctionShellToolCallOutput,
)
from responses_stream.protocol.parts import (
    ContentPart,
    ReasoningText,
    ResponseOutputRefusal,
    ResponseOutputText,
    SummaryText,
)

if TYPE_CHECKING:
    from responses_stream.builders.hosted import (
        CodeInterpreterCallBuilder,
        FileSearchCallBuilder,
        ImageGenerationCallBuilder,
        WebSearchCallBuilder,
    )
    from responses_stream.builders.mcp import McpCallBuilder, McpListToolsBuilder
    from responses_stream.builders.shell import ApplyPatchCallBuilder, ShellCallBuilder, ShellCallOutputBuilder
    from responses_stream.builders.stream import ResponseEventStream

# What is known of an item when it begins, and not only when it is done.
_KNOWN_AT_FIRST: Final = (
    *("response_id", "agent_reference", "created_by", "role", "phase", "namespace", "is_async", "caller"),
    *("environment", "max_output_length", "approval_request_id"),
)
# What every client needs and an item may leave out, where one value is natural (R068, R142).
_NATURAL: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "message": {"role": "assistant"},
        "code_interpreter_call": {"code": ""},
        "image_generation_call": {"result": None},
        "shell_call_output": {"max_output_length": None},
    }
)


def output_item(
    stream: ResponseEventStream, item: OutputItem | Mapping[str, Any], *, item_id: str | None = None
) -> Events:
    """Say the whole of an item, of any type, by all of its events.

    The done item is *item*, members that nobody knows included. Filled in is what clients need and *item* leaves out,
    such as an id, a status and the annotations of a text. The error of an MCP call that is a string becomes an object.

    Args:
        stream: what says it.
        item: an item of the protocol, typed or as a dict.
        item_id: its id in this response; None keeps its own.

    Raises:
        InvalidType: *item* is neither an item nor a dict, or its type or its id is no string.
        InvalidValue: a member of it does not fit or is missing; its type is never in the output (R080); or no events
            can tell it: it is not done yet (R078), its status and its error do not fit each other (R148), it has parts
            that its type does not take (R090, R131), or an id that is used (R064, R162).
    """
    if not isinstance(item, Wire | Mapping):
        raise InvalidType("item", "output item or a dict", item)
    item_type = item.get("type") if isinstance(item, Mapping) else getattr(item, "type", None)
    kind = _KINDS.get(item_type) if isinstance(item_type, str) else None
    if kind is None:
        given = item if item_id is None else {**values.plain("item", item), "id": values.name("item_id", item_id)}
        return Events(both(stream.add_output_item(given)))
    taken = kind.check(_taken(values.plain("item", item)))
    builder = kind.make(stream, taken, taken.id or None if item_id is None else item_id)
    return Events(_said(builder, taken, kind.inside))


def _taken(data: dict[str, Any]) -> Any:
    """Return an item of a type that has events of its own: one that is done, with an id, empty where it has none."""
    item_type = data["type"]
    grammar = lifecycle.grammar_of(item_type)
    data = {name: member for name, member in data.items() if member is not None or name not in ("id", "status")}
    data = {"id": "", **data}
    if not isinstance(data["id"], str):
        raise InvalidType("item.id", "a string (R067)", data["id"])
    ends = {end for ends in grammar.ends.values() for end in ends}
    natural: dict[str, Any] = dict(_NATURAL.get(item_type, ()))
    if None not in ends:
        natural["status"] = "completed" if data.get("error") is None else "failed"
    elif not grammar.statuses and "status" in data:
        raise InvalidValue("item.status", f"is given, but an item of type {item_type} has none (R069)")
    data |= {name: value for name, value in natural.items() if data.get(name) is None}
    if data.get("status") not in tuple(ends):
        known = " or ".join(sorted(str(end) for end in ends if end is not None))
        raise InvalidValue(
            "item.status", f"is {data['status']!r}, but an item of type {item_type} ends as {known} (R077, R078)"
        )
    return values.one_of("item", data, OutputItem, "output item")


def _said(
    builder: ItemBuilder, item: Any, inside: Callable[[Any, Any], Iterator[ResponseStreamEvent]]
) -> Iterator[ResponseStreamEvent]:
    members = {name: getattr(item, name) for name in item.__struct_fields__ if name not in ("id", "status")}
    yield _added(builder, item)
    yield from inside(builder, item)
    yield builder._finish(_status(item), **members)


def _added(builder: ItemBuilder, item: Any) -> ResponseOutputItemAddedEvent:
    event = builder.emit_added()
    known = {name: getattr(item, name) for name in _KNOWN_AT_FIRST if getattr(item, name, UNSET) is not UNSET}
    if getattr(item, "status", None) is UNSET:
        # Reasoning may have no status, and then it has none at any time.
        known["status"] = UNSET
    if not known:
        return event
    return msgspec.structs.replace(event, item=msgspec.structs.replace(event.item, **known))


def _status(item: Any) -> str | None:
    status = getattr(item, "status", None)
    return status if isinstance(status, str) else None


def _as_it_is(item: Any) -> Any:
    return item


# What has to be right before the item begins, and what it leaves out.


def _misplaced(path: str, part: ContentPart, takes: str, rule: str) -> InvalidValue:
    return InvalidValue(f"{path}.type", f"is {part.type!r}; such an item takes {takes} ({rule})")


def _checked_message(item: ResponseOutputMessage) -> ResponseOutputMessage:
    content: list[ContentPart] = []
    for at, part in enumerate(item.content):
        path = f"item.content[{at}]"
        if isinstance(part, ResponseOutputText):
            content.append(_checked_text(path, part))
        elif isinstance(part, ResponseOutputRefusal):
            content.append(part)
        else:
            raise _misplaced(path, part, "'output_text' and 'refusal'", "R090")
    return msgspec.structs.replace(item, content=content)


def _checked_text(path: str, part: ResponseOutputText) -> ResponseOutputText:
    annotations = []
    for at, given in enumerate(part.annotations or ()):
        where = f"{path}.annotations[{at}]"
        annotation = values.annotation(given, where)
        end = getattr(annotation, "end_index", 0)
        if end > len(part.text):
            raise InvalidValue(f"{where}.end_index", f"is {end}, but the text has {len(part.text)} characters (R119)")
        annotations.append(annotation)
    return msgspec.structs.replace(
        part, annotations=annotations, logprobs=values.logprobs(part.logprobs) if part.logprobs else []
    )


def _checked_reasoning(item: ResponseReasoningItem) -> ResponseReasoningItem:
    for at, part in enumerate(item.summary):
        if not isinstance(part, SummaryText):
            raise _misplaced(f"item.summary[{at}]", part, "'summary_text' there", "R131")
    for at, part in enumerate(item.content or ()):
        if not isinstance(part, ReasoningText):
            raise _misplaced(f"item.content[{at}]", part, "'reasoning_text'", "R090")
    return item


def _checked_web_search(item: ResponseFunctionWebSearch) -> ResponseFunctionWebSearch:
    if item.action is not UNSET:
        return item
    if item.status == "completed":
        raise InvalidValue("item.action", "is missing, but the search is completed (R068)")
    return msgspec.structs.replace(item, action=ActionSearch(query=""))


def _checked_image(item: ImageGenerationCall) -> ImageGenerationCall:
    if item.status == "completed" and not item.result:
        raise InvalidValue("item.result", "is missing, but the image is completed (R068)")
    return item


def _checked_mcp_call(item: McpCall) -> McpCall:
    failed = item.status == "failed"
    if failed and not item.error:
        raise InvalidValue("item.error", "is missing, but the call is failed (R148)")
    if item.error and not failed:
        raise InvalidValue("item.error", f"is given, but the call is {item.status} (R148)")
    if isinstance(item.error, str):
        # D36: older services send it so, and the protocol does not know it any more.
        return msgspec.structs.replace(item, error=McpToolExecutionError(content=item.error))
    return item


def _checked_mcp_list_tools(item: McpListTools) -> McpListTools:
    if item.error == "":
        raise InvalidValue("item.error", "is empty: it is why the tools could not be listed, or null (R148)")
    return item


# What an item says between its added and its done.


def _in_message(message: MessageBuilder, item: ResponseOutputMessage) -> Iterator[ResponseStreamEvent]:
    for given in item.content:
        part: TextContentBuilder | RefusalContentBuilder
        if isinstance(given, ResponseOutputText):
            part = message.add_text_content()
            yield part.emit_added()
            if given.text:
                yield part.emit_delta(given.text, logprobs=given.logprobs or ())
            for annotation in given.annotations or ():
                yield part.emit_annotation_added(annotation)
            yield part.emit_text_done()
        else:
            # No other part has passed the check.
            assert isinstance(given, ResponseOutputRefusal)
            part = message.add_refusal_content()
            yield part.emit_added()
            if given.refusal:
                yield part.emit_delta(given.refusal)
            yield part.emit_refusal_done()
        # R112: what is closed is what will stand in the item.
        yield msgspec.structs.replace(part.emit_done(), part=given)


def _in_reasoning(reasoning: ReasoningBuilder, item: ResponseReasoningItem) -> Iterator[ResponseStreamEvent]:
    for summary in item.summary:
        yield from _in_thought(reasoning.add_summary_part(), summary)
    for thought in item.content or ():
        yield from _in_thought(reasoning.add_text_content(), thought)


def _in_thought(part: SummaryPartBuilder | ReasoningTextBuilder, given: Any) -> Iterator[ResponseStreamEvent]:
    yield part.emit_added()
    if given.text:
        yield part.emit_delta(given.text)
    yield part.emit_text_done()
    yield msgspec.structs.replace(part.emit_done(), part=given)


def _in_function_call(call: FunctionCallBuilder, item: ResponseFunctionToolCall) -> Iterator[ResponseStreamEvent]:
    if item.arguments:
        yield call.emit_arguments_delta(item.arguments)
    yield call.emit_arguments_done()


def _in_custom_tool_call(call: CustomToolCallBuilder, item: ResponseCustomToolCall) -> Iterator[ResponseStreamEvent]:
    if item.input:
        yield call.emit_input_delta(item.input)
    yield call.emit_input_done()


def _in_search(
    call: FileSearchCallBuilder | WebSearchCallBuilder, item: ResponseFileSearchToolCall | ResponseFunctionWebSearch
) -> Iterator[ResponseStreamEvent]:
    yield call.emit_in_progress()
    yield call.emit_searching()
    if item.status == "completed":
        yield call.emit_completed()


def _in_code_interpreter_call(
    call: CodeInterpreterCallBuilder, item: ResponseCodeInterpreterToolCall
) -> Iterator[ResponseStreamEvent]:
    yield call.emit_in_progress()
    if item.code:
        yield call.emit_code_delta(item.code)
    yield call.emit_code_done()
    if item.status == "incomplete":
        return
    yield call.emit_interpreting()
    if item.status == "completed":
        yield call.emit_completed()


def _in_image_generation_call(
    call: ImageGenerationCallBuilder, item: ImageGenerationCall
) -> Iterator[ResponseStreamEvent]:
    yield call.emit_in_progress()
    yield call.emit_generating()
    if item.status == "completed":
        yield call.emit_completed()


def _in_mcp_call(call: McpCallBuilder, item: McpCall) -> Iterator[ResponseStreamEvent]:
    yield call.emit_in_progress()
    if item.arguments:
        yield call.emit_arguments_delta(item.arguments)
    yield call.emit_arguments_done()
    if item.status == "completed":
        yield call.emit_completed()
    elif item.status == "failed":
        yield call.emit_failed()


def _in_mcp_list_tools(listing: McpListToolsBuilder, item: McpListTools) -> Iterator[ResponseStreamEvent]:
    yield listing.emit_in_progress()
    yield listing.emit_failed() if item.error else listing.emit_completed()


def _in_shell_call(call: ShellCallBuilder, item: ResponseFunctionShellToolCall) -> Iterator[ResponseStreamEvent]:
    for text in item.action.commands:
        command = call.add_command()
        yield command.emit_added()
        if text:
            yield command.emit_delta(text)
        yield command.emit_done()


def _in_shell_call_output(
    builder: ShellCallOutputBuilder, item: ResponseFunctionShellToolCallOutput
) -> Iterator[ResponseStreamEvent]:
    for entry in item.output:
        content = builder.add_output()
        if entry.stdout or entry.stderr:
            yield content.emit_delta(stdout=entry.stdout, stderr=entry.stderr)
        yield msgspec.structs.replace(content.emit_done(entry.outcome), output=[entry])


def _in_apply_patch_call(
    call: ApplyPatchCallBuilder, item: ResponseApplyPatchToolCall
) -> Iterator[ResponseStreamEvent]:
    diff = getattr(item.operation, "diff", "")
    if diff:
        yield call.emit_diff_delta(diff)
        yield call.emit_diff_done()


def _in_nothing(_builder: ItemBuilder, _item: Any) -> Iterator[ResponseStreamEvent]:
    yield from ()


def _shell_call(
    stream: ResponseEventStream, item: ResponseFunctionShellToolCall, item_id: str | None
) -> ShellCallBuilder:
    timeout, length = item.action.timeout_ms or None, item.action.max_output_length or None
    return stream.add_output_item_shell_call(
        item.call_id, timeout_ms=timeout, max_output_length=length, item_id=item_id
    )


class _Kind(NamedTuple):
    """How items of one type are said. Which item and which builder belong together is for the table to know.

    Attributes:
        make: claims the ids of the item, and returns its builder.
        inside: says what comes between its added and its done.
        check: refuses what no events could tell, and fills in what is left out.
    """

    make: Callable[[ResponseEventStream, Any, str | None], ItemBuilder]
    inside: Callable[[Any, Any], Iterator[ResponseStreamEvent]]
    check: Callable[[Any], Any] = _as_it_is


_KINDS: Final[Mapping[str, _Kind]] = MappingProxyType(
    {
        "message": _Kind(lambda s, _, own: s.add_output_item_message(item_id=own), _in_message, _checked_message),
        "reasoning": _Kind(
            lambda s, _, own: s.add_output_item_reasoning(item_id=own), _in_reasoning, _checked_reasoning
        ),
        "function_call": _Kind(
            lambda s, i, own: s.add_output_item_function_call(i.name, i.call_id, item_id=own), _in_function_call
        ),
        "custom_tool_call": _Kind(
            lambda s, i, own: s.add_output_item_custom_tool_call(i.name, i.call_id, item_id=own), _in_custom_tool_call
        ),
        "file_search_call": _Kind(lambda s, _, own: s.add_output_item_file_search_call(item_id=own), _in_search),
        "web_search_call": _Kind(
            lambda s, _, own: s.add_output_item_web_search_call(item_id=own), _in_search, _checked_web_search
        ),
        "code_interpreter_call": _Kind(
            lambda s, i, own: s.add_output_item_code_interpreter_call(i.container_id, item_id=own),
            _in_code_interpreter_call,
        ),
        "image_generation_call": _Kind(
            lambda s, _, own: s.add_output_item_image_generation_call(item_id=own),
            _in_image_generation_call,
            _checked_image,
        ),
        "mcp_call": _Kind(
            lambda s, i, own: s.add_output_item_mcp_call(i.server_label, i.name, item_id=own),
            _in_mcp_call,
            _checked_mcp_call,
        ),
        "mcp_list_tools": _Kind(
            lambda s, i, own: s.add_output_item_mcp_list_tools(i.server_label, item_id=own),
            _in_mcp_list_tools,
            _checked_mcp_list_tools,
        ),
        "shell_call": _Kind(_shell_call, _in_shell_call),
        "shell_call_output": _Kind(
            lambda s, i, own: s.add_output_item_shell_call_output(i.call_id, item_id=own), _in_shell_call_output
        ),
        "apply_patch_call": _Kind(
            lambda s, i, own: s.add_output_item_apply_patch_call(i.call_id, i.operation, item_id=own),
            _in_apply_patch_call,
        ),
        "compaction": _Kind(
            lambda s, i, own: s.add_output_item_compaction(i.encrypted_content, item_id=own), _in_nothing
        ),
    }
)
