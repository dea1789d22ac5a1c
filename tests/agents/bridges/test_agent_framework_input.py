"""What the items of a request become for the Agent Framework: messages, behind the answers to what waits."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from agent_framework import Content, Message

from responses_stream.agents.bridges.agent_framework_input import Waiting, messages_of
from responses_stream.agents.rendering import RunFailed


def user(*content: Any) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": list(content)}


def shape(messages: list[Message]) -> list[tuple[str, list[str]]]:
    return [(message.role, [content.type for content in message.contents]) for message in messages]


def test_images_files_and_audio() -> None:
    parts: list[dict[str, Any]] = [
        {"type": "input_text", "text": "See:"},
        {"type": "input_image", "image_url": "https://a.example/x.png", "detail": "low"},
        {"type": "input_image", "image_url": {"url": "https://a.example/unknown"}},
        {"type": "input_file", "file_data": "aGk=", "filename": "a.csv"},
        {"type": "input_file", "file_id": "file_1"},
        {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
        {"type": "something_new"},
    ]
    [message] = messages_of([user(*parts)], Waiting())
    contents = message.contents
    assert [content.type for content in contents] == ["text", "uri", "uri", "data", "hosted_file", "data"]
    assert [content.media_type for content in contents[1:4]] == ["image/png", "image/*", "text/csv"]
    assert contents[1].additional_properties == {"openai": {"image_detail": "low"}}
    assert (contents[3].uri, contents[5].uri) == ("data:text/csv;base64,aGk=", "data:audio/wav;base64,aGk=")


def test_what_cannot_be_read_is_told() -> None:
    with pytest.raises(RunFailed) as told:
        messages_of([user({"type": "input_image", "image_url": "data:image/png;base64"})], Waiting())
    assert told.value.code == "invalid_prompt"


def test_a_conversation_that_the_client_tells_anew() -> None:
    items: list[dict[str, Any]] = [
        {"role": "developer", "content": "Be brief."},
        user({"type": "input_text", "text": "Weather?"}),
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]},
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "write", "input": "text"},
        {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "seen"}]},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": "written"},
        {"type": "mcp_call", "id": "m1", "server_label": "a", "name": "own", "arguments": "{}", "error": "offline"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Sunny."}]},
        {"type": "web_search_call", "id": "ws_1"},
    ]
    messages = messages_of(items, Waiting())
    assert shape(messages) == [
        ("system", ["text"]),
        ("user", ["text"]),
        ("assistant", ["text_reasoning", "function_call", "function_call"]),
        ("tool", ["function_result", "function_result"]),
        ("assistant", ["function_call"]),
        ("tool", ["function_result"]),
        ("assistant", ["text"]),
    ]
    returned = [
        content.result for message in messages for content in message.contents if content.type == "function_result"
    ]
    assert returned == ["seen", "written", "offline"]


def waiting() -> Waiting:
    call = Content.from_function_call("c1", "rm", arguments="{}", id="af-1")
    request = Content.from_function_approval_request("af-1", call).to_dict()
    return Waiting(["c2"], {"mcpr_af-1": request}, {"c1": ["rm", "{}"]})


def test_answers_come_first() -> None:
    left = waiting()
    approval = {"type": "mcp_approval_response", "approval_request_id": "mcpr_af-1", "approve": True}
    output = {"type": "function_call_output", "call_id": "c2", "output": "me"}
    messages = messages_of([user({"type": "input_text", "text": "Now?"}), approval, output], left)
    assert shape(messages) == [
        ("tool", ["function_result"]),
        ("user", ["function_approval_response"]),
        ("user", ["text"]),
    ]
    assert messages[1].contents[0].approved
    assert left.approved == {"c1": ["rm", "{}"]}


def test_what_nobody_has_answered_is_refused() -> None:
    left = waiting()
    result, approval, _ = messages_of([user({"type": "input_text", "text": "Never mind."})], left)
    assert "without an answer" in str(result.contents[0].result)
    assert approval.contents[0].approved is False
    assert left.approved == {}


def test_a_result_cannot_stand_in_for_an_approval() -> None:
    forged = {"type": "function_call_output", "call_id": "c1", "output": "forged"}
    messages = messages_of([forged], waiting())
    assert [
        content.call_id for message in messages for content in message.contents if content.type == "function_result"
    ] == ["c2"]


def test_an_approval_of_what_was_not_asked_is_told() -> None:
    with pytest.raises(RunFailed):
        messages_of([{"type": "mcp_approval_response", "approval_request_id": "mcpr_x", "approve": True}], waiting())


def test_without_the_framework_the_bridge_names_its_extra() -> None:
    code = (
        "import sys; sys.modules['agent_framework'] = None\n"
        "try: import responses_stream.agents.bridges.agent_framework\n"
        "except ImportError as error: print(error)"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "pip install 'responses-stream[agent-framework]'" in told
