"""What the items of a request become for pydantic-ai: messages, a prompt, and answers to the calls that wait."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic_ai import (
    AudioUrl,
    BinaryContent,
    DocumentUrl,
    ImageUrl,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolApproved,
    ToolCallPart,
    ToolDenied,
    ToolReturnPart,
    UploadedFile,
    UserPromptPart,
    VideoUrl,
)

from responses_stream.agents.bridges.pydantic_ai_input import asked, messages_of, waiting_calls
from responses_stream.agents.rendering import RunFailed


def user(*content: Any) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": list(content)}


def text(said: str) -> dict[str, Any]:
    return {"type": "input_text", "text": said}


def kinds(messages: list[ModelMessage]) -> list[list[str]]:
    return [[type(part).__name__ for part in message.parts] for message in messages]


def test_what_the_user_says_last_is_the_prompt() -> None:
    ask = asked([user(text("One.")), {"role": "assistant", "content": "Yes."}, user(text("a"), text("b"))], [], {})
    assert ask.prompt == ["a", "b"]
    assert kinds(ask.history) == [["UserPromptPart"], ["TextPart"]]
    assert ask.results is None


def test_images_files_audio_and_video() -> None:
    content: list[dict[str, Any]] = [
        {"type": "input_image", "image_url": "https://a.example/x.png", "detail": "low"},
        {"type": "input_image", "image_url": "data:image/gif;base64,aGk="},
        {"type": "input_image", "file_id": "file_1"},
        {"type": "input_file", "file_url": "https://a.example/report.pdf?x=1"},
        {"type": "input_file", "file_data": "aGk=", "filename": "a.csv"},
        {"type": "input_file", "file_url": "https://a.example/song.mp3"},
        {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}},
        {"type": "input_video", "video_url": "https://a.example/x.mp4"},
        {"type": "something_new"},
    ]
    prompt = asked([user(*content)], [], {}, provider="openai").prompt
    assert prompt == [
        ImageUrl("https://a.example/x.png", vendor_metadata={"detail": "low"}),
        BinaryContent(b"hi", media_type="image/gif"),
        UploadedFile("file_1", "openai"),
        DocumentUrl("https://a.example/report.pdf?x=1"),
        BinaryContent(b"hi", media_type="text/csv"),
        AudioUrl("https://a.example/song.mp3"),
        BinaryContent(b"hi", media_type="audio/mpeg"),
        VideoUrl("https://a.example/x.mp4"),
    ]
    assert isinstance(prompt[3], DocumentUrl)
    assert prompt[3].media_type == "application/pdf"


@pytest.mark.parametrize(
    ("part", "provider"),
    [
        ({"type": "input_image", "file_id": "file_1"}, None),
        ({"type": "input_image", "file_id": "file_1"}, "groq"),
        ({"type": "input_image"}, "openai"),
        ({"type": "input_file", "file_data": "data:text/plain;base64,a"}, "openai"),
    ],
)
def test_what_cannot_be_given_to_the_model_is_told(part: dict[str, Any], provider: str | None) -> None:
    with pytest.raises(RunFailed) as told:
        asked([user(part)], [], {}, provider=provider)
    assert told.value.code == "invalid_prompt"


def test_a_conversation_that_the_client_tells_anew() -> None:
    items: list[dict[str, Any]] = [
        {"role": "developer", "content": "Be brief."},
        user(text("Weather?")),
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "Hm."}],
            "encrypted_content": "s",
        },
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"a": 1}'},
        {"type": "custom_tool_call", "call_id": "c2", "name": "write", "input": "text"},
        {"type": "function_call_output", "call_id": "c1", "output": [text("seen")]},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": "written"},
        {"type": "mcp_call", "id": "mcp_1", "server_label": "a", "name": "own", "arguments": "{}", "output": "42"},
        {
            "type": "mcp_call",
            "id": "mcp_2",
            "server_label": "a",
            "name": "own",
            "arguments": "{}",
            "error": {"code": 1},
        },
        {"type": "output_message", "role": "assistant", "content": [{"type": "output_text", "text": "Sunny."}]},
        {"type": "web_search_call", "id": "ws_1"},
        user(text("Thanks.")),
    ]
    ask = asked(items, [], {}, provider="openai")
    assert ask.prompt == "Thanks."
    assert kinds(ask.history) == [
        ["SystemPromptPart", "UserPromptPart"],
        ["ThinkingPart", "ToolCallPart", "ToolCallPart"],
        ["ToolReturnPart", "ToolReturnPart"],
        ["ToolCallPart"],
        ["ToolReturnPart"],
        ["ToolCallPart"],
        ["ToolReturnPart"],
        ["TextPart"],
    ]
    parts = [part for message in ask.history for part in message.parts]
    thought = next(part for part in parts if isinstance(part, ThinkingPart))
    assert (thought.content, thought.id, thought.signature, thought.provider_name) == ("Hm.", "rs_1", "s", "openai")
    returned = [(p.tool_name, p.content, p.outcome) for p in parts if isinstance(p, ToolReturnPart)]
    assert returned == [
        ("look", "seen", "success"),
        ("write", "written", "success"),
        ("own", "42", "success"),
        ("own", '{"code": 1}', "failed"),
    ]


BASE: list[ModelMessage] = [
    ModelRequest([SystemPromptPart("Be brief."), UserPromptPart("Go.")]),
    ModelResponse(
        [TextPart("Yes."), ToolCallPart("a", {}, "c1"), ToolCallPart("b", {}, "c2"), ToolCallPart("c", {}, "c3")]
    ),
    ModelRequest([ToolReturnPart("c", "done", "c3")]),
]


WAITING = {"mcpr_1": "c2"}


def test_answers_to_what_waits_are_results_and_not_history() -> None:
    assert set(waiting_calls(BASE)) == {"c1", "c2"}
    output = {"type": "function_call_output", "call_id": "c1", "output": "A"}
    approval = {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}
    ask = asked([output, approval, user(text("Well?"))], BASE, WAITING)
    assert (ask.history, ask.prompt, ask.answered) == (BASE, "Well?", {"c1"})
    assert ask.results is not None
    assert ask.results.calls == {"c1": "A"}
    assert ask.results.approvals == {"c2": ToolApproved()}


def test_what_nobody_has_answered_is_refused() -> None:
    ask = asked([user(text("Never mind."))], BASE, WAITING)
    assert ask.results is not None
    assert set(ask.results.approvals) == ask.answered == {"c1", "c2"}
    assert all(isinstance(answer, ToolDenied) for answer in ask.results.approvals.values())


def test_other_news_stand_before_the_calls_that_wait() -> None:
    ask = asked([{"role": "system", "content": "New rules."}, user(text("Well?"))], BASE, {})
    assert kinds(ask.history)[1:3] == [
        ["SystemPromptPart"],
        ["TextPart", "ToolCallPart", "ToolCallPart", "ToolCallPart"],
    ]


def test_a_result_cannot_stand_in_for_an_approval() -> None:
    ask = asked([{"type": "function_call_output", "call_id": "c2", "output": "forged"}], BASE, WAITING)
    assert ask.results is not None
    assert isinstance(ask.results.approvals["c2"], ToolDenied)
    assert "c2" not in ask.results.calls
    assert ask.history == BASE


def test_nothing_waits_behind_a_run_that_was_cut_short() -> None:
    cut = ModelResponse([ToolCallPart("a", {}, "c1")], state="interrupted")
    assert waiting_calls([BASE[0], cut]) == {}
    assert waiting_calls([]) == {}


def test_a_call_that_was_approved_is_not_told_twice() -> None:
    items: list[dict[str, Any]] = [
        {"type": "mcp_approval_request", "id": "mcpr_c1", "server_label": "a", "name": "rm", "arguments": "{}"},
        {"type": "mcp_approval_response", "approval_request_id": "mcpr_c1", "approve": True},
        {"type": "mcp_call", "id": "mcp_1", "server_label": "a", "name": "rm", "arguments": "{}", "output": "gone"},
    ]
    messages, approvals = messages_of(items)
    assert kinds(messages) == [["ToolCallPart"], ["ToolReturnPart"]]
    assert waiting_calls(messages) == {}
    assert approvals == {}


def test_without_the_framework_the_bridge_names_its_extra() -> None:
    code = (
        "import sys; sys.modules['pydantic_ai'] = None\n"
        "try: import responses_stream.agents.bridges.pydantic_ai\n"
        "except ImportError as error: print(error)"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "pip install 'responses-stream[pydantic-ai]'" in told
