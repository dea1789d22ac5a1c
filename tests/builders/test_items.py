"""Every type of item: the events that its convenience and its builder say, and what stands in them."""

from __future__ import annotations

from typing import Any, Final

import pytest

from responses_stream import InvalidType, InvalidValue, OutOfOrder, ResponseEventStream
from responses_stream.protocol.codec import to_builtins
from responses_stream.protocol.events import ResponseStreamEvent

from . import samples
from .oracle import judge
from .programs import as_dicts
from .samples import names, running

# items.md section 2, rows 1 to 28 and 32 to 53; 29 to 31 are never in the output, and 54 is another name of `message`.
ITEM_TYPES: Final = (
    *("message", "reasoning", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output"),
    *("file_search_call", "web_search_call", "code_interpreter_call", "image_generation_call", "mcp_list_tools"),
    *("mcp_call", "mcp_approval_request", "mcp_approval_response", "computer_call", "computer_call_output"),
    *("local_shell_call", "local_shell_call_output", "shell_call", "shell_call_output", "apply_patch_call"),
    *("apply_patch_call_output", "tool_search_call", "tool_search_output", "additional_tools", "program"),
    *("program_output", "compaction", "structured_outputs", "oauth_consent_request", "memory_search_call"),
    "workflow_action",
    *("a2a_preview_call", "a2a_preview_call_output", "bing_grounding_call", "bing_grounding_call_output"),
    *("sharepoint_grounding_preview_call", "sharepoint_grounding_preview_call_output", "azure_ai_search_call"),
    *("azure_ai_search_call_output", "bing_custom_search_preview_call", "bing_custom_search_preview_call_output"),
    *("openapi_call", "openapi_call_output", "browser_automation_preview_call"),
    *("browser_automation_preview_call_output", "fabric_dataagent_preview_call"),
    *("fabric_dataagent_preview_call_output", "azure_function_call", "azure_function_call_output"),
)


@pytest.mark.parametrize("item_type", ITEM_TYPES)
def test_every_item_type_has_a_builder_and_a_convenience(item_type: str) -> None:
    assert callable(getattr(ResponseEventStream, f"add_output_item_{item_type}"))
    assert callable(getattr(ResponseEventStream, f"output_item_{item_type}"))
    assert item_type in samples.FACTORIES
    assert item_type in samples.CONVENIENCES


MCP_CALL: Final[dict[str, Any]] = {
    "server_label": "docs",
    "name": "search",
    "approval_request_id": "mcpr_1",
    "error": None,
}
SHELL_CALL: Final[dict[str, Any]] = {"call_id": "call_1", "environment": samples.ENVIRONMENT}

# What each convenience says with the arguments of `samples`: its events, the item as it is added, and as it is done.
SAID: Final[dict[str, tuple[str, dict[str, Any], dict[str, Any]]]] = {
    "message": (
        "content_part.added output_text.delta output_text.annotation.added output_text.done content_part.done",
        {"role": "assistant", "status": "in_progress", "content": [], "phase": "final_answer"},
        {
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Hello", "annotations": [samples.CITATION], "logprobs": []}],
            "phase": "final_answer",
        },
    ),
    "refusal": (
        "content_part.added refusal.delta refusal.done content_part.done",
        {"role": "assistant", "status": "in_progress", "content": [], "phase": "final_answer"},
        {
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "refusal", "refusal": "No."}],
            "phase": "final_answer",
        },
    ),
    "reasoning": (
        "reasoning_summary_part.added reasoning_summary_text.delta reasoning_summary_text.done"
        " reasoning_summary_part.done",
        {"status": "in_progress", "summary": []},
        {
            "status": "completed",
            "summary": [{"type": "summary_text", "text": "Hm."}],
            "encrypted_content": "gAAA",
        },
    ),
    "function_call": (
        "function_call_arguments.delta function_call_arguments.done",
        {"call_id": "call_1", "name": "f", "arguments": "", "status": "in_progress"},
        {"call_id": "call_1", "name": "f", "arguments": '{"a":1}', "status": "completed"},
    ),
    "custom_tool_call": (
        "custom_tool_call_input.delta custom_tool_call_input.done",
        {"call_id": "call_1", "name": "f", "input": "", "status": "in_progress"},
        {"call_id": "call_1", "name": "f", "input": "SELECT 1", "status": "completed"},
    ),
    "file_search_call": (
        "file_search_call.in_progress file_search_call.searching file_search_call.completed",
        {"status": "in_progress", "queries": [], "results": None},
        {"status": "completed", "queries": ["q"], "results": samples.RESULTS},
    ),
    "web_search_call": (
        "web_search_call.in_progress web_search_call.searching web_search_call.completed",
        {"status": "in_progress", "action": {"type": "search", "query": ""}},
        {"status": "completed", "action": samples.SEARCH},
    ),
    "code_interpreter_call": (
        "code_interpreter_call.in_progress code_interpreter_call_code.delta code_interpreter_call_code.done"
        " code_interpreter_call.interpreting code_interpreter_call.completed",
        {"status": "in_progress", "container_id": "cntr_1", "code": "", "outputs": []},
        {"status": "completed", "container_id": "cntr_1", "code": "1+1", "outputs": samples.OUTPUTS},
    ),
    "image_generation_call": (
        "image_generation_call.in_progress image_generation_call.generating image_generation_call.partial_image"
        " image_generation_call.completed",
        {"status": "in_progress", "result": None},
        {
            "status": "completed",
            "result": "aGk=",
            "revised_prompt": "p",
            "background": "opaque",
            "output_format": "png",
            "quality": "low",
            "size": "1024x1024",
        },
    ),
    "mcp_list_tools": (
        "mcp_list_tools.in_progress mcp_list_tools.completed",
        {"server_label": "docs", "tools": []},
        {"server_label": "docs", "tools": samples.MCP_TOOLS, "error": None},
    ),
    "mcp_call": (
        "mcp_call.in_progress mcp_call_arguments.delta mcp_call_arguments.done mcp_call.completed",
        MCP_CALL | {"arguments": "", "status": "in_progress", "output": None},
        MCP_CALL | {"arguments": "{}", "status": "completed", "output": "ok"},
    ),
    "shell_call": (
        "shell_call_command.added shell_call_command.delta shell_call_command.done",
        SHELL_CALL | {"status": "in_progress", "action": {"commands": [], "timeout_ms": 5, "max_output_length": 9}},
        SHELL_CALL | {"status": "completed", "action": {"commands": ["ls"], "timeout_ms": 5, "max_output_length": 9}},
    ),
    "shell_call_output": (
        "shell_call_output_content.delta shell_call_output_content.done",
        {"call_id": "call_1", "status": "in_progress", "max_output_length": 9, "output": []},
        {"call_id": "call_1", "status": "completed", "max_output_length": 9, "output": [samples.PRINTED]},
    ),
    "apply_patch_call": (
        "apply_patch_call_operation_diff.delta apply_patch_call_operation_diff.done",
        {"call_id": "call_1", "status": "in_progress", "operation": samples.OPERATION | {"diff": ""}},
        {"call_id": "call_1", "status": "completed", "operation": samples.OPERATION},
    ),
}


def _whole(kind: str, **more: Any) -> list[dict[str, Any]]:
    """Say an item by its convenience in a stream that is right, and return its events."""
    stream = ResponseEventStream("resp_1", clock=lambda: 1767225600)
    events: list[ResponseStreamEvent] = [stream.emit_created(), stream.emit_in_progress()]
    events += getattr(stream, f"output_item_{kind}")(**(samples.CONVENIENCES[kind] | more), item_id="item_1")
    said = as_dicts(events[2:])
    events.append(stream.emit_completed())
    assert judge(as_dicts(events)) == []
    return said


@pytest.mark.parametrize("kind", SAID)
def test_a_convenience_says_the_whole_item(kind: str) -> None:
    inside, added, done = SAID[kind]
    events = _whole(kind)
    item_type = "message" if kind == "refusal" else kind
    told = [event["type"].removeprefix("response.") for event in events]
    assert told == ["output_item.added", *inside.split(), "output_item.done"]
    assert events[0]["item"] == {"type": item_type, "id": "item_1", **added}
    assert events[-1]["item"] == {"type": item_type, "id": "item_1", **done}
    for event in events[1:-1]:
        assert event["output_index"] == 0
        # D31: the events of commands have no item_id.
        assert event.get("item_id") == (None if "shell_call_command" in event["type"] else "item_1")


@pytest.mark.parametrize("kind", sorted(samples.PLAIN))
def test_a_plain_item_is_added_and_done_as_it_was_given(kind: str) -> None:
    given = dict(samples.PLAIN[kind])
    if kind == "local_shell_call":
        outside = {name: given.pop(name) for name in ("call_id", "status")}
        given = {**outside, "action": {"type": "exec", **given}}
    added, done = _whole(kind)
    assert done["item"] == {"type": kind, "id": "item_1", **given}
    starts = {} if added["item"].get("status") != "in_progress" else {"status": "in_progress"}
    assert added["item"] == done["item"] | starts


IN_PROGRESS_FIRST: Final = (
    *("computer_call", "local_shell_call", "tool_search_call"),
    *(f"{tool}_call" for tool in samples.PLATFORM),
)


@pytest.mark.parametrize("kind", sorted(samples.PLAIN))
def test_calls_begin_in_progress_and_one_shot_items_are_what_they_are(kind: str) -> None:
    if "status" not in samples.PLAIN[kind]:
        assert "status" not in _whole(kind)[0]["item"]
        return
    given = samples.PLAIN[kind]["status"]
    expected = "in_progress" if kind in IN_PROGRESS_FIRST else given
    assert _whole(kind)[0]["item"]["status"] == expected  # R069


@pytest.mark.parametrize(
    "kind", [kind for kind in sorted(samples.PLAIN) if "output" in kind and kind.endswith("output")]
)
def test_an_output_that_was_cut_short_begins_in_progress(kind: str) -> None:
    if kind in ("apply_patch_call_output", "program_output"):
        return  # their types know no in_progress
    stream = running()
    events = list(getattr(stream, f"output_item_{kind}")(**(samples.PLAIN[kind] | {"status": "incomplete"})))
    statuses = [to_builtins(event)["item"]["status"] for event in events]
    assert statuses == ["in_progress", "incomplete"]  # R069, R086


def test_a_status_that_the_type_cannot_end_with_is_refused_when_the_item_is_made() -> None:
    wrong: Any = "failed"
    with pytest.raises(InvalidValue, match=r"status: is 'failed', but .* ends as completed or incomplete \(R077"):
        running().add_output_item_function_call_output("call_1", "1", status=wrong)
    wrong = "in_progress"
    with pytest.raises(InvalidValue, match="R078"):
        running().output_item_computer_call("call_1", {"type": "wait"}, status=wrong)


def test_the_names_of_the_reference_server_are_known() -> None:
    stream = running()
    assert stream.add_output_item_reasoning_item().item_type == "reasoning"
    assert stream.add_output_item_image_gen_call().item_type == "image_generation_call"
    assert stream.add_output_item_function_shell_call("call_1").item_type == "shell_call"
    assert stream.add_output_item_function_shell_call_output("call_1").item_type == "shell_call_output"
    assert names(stream.output_item_reasoning_item())[0] == "output_item.added"
    assert names(stream.output_item_image_gen_call("aGk="))[1] == "image_generation_call.in_progress"
    assert names(stream.output_item_function_shell_call("call_2", []))[-1] == "output_item.done"
    assert names(stream.output_item_function_shell_call_output("call_2", []))[-1] == "output_item.done"


def test_deltas_are_one_for_each_chunk_that_is_not_empty() -> None:
    said = _whole("message", text=["Hel", "", "lo"], annotations=[])
    assert [event["delta"] for event in said if "delta" in event] == ["Hel", "lo"]  # R107
    assert [event["type"] for event in _whole("message", text="", annotations=[])].count(
        "response.output_text.delta"
    ) == 0
    said = _whole("function_call", arguments=iter(['{"a"', ":1}"]))
    assert [event.get("delta") for event in said[1:-2]] == ['{"a"', ":1}"]


def test_the_arguments_done_event_of_a_function_call_names_the_function() -> None:
    assert _whole("function_call")[-2]["name"] == "f"  # D11, R145


def test_reasoning_may_be_raw_or_bare() -> None:
    stream = running()
    raw = as_dicts(list(stream.output_item_reasoning(text=["H", "m"])))
    assert [event["type"].removeprefix("response.") for event in raw[1:-1]] == [
        *("content_part.added", "reasoning_text.delta", "reasoning_text.delta", "reasoning_text.done"),
        "content_part.done",
    ]
    assert raw[-1]["item"]["content"] == [{"type": "reasoning_text", "text": "Hm"}]
    assert raw[-1]["item"]["summary"] == []
    bare = as_dicts(list(stream.output_item_reasoning(encrypted_content="gAAA")))
    assert [event["type"] for event in bare] == ["response.output_item.added", "response.output_item.done"]
    assert bare[-1]["item"]["encrypted_content"] == "gAAA"


def test_reasoning_is_a_summary_or_raw_but_not_both_at_once() -> None:
    both: Any = {"summary": "Hm.", "text": "Hm."}
    with pytest.raises(InvalidValue, match="text: is given, and summary is too"):
        running().output_item_reasoning(**both)


def test_the_builder_of_reasoning_takes_summary_and_raw_text_together() -> None:
    stream = running()
    reasoning = stream.add_output_item_reasoning(encrypted_content="gPartial", item_id="rs_1")
    events: list[Any] = [reasoning.emit_added()]
    assert to_builtins(events[0])["item"]["encrypted_content"] == "gPartial"
    parts: list[Any] = [reasoning.add_summary_part(), reasoning.add_text_content(), reasoning.add_summary_part()]
    for text, part in zip(("One", "Raw", "Two"), parts, strict=True):
        events += [part.emit_added(), part.emit_delta(text), part.emit_text_done(text), part.emit_done()]
    done = to_builtins(reasoning.emit_done(encrypted_content="gWhole"))["item"]
    assert [part["text"] for part in done["summary"]] == ["One", "Two"]
    assert [part["text"] for part in done["content"]] == ["Raw"]
    assert done["encrypted_content"] == "gWhole"
    indexes = [event.summary_index for event in events if "summary" in event.type]
    assert indexes == [0] * 4 + [1] * 4  # R126


def test_a_function_call_may_say_who_called_it_and_how() -> None:
    stream = running()
    call = stream.add_output_item_function_call(
        "f", "call_1", namespace="n", caller={"type": "program", "caller_id": "call_0"}, is_async=True
    )
    added, _, done = call.emit_added(), call.emit_arguments_done(), call.emit_done()
    extras = {"namespace": "n", "caller": {"type": "program", "caller_id": "call_0"}, "async": True}
    for event in (added, done):
        assert extras.items() <= to_builtins(event)["item"].items()


def test_a_file_search_that_failed_says_so_in_its_item() -> None:
    stream = running()
    call = stream.add_output_item_file_search_call()
    call.emit_added()
    call.emit_in_progress()
    with pytest.raises(OutOfOrder, match="R156"):
        call.emit_done(queries=["q"])
    assert to_builtins(call.emit_done(queries=["q"], status="failed"))["item"]["status"] == "failed"


def test_a_web_search_may_tell_its_action_from_the_beginning() -> None:
    stream = running()
    call = stream.add_output_item_web_search_call(action=samples.SEARCH)
    assert to_builtins(call.emit_added())["item"]["action"] == samples.SEARCH
    for event in (call.emit_in_progress, call.emit_searching, call.emit_completed):
        event()
    assert to_builtins(call.emit_done())["item"]["action"] == samples.SEARCH


def test_a_web_search_without_an_action_cannot_complete() -> None:
    call = samples.item("web_search_call", "emit_in_progress", "emit_searching", "emit_completed")
    stream = running()
    stream_call = call(stream)
    stream_call._action = None
    with pytest.raises(InvalidValue, match=r"action: has to be given.*R068"):
        stream_call.emit_done()
    assert stream_call.emit_done(action={"type": "open_page", "url": "u"}).sequence_number == 6


def test_code_interpreter_outputs_are_null_where_nobody_asked_for_them() -> None:
    assert _whole("code_interpreter_call", outputs=None)[-1]["item"]["outputs"] is None


def test_partial_images_count_by_themselves_and_end_at_three() -> None:
    stream = running()
    call = stream.add_output_item_image_generation_call()
    call.emit_added()
    call.emit_in_progress()
    call.emit_generating()
    assert [call.emit_partial_image("aGk=").partial_image_index for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OutOfOrder, match="R155") as refused:
        call.emit_partial_image("aGk=")
    assert refused.value.allowed == ("response.image_generation_call.completed", "response.output_item.done[failed]")
    with pytest.raises(InvalidValue, match=r"partial_images: are 4, but at most 3 are shown \(R155\)"):
        stream.output_item_image_generation_call("aGk=", partial_images=["aGk="] * 4)


def test_an_image_that_was_not_made_says_why() -> None:
    call = samples.item("image_generation_call", "emit_in_progress")(running())
    with pytest.raises(OutOfOrder):
        call.emit_done("aGk=")
    item = to_builtins(call.emit_done(status="failed", error={"type": "moderation", "message": "No."}))["item"]
    assert item["error"] == {"type": "moderation", "message": "No.", "code": None, "param": None}  # R068
    assert (item["status"], item["result"]) == ("failed", None)


def test_an_image_that_was_made_has_a_result() -> None:
    call = samples.item("image_generation_call", "emit_in_progress", "emit_generating", "emit_completed")(running())
    with pytest.raises(InvalidType, match="result: expected the image in base64"):
        call.emit_done()


def test_a_failed_mcp_call_has_an_error_and_a_worked_one_has_none() -> None:
    ready = samples.item("mcp_call", "emit_in_progress", "emit_arguments_done")
    call = ready(running())
    call.emit_failed()
    with pytest.raises(InvalidType, match="R148"):
        call.emit_done()
    item = to_builtins(call.emit_done(error=samples.MCP_ERROR))["item"]
    assert (item["status"], item["error"]) == ("failed", samples.MCP_ERROR)
    call = ready(running())
    call.emit_completed()
    with pytest.raises(InvalidValue, match="R148"):
        call.emit_done(error=samples.MCP_ERROR)
    assert to_builtins(call.emit_done(output="ok"))["item"]["status"] == "completed"


def test_a_closed_mcp_call_says_that_it_is_closed() -> None:
    call = samples.item("mcp_call", "emit_in_progress", "emit_arguments_done", "emit_failed")(running())
    call.emit_done(error=samples.MCP_ERROR)
    with pytest.raises(OutOfOrder, match=r"mcp_call .* closed \(R072\); allowed now: nothing, it is closed"):
        call.emit_done(error=samples.MCP_ERROR)


def test_an_mcp_call_that_was_cut_short_says_so() -> None:
    call = samples.item("mcp_call", "emit_in_progress")(running())
    assert to_builtins(call.emit_done(status="incomplete"))["item"]["status"] == "incomplete"


def test_a_failed_listing_tells_why() -> None:
    events = as_dicts(list(running().output_item_mcp_list_tools("docs", error="Not there.")))
    assert events[2]["type"] == "response.mcp_list_tools.failed"
    assert events[-1]["item"]["error"] == "Not there."
    with pytest.raises(InvalidValue, match="error: is empty"):
        running().output_item_mcp_list_tools("docs", error="")


def test_a_failed_mcp_call_is_one_call_too() -> None:
    events = as_dicts(list(running().output_item_mcp_call("docs", "f", "{}", error=samples.MCP_ERROR)))
    assert events[-2]["type"] == "response.mcp_call.failed"
    assert events[-1]["item"]["status"] == "failed"


def test_commands_of_a_shell_may_be_said_side_by_side() -> None:
    stream = running()
    call = stream.add_output_item_shell_call("call_1")
    call.emit_added()
    one, two = call.add_command(), call.add_command()
    events = [two.emit_added(), one.emit_added(), one.emit_delta("ls"), two.emit_delta("cd"), one.emit_done("ls")]
    assert [event.command_index for event in events] == [0, 1, 1, 0, 1]
    with pytest.raises(OutOfOrder, match=r"response\.shell_call_command\.delta of part 0"):
        call.emit_done()
    two.emit_done()
    assert (one.command, two.command) == ("ls", "cd")
    assert to_builtins(call.emit_done())["item"]["action"]["commands"] == ["cd", "ls"]


def test_what_a_shell_printed_comes_on_two_channels() -> None:
    stream = running()
    item = stream.add_output_item_shell_call_output("call_1")
    item.emit_added()
    output = item.add_output()
    deltas = [output.emit_delta(stdout="a"), output.emit_delta(stderr="e"), output.emit_delta(stdout="b", stderr="f")]
    assert [to_builtins(event.delta) for event in deltas] == [
        {"stdout": "a"},
        {"stderr": "e"},
        {"stdout": "b", "stderr": "f"},
    ]
    done = output.emit_done({"type": "timeout"})
    assert to_builtins(done)["output"] == [{"stdout": "ab", "stderr": "ef", "outcome": {"type": "timeout"}}]
    assert [to_builtins(entry) for entry in output.content] == to_builtins(done)["output"]
    second = item.add_output()
    assert to_builtins(second.emit_done(7))["output"][0]["outcome"] == {"type": "exit", "exit_code": 7}
    assert [entry["stdout"] for entry in to_builtins(item.emit_done())["item"]["output"]] == ["ab", ""]


@pytest.mark.parametrize("outcome", [True, "0", None, 1.5, {"type": "exit"}])
def test_an_outcome_is_an_exit_code_or_an_object(outcome: Any) -> None:
    output = samples.part("shell_call_output", "add_output")(running())
    with pytest.raises((InvalidType, InvalidValue), match="outcome"):
        output.emit_done(outcome)


def test_a_patch_may_be_given_whole_or_streamed() -> None:
    stream = running()
    whole = stream.add_output_item_apply_patch_call("call_1", samples.OPERATION)
    assert to_builtins(whole.emit_added())["item"]["operation"]["diff"] == ""  # R070
    assert to_builtins(whole.emit_done())["item"]["operation"]["diff"] == "+b"
    streamed = stream.add_output_item_apply_patch_call("call_2", samples.OPERATION | {"diff": ""})
    streamed.emit_added()
    streamed.emit_diff_delta("+c")
    with pytest.raises(OutOfOrder, match="R140"):
        streamed.emit_done()
    streamed.emit_diff_done()
    assert to_builtins(streamed.emit_done())["item"]["operation"]["diff"] == "+c"


def test_a_file_that_is_deleted_has_no_diff() -> None:
    stream = running()
    call = stream.add_output_item_apply_patch_call("call_1", {"type": "delete_file", "path": "a"})
    call.emit_added()
    for refused in (lambda: call.emit_diff_delta("x"), call.emit_diff_done):
        with pytest.raises(OutOfOrder, match=r"R160\); allowed now: response\.output_item\.done$"):
            refused()
    assert to_builtins(call.emit_done())["item"]["operation"] == {"type": "delete_file", "path": "a"}
    assert len(list(stream.output_item_apply_patch_call("call_2", {"type": "delete_file", "path": "b"}))) == 2


def test_a_compaction_may_tell_that_it_runs() -> None:
    stream = running()
    compaction = stream.add_output_item_compaction("g")
    events: list[Any] = [compaction.emit_added(), compaction.emit_compacting()]
    with pytest.raises(OutOfOrder):
        compaction.emit_compacting()
    events.append(compaction.emit_done(encrypted_content="gWhole"))
    assert names(events) == ["output_item.added", "compaction.compacting", "output_item.done"]
    assert to_builtins(events[-1])["item"]["encrypted_content"] == "gWhole"


def test_a_computer_call_has_an_action_or_actions() -> None:
    with pytest.raises(InvalidValue, match="action: has to be given, or actions"):
        running().add_output_item_computer_call("call_1")


@pytest.mark.parametrize("tool", ["a2a_preview", "openapi", "azure_function"])
def test_three_tools_of_the_platform_have_a_name(tool: str) -> None:
    stream = running()
    with pytest.raises(TypeError, match="name"):
        getattr(stream, f"add_output_item_{tool}_call")("call_1", "{}")  # R068
    with pytest.raises(TypeError, match="name"):
        getattr(stream, f"output_item_{tool}_call_output")("call_1")


# Items that are given whole.


def test_an_unknown_item_is_sent_as_it_is() -> None:
    stream = running()
    given = {"type": "acme:verdict", "id": "v_1", "score": 3, "notes": [{"a": None}]}
    added, done = as_dicts(list(stream.output_item(given)))
    assert added["item"] == done["item"] == given
    assert stream.emit_completed().response.output[0].type == "acme:verdict"


@pytest.mark.parametrize("given_id", [{}, {"id": None}, {"id": ""}])
def test_an_item_without_an_id_gets_one(given_id: dict[str, Any]) -> None:
    for given in ({"type": "acme:verdict"}, {"type": "structured_outputs", "output": 1}):
        builder = running().add_output_item({**given, **given_id})
        assert builder.emit_added().item.id == builder.item_id != ""


@pytest.mark.parametrize("status", ["completed", "failed", "incomplete"])
def test_an_unknown_item_may_end_with_any_status(status: str) -> None:
    events = as_dicts(list(running().output_item({"type": "acme:verdict", "status": status})))
    assert [event["item"]["status"] for event in events] == [status, status]


def test_what_a_known_item_leaves_out_is_filled_in_where_one_value_is_natural() -> None:
    stream = running()
    search = as_dicts(list(stream.output_item({"type": "tool_search_call", "arguments": {}})))[-1]["item"]
    assert search.pop("id") == "tool_search_call_1"
    natural = {"call_id": None, "execution": "server", "status": "completed"}
    assert search == {"type": "tool_search_call", "arguments": {}, **natural}
    output = {"type": "function_call_output", "call_id": "c", "output": "1"}
    assert as_dicts(list(stream.output_item(output)))[-1]["item"]["status"] == "completed"


@pytest.mark.parametrize(
    ("item", "where"),
    [
        (3, "item: expected output item or a dict, got int"),
        ({}, r"item\.type: expected a string \(R066\), got NoneType"),
        ({"type": 3}, r"item\.type: expected a string \(R066\), got int"),
        ({"type": ""}, r"item\.type: expected a string \(R066\)"),
        ({"type": "item_reference", "id": "x"}, r"item\.type: .*never an output item \(R080\)"),
        ({"type": "compaction_trigger"}, "R080"),
        ({"type": "configuration_update"}, "R080"),
        ({"type": "message", "content": []}, r"item\.type: .*use add_output_item_message\(\)"),
        ({"type": "compaction", "encrypted_content": ""}, r"use add_output_item_compaction\(\)"),
        ({"type": "acme:x", "id": 3}, r"item\.id: expected a string \(R067\), got int"),
        ({"type": "acme:x", "status": "in_progress"}, r"status: is 'in_progress'.*R078"),
        ({"type": "acme:x", "status": 3}, "status: is 3"),
        ({"type": "acme:x", "status": ""}, "status: is ''"),
        ({"type": "acme:x", "y": object()}, r"item\.y: expected plain JSON, got object"),
        ({"type": "acme:x", "y": "\ud800"}, r"item\.y: holds a lone surrogate"),
        ({"type": "acme:x", "y": float("nan")}, r"item\.y: is nan"),
        ({"type": "program", "call_id": "c", "code": "", "fingerprint": "", "status": "completed"}, "R069"),
        ({"type": "program", "call_id": "", "code": "", "fingerprint": ""}, r"item\.call_id: is empty"),
        ({"type": "program", "call_id": "c", "code": 1, "fingerprint": ""}, r"\$\.code: expected string"),
        ({"type": "function_call_output", "output": "1"}, r"item\.call_id: is missing \(R068\)"),
        ({"type": "openapi_call", "call_id": "c", "arguments": "{}"}, r"item\.name: is missing \(R068\)"),
        ({"type": "workflow_action", "kind": "k", "action_id": "a", "status": "cancelled"}, "R078"),
    ],
)
def test_a_given_item_that_cannot_be_sent_is_refused(item: Any, where: str) -> None:
    stream = running()
    with pytest.raises((InvalidType, InvalidValue), match=where):
        stream.add_output_item(item)
    if "use add_output_item" not in where:
        with pytest.raises((InvalidType, InvalidValue), match=where):
            stream.output_item(item)
    assert stream.emit_completed().sequence_number == 2


def test_ids_are_unique_in_a_response() -> None:
    stream = running()
    stream.add_output_item_message(item_id="item_1")
    with pytest.raises(InvalidValue, match=r"item_id: 'item_1' is already the id of an item of this response \(R064\)"):
        stream.add_output_item({"type": "acme:x", "id": "item_1"})
    stream.add_output_item_function_call("f", "call_1")
    for call in (
        lambda: stream.add_output_item_custom_tool_call("f", "call_1"),
        lambda: stream.add_output_item_shell_call("call_1"),
        lambda: stream.add_output_item_apply_patch_call("call_1", samples.OPERATION),
        lambda: stream.add_output_item_program("call_1", "1", "f"),
        lambda: stream.add_output_item_tool_search_call({}, call_id="call_1"),
        lambda: stream.add_output_item_azure_ai_search_call("call_1", "{}"),
    ):
        with pytest.raises(InvalidValue, match=r"call_id: 'call_1' is already .* \(R162\)"):
            call()
    # An answer has the id of its call.
    assert len(list(stream.output_item_function_call_output("call_1", "1"))) == 2
