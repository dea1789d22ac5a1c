"""Every rule that the builders' docstrings cite is one that they do not let you break."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from responses_stream import ResponseEventStream, builders
from responses_stream.errors import InvalidType, InvalidValue, OutOfOrder
from responses_stream.protocol.parts import Logprob

from . import samples
from .samples import item, part, running

Break = Callable[[], object]


def _new() -> ResponseEventStream:
    return ResponseEventStream("resp_1")


def _after(*calls: str) -> ResponseEventStream:
    stream = _new()
    for call in calls:
        getattr(stream, call)()
    return stream


def _queued() -> ResponseEventStream:
    stream = _new()
    stream.emit_created(status="queued")
    return stream


def _on(ready: samples.Ready, call: str, *args: Any, **kwargs: Any) -> Break:
    """Return what makes a builder, and makes a call on it that breaks a rule."""

    def broken() -> object:
        builder = ready(running())
        return getattr(builder, call)(*args, **kwargs)

    return broken


def _twice(ready: samples.Ready, call: str) -> Break:
    def broken() -> object:
        builder = ready(running())
        getattr(builder, call)()
        return getattr(builder, call)()

    return broken


def _in_turn(
    *calls: Callable[[ResponseEventStream], object], begin: Callable[[], ResponseEventStream] = running
) -> Break:
    """Return what makes calls on one stream, the last of which breaks a rule."""

    def broken() -> object:
        stream = begin()
        return [call(stream) for call in calls]

    return broken


def _not_the_last() -> object:
    stream = running()
    message = stream.add_output_item_message()
    message.emit_added()
    stream.add_output_item_message().emit_added()
    return message.emit_done(status="incomplete")


def _open_item(end: str) -> Break:
    def broken() -> object:
        stream = running()
        stream.add_output_item_message().emit_added()
        return getattr(stream, end)()

    return broken


def _inside_a_done_item() -> object:
    message = item("message", "emit_done")(running())
    return message.add_text_content().emit_added()


def _stored(**members: Any) -> Break:
    stored = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": []}
    return lambda: ResponseEventStream(
        "resp_1", response={"id": "resp_1", "status": "in_progress", "output": [stored | members]}
    )


TEXT: Final = ("message", "add_text_content")
SUMMARY: Final = ("reasoning", "add_summary_part")
wrong: Any = "completed"

BREAKS: Final[dict[str, list[Break]]] = {
    "R030": [_new().emit_in_progress, _new().emit_completed, _new().emit_failed],
    "R031": [_after("emit_created").emit_created, running().emit_created],
    "R032": [_in_turn(lambda stream: stream.emit_queued(), lambda stream: stream.emit_queued(), begin=_queued)],
    "R033": [_after("emit_created").emit_queued],
    "R034": [running().emit_queued],
    "R035": [running().emit_in_progress],
    "R036": [_in_turn(lambda stream: stream.emit_completed(), lambda stream: stream.emit_failed())],
    "R038": [
        _in_turn(lambda stream: stream.emit_completed(), lambda stream: stream.add_output_item_message().emit_added())
    ],
    "R040": [lambda: _new().emit_created(status=wrong)],
    "R041": [_queued().emit_completed, _queued().emit_incomplete],
    "R042": [lambda: ResponseEventStream("resp_2", response={"id": "resp_1"})],
    "R050": [lambda: running().emit_failed("", "m"), lambda: running().emit_failed("c", "")],
    "R051": [lambda: running().emit_incomplete("")],
    "R057": [lambda: running().emit_completed(usage=samples.USAGE | {"total_tokens": 1})],
    "R059": [_not_the_last, _stored(status="incomplete")],
    "R060": [_new().add_output_item_message().emit_added],
    "R061": [_after("emit_created").add_output_item_message().emit_added],
    "R063": [_twice(lambda stream: stream.add_output_item_message(), "emit_added")],
    "R064": [
        _in_turn(
            lambda stream: stream.add_output_item_message(item_id="a"),
            lambda stream: stream.output_item_refusal("", item_id="a"),
        )
    ],
    "R066": [lambda: running().add_output_item({"id": "x"})],
    "R067": [
        lambda: running().add_output_item_message(item_id=""),
        _stored(id=""),
        lambda: running().add_output_item({"type": "acme:x", "id": 1}),
    ],
    "R068": [
        _on(lambda stream: _searched(stream), "emit_done"),
        lambda: running().add_output_item({"type": "function_call_output", "output": ""}),
    ],
    "R069": [lambda: running().add_output_item({"type": "structured_outputs", "output": 1, "status": "completed"})],
    "R071": [_on(lambda stream: stream.add_output_item_message(), "emit_done")],
    "R072": [_twice(item("message"), "emit_done")],
    "R077": [_on(item("message"), "emit_done", status="searching")],
    "R078": [_on(item("message"), "emit_done", status="in_progress")],
    "R079": [_open_item("emit_completed")],
    "R080": [lambda: running().add_output_item({"type": "item_reference", "id": "x"})],
    "R082": [_on(lambda stream: stream.add_output_item_function_call("f", "c"), "emit_arguments_delta", "x")],
    "R083": [_inside_a_done_item],
    "R088": [_open_item("emit_incomplete")],
    "R089": [_stored(status="in_progress")],
    "R090": [lambda: running().output_item({"type": "message", "content": [{"type": "acme:x"}]})],
    "R092": [_twice(part(*TEXT), "emit_added")],
    "R093": [_on(part(*TEXT), "emit_delta", "x"), _on(part("message", "add_refusal_content"), "emit_delta", "x")],
    "R094": [_on(part(*TEXT, "emit_added", "emit_text_done"), "emit_delta", "x")],
    "R095": [_twice(part(*TEXT, "emit_added"), "emit_text_done")],
    "R096": [_on(part(*TEXT, "emit_added"), "emit_done")],
    "R097": [_on(part(*TEXT), "emit_done")],
    "R098": [_twice(part(*TEXT, "emit_added", "emit_text_done"), "emit_done")],
    "R102": [_on(part(*TEXT, "emit_added"), "emit_text_done", "x")],
    "R104": [lambda: _open_part("message", "add_text_content")],
    "R110": [_on(samples.text, "emit_delta", "x", logprobs=[Logprob(token="x", logprob=float("nan"))])],
    "R115": [
        _on(
            part(*TEXT, "emit_added", "emit_text_done", "emit_done"),
            "emit_annotation_added",
            samples.CITATION | {"end_index": 0},
        )
    ],
    "R119": [_on(samples.text, "emit_annotation_added", samples.CITATION | {"end_index": 9})],
    "R127": [
        _on(part(*SUMMARY, "emit_added"), "emit_done"),
        _on(part(*SUMMARY, "emit_added", "emit_text_done"), "emit_delta", "x"),
        _twice(part(*SUMMARY, "emit_added"), "emit_text_done"),
        _on(part(*SUMMARY), "emit_delta", "x"),
        lambda: _open_part("reasoning", "add_summary_part"),
    ],
    "R128": [_on(part(*SUMMARY, "emit_added"), "emit_text_done", "x")],
    "R131": [lambda: running().output_item({"type": "reasoning", "summary": [{"type": "acme:x"}]})],
    "R132": [_on(part("reasoning", "add_text_content"), "emit_delta", "x")],
    "R140": [
        _on(item("function_call", "emit_arguments_done"), "emit_arguments_delta", "x"),
        _twice(item("custom_tool_call"), "emit_input_done"),
        _on(item("code_interpreter_call", "emit_in_progress", "emit_code_done"), "emit_code_delta", "x"),
        _on(item("mcp_call", "emit_in_progress", "emit_arguments_done"), "emit_arguments_delta", "x"),
        _twice(item("apply_patch_call"), "emit_diff_done"),
    ],
    "R141": [
        _on(item("function_call"), "emit_arguments_done", "x"),
        _on(item("apply_patch_call"), "emit_diff_done", "x"),
    ],
    "R143": [
        _on(item("function_call"), "emit_done"),
        _on(item("custom_tool_call"), "emit_done"),
        lambda: _begun("code_interpreter_call", "emit_code_delta", "emit_in_progress"),
        lambda: _begun("mcp_call", "emit_arguments_delta", "emit_in_progress"),
        lambda: _begun("function_call", "emit_arguments_delta"),
        lambda: _begun("custom_tool_call", "emit_input_delta"),
    ],
    "R147": [
        _on(item("mcp_call"), "emit_arguments_delta", "x"),
        _on(item("mcp_call", "emit_in_progress"), "emit_completed"),
    ],
    "R148": [_on(item("mcp_list_tools", "emit_in_progress", "emit_completed"), "emit_done", error="x")],
    "R149": [_on(item("mcp_list_tools", "emit_in_progress"), "emit_done"), _on(item("mcp_list_tools"), "emit_failed")],
    "R150": [_on(item("file_search_call"), "emit_searching"), _twice(item("file_search_call"), "emit_in_progress")],
    "R151": [_on(item("web_search_call", "emit_in_progress"), "emit_completed")],
    "R152": [_on(item("code_interpreter_call", "emit_in_progress"), "emit_interpreting")],
    "R154": [_on(item("image_generation_call", "emit_in_progress"), "emit_partial_image", "x")],
    "R155": [lambda: running().output_item_image_generation_call("x", partial_images=["x"] * 4)],
    "R156": [
        _on(item("file_search_call", "emit_in_progress"), "emit_done"),
        _on(
            item("file_search_call", "emit_in_progress", "emit_searching", "emit_completed"),
            "emit_done",
            status="failed",
        ),
        _on(item("image_generation_call"), "emit_done", "x"),
        _on(item("code_interpreter_call"), "emit_done"),
    ],
    "R157": [
        _on(part("shell_call", "add_command", "emit_added"), "emit_done", "x"),
        _on(part("shell_call", "add_command"), "emit_delta", "x"),
    ],
    "R158": [_twice(part("shell_call_output", "add_output"), "emit_done")],
    "R160": [lambda: _deleted().emit_diff_delta("x"), lambda: _deleted().emit_diff_done()],
    "R162": [
        _in_turn(
            lambda stream: stream.add_output_item_shell_call("c"),
            lambda stream: stream.add_output_item_program("c", "", ""),
        )
    ],
    "R172": [_in_turn(lambda stream: stream.emit_error(), lambda stream: stream.emit_completed())],
    "R176": [_in_turn(lambda stream: stream.emit_error(), lambda stream: stream.emit_error())],
}
"""Calls that would break a rule, by the rule."""

# What no call can break: it is so by the way that the builders are made, and the programs of `programs` show it.
BY_CONSTRUCTION: Final = {
    "R043": "created_at is taken once",
    "R044": "object is never anything else",
    "R045": "the output of created is the stream's own, see test_response",
    "R046": "the output of in_progress is the stream's own",
    "R052": "completed_at is never before created_at, see test_stream",
    "R053": "the members of the response are checked at created, see test_response",
    "R062": "items are numbered when they are added",
    "R101": "parts begin empty",
    "R103": "a part is done with the text that its deltas said",
    "R107": "conveniences leave out what is empty",
    "R112": "an item is done with the parts that were done",
    "R144": "in a range of rules only; a warning",
    "R145": "the name is that of the builder",
    "R146": "in a range of rules only; a warning",
    "R153": "in a range of rules only; there is no such rule",
    "R171": "nothing but failed can follow an error: R172",
}


def _searched(stream: ResponseEventStream) -> Any:
    call = stream.add_output_item_web_search_call()
    for say in (call.emit_added, call.emit_in_progress, call.emit_searching, call.emit_completed):
        say()
    return call


def _open_part(kind: str, make: str) -> object:
    builder = item(kind)(running())
    getattr(builder, make)().emit_added()
    return builder.emit_done()


def _begun(kind: str, delta: str, *before: str) -> object:
    builder = item(kind, *before)(running())
    getattr(builder, delta)("x")
    return builder.emit_done(status="incomplete")


def _deleted() -> Any:
    call = running().add_output_item_apply_patch_call("c", {"type": "delete_file", "path": "a"})
    call.emit_added()
    return call


def _ids(text: str) -> set[str]:
    """Return the rules that a text cites, ranges written out."""
    spans = re.finditer(r"R(\d{3})(?:-R(\d{3}))?", text)
    return {f"R{number:03}" for span in spans for number in range(int(span[1]), int(span[2] or span[1]) + 1)}


def _cited() -> set[str]:
    found: set[str] = set()
    for file in Path(builders.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                found |= _ids(ast.get_docstring(node) or "")
    return found


def test_every_rule_that_a_docstring_cites_is_tested_here() -> None:
    assert _cited() <= set(BREAKS) | set(BY_CONSTRUCTION)


@pytest.mark.parametrize(("rule", "broken"), [(rule, broken) for rule, ways in BREAKS.items() for broken in ways])
def test_a_rule_cannot_be_broken(rule: str, broken: Break) -> None:
    with pytest.raises((OutOfOrder, InvalidValue, InvalidType)) as refused:
        broken()
    assert rule in _ids(str(refused.value)) or rule in UNSAID, str(refused.value)


# Refusals whose sentence says all without the rule: an empty text is an empty text.
UNSAID: Final = {"R050", "R051", "R067", "R110"}
