"""What a request says, as the messages of pydantic-ai.

What the turn before has left is the base: messages of the framework as they were, or those that the items of a server's
history make. The new items go on from it. Calls of the base that wait for somebody are answered by the new items.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, Final, cast, get_args

import attrs
from pydantic_ai import (
    BinaryContent,
    DeferredToolResults,
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolApproved,
    ToolCallPart,
    ToolDenied,
    ToolReturnPart,
    UploadedFile,
    UserContent,
    UserPromptPart,
)
from pydantic_ai.messages import (
    AudioUrl,
    DocumentUrl,
    FileUrl,
    ImageUrl,
    UploadedFileProviderName,
    VideoUrl,
)

from responses_stream.agents.bridges.asked import plain
from responses_stream.agents.bridges.input_parts import Attachment, attachment, failure_text, part_text
from responses_stream.agents.rendering import RunFailed
from responses_stream.errors import InvalidValue
from responses_stream.protocol.base import Wire

__all__ = ["Asked", "asked", "messages_of", "waiting_calls"]

_UNANSWERED: Final = "The user went on without an answer to this call."

_WITH_FILES: Final = frozenset(get_args(UploadedFileProviderName))

_URLS: Final[Mapping[str, type[FileUrl]]] = {
    "image": ImageUrl,
    "audio": AudioUrl,
    "video": VideoUrl,
    "file": DocumentUrl,
}


@attrs.frozen
class Asked:
    """What an agent is run with.

    Attributes:
        history: the messages before the prompt.
        prompt: what the user says; None where the request only answers calls.
        results: answers to the calls that have waited; None where none has.
        answered: the ids of those of them that the agent need not run.
    """

    history: list[ModelMessage]
    prompt: str | list[UserContent] | None
    results: DeferredToolResults | None
    answered: Set[str] = frozenset()


def asked(
    items: Sequence[Wire | Mapping[str, Any]],
    base: Sequence[ModelMessage],
    approvals: Mapping[str, str],
    *,
    provider: str | None = None,
) -> Asked:
    """Return what *items* ask for, on top of *base*.

    Args:
        approvals: ids of those calls of *base* that wait for an approval, by the ids of the requests for it. Others
            that wait do so for their result.
        provider: the provider of the agent's model, whose files and sealed thoughts the items may name.

    Raises:
        RunFailed: an approval names nothing that waits for one, or a file cannot be given to the model.
    """
    waiting = waiting_calls(base)
    requests = {request_id: call for request_id, call in approvals.items() if call in waiting}
    reader = _Reader(provider, waiting.keys(), _names(base))
    for item in items:
        reader.read(plain(item))
    if unknown := reader.approvals.keys() - requests.keys():
        # What the client itself says that it was asked is not believed: it could have any tool run so.
        raise RunFailed("invalid_prompt", f"No approval request {min(unknown)!r} waits for an answer.")
    new, prompt = _without_prompt(reader.messages)
    if not waiting:
        return Asked([*base, *new], prompt, None)
    # A result of the client's does not make up for an approval.
    calls = {call: output for call, output in reader.outputs.items() if call not in requests.values()}
    unanswered = dict.fromkeys(waiting.keys() - calls.keys(), ToolDenied(_UNANSWERED))
    answers = {requests[request_id]: answer for request_id, answer in reader.approvals.items()}
    results = DeferredToolResults(calls=calls, approvals={**unanswered, **answers})
    answered = {call for call in waiting if not isinstance(results.approvals.get(call), ToolApproved)}
    # Answers are looked for behind the last response, so that what else is new has to stand before it.
    at = max(index for index, message in enumerate(base) if isinstance(message, ModelResponse))
    return Asked([*base[:at], *new, *base[at:]], prompt, results, answered)


def messages_of(
    items: Iterable[Wire | Mapping[str, Any]], *, provider: str | None = None
) -> tuple[list[ModelMessage], dict[str, str]]:
    """Return the messages that *items*, the history of a server, make, and the calls that wait for an approval.

    These are the ids of the calls, by the ids of the requests.

    Raises:
        RunFailed: a file cannot be given to the model.
    """
    reader = _Reader(provider, frozenset(), {})
    for item in items:
        reader.read(plain(item))
    return reader.messages, {request_id: request_id for request_id in reader.requested}


def waiting_calls(messages: Sequence[ModelMessage]) -> dict[str, ToolCallPart]:
    """Return the calls of the last response that wait for a result, by their ids.

    Those of a run that was cut short do not: the framework closes them itself.
    """
    answered: set[str] = set()
    for message in reversed(messages):
        if message.state == "interrupted":
            return {}
        if isinstance(message, ModelResponse):
            return {call.tool_call_id: call for call in message.tool_calls if call.tool_call_id not in answered}
        answered.update(part.tool_call_id for part in message.parts if isinstance(part, ToolReturnPart))
    return {}


def _names(messages: Iterable[ModelMessage]) -> dict[str, str]:
    return {
        call.tool_call_id: call.tool_name
        for message in messages
        if isinstance(message, ModelResponse)
        for call in message.tool_calls
    }


def _without_prompt(messages: list[ModelMessage]) -> tuple[list[ModelMessage], str | list[UserContent] | None]:
    """Take what the user says at the end off the messages: as the prompt of a run it is new, and not history."""
    if not messages or not isinstance(messages[-1], ModelRequest):
        return messages, None
    parts, prompt = list(messages[-1].parts), list[UserContent]()
    while parts and isinstance(parts[-1], UserPromptPart):
        content = cast("UserPromptPart", parts.pop()).content
        prompt[:0] = [content] if isinstance(content, str) else content
    rest = [*messages[:-1], ModelRequest(parts)] if parts else messages[:-1]
    return rest, (prompt[0] if len(prompt) == 1 and isinstance(prompt[0], str) else prompt or None)


@attrs.define(eq=False)
class _Reader:
    """Makes messages of items, one after the other."""

    provider: str | None
    # Results of these are answers to calls that wait, and not history.
    answerable: Set[str]
    names: dict[str, str]
    messages: list[ModelMessage] = attrs.field(factory=list, init=False)
    outputs: dict[str, Any] = attrs.field(factory=dict, init=False)
    approvals: dict[str, ToolApproved | ToolDenied] = attrs.field(factory=dict, init=False)
    requested: dict[str, ToolCallPart] = attrs.field(factory=dict, init=False)

    def read(self, item: Mapping[str, Any]) -> None:
        match item.get("type") or ("message" if "role" in item else None):
            case "message" | "output_message":
                self._message(item)
            case "reasoning":
                self._reasoning(item)
            case "function_call" | "custom_tool_call" as kind:
                arguments = item["arguments"] if kind == "function_call" else {"input": item["input"]}
                self._called(ToolCallPart(item["name"], arguments, item["call_id"]))
            case "function_call_output" | "custom_tool_call_output":
                self._returned(item.get("call_id") or "", self._output(item.get("output")))
            case "mcp_call":
                self._hosted(item)
            case "mcp_approval_request":
                call = ToolCallPart(item["name"], item["arguments"], item["id"])
                self.requested[item["id"]] = call
                self._called(call)
            case "mcp_approval_response":
                denied = ToolDenied(item["reason"]) if item.get("reason") else ToolDenied()
                self.approvals[item["approval_request_id"]] = ToolApproved() if item["approve"] else denied

    def _message(self, item: Mapping[str, Any]) -> None:
        content = item["content"]
        parts: list[Mapping[str, Any]] = [{"type": "text", "text": content}] if isinstance(content, str) else content
        texts = [text for part in parts if (text := part_text(part)) is not None]
        match item["role"]:
            case "assistant":
                for text in texts:
                    self._say(TextPart(text))
            case "system" | "developer":
                self._ask(SystemPromptPart("\n\n".join(texts)))
            case _:
                said = self._user_content(parts)
                self._ask(UserPromptPart(said[0] if len(said) == 1 and isinstance(said[0], str) else said))

    def _reasoning(self, item: Mapping[str, Any]) -> None:
        thoughts = item.get("summary") or item.get("content") or []
        sealed = item.get("encrypted_content")
        text = "\n\n".join(str(part.get("text") or "") for part in thoughts)
        if not self.provider or not sealed:
            self._say(ThinkingPart(text))
        else:
            self._say(ThinkingPart(text, id=item.get("id"), signature=sealed, provider_name=self.provider))

    def _hosted(self, item: Mapping[str, Any]) -> None:
        """Read a call of a tool that this server's agent has run itself, with its result."""
        for call_id, call in self.requested.items():
            # It is the call that was approved, told again.
            if call.tool_name == item["name"] and call.args_as_json_str() == item["arguments"]:
                del self.requested[call_id]
                break
        else:
            call_id = item["id"]
            self._called(ToolCallPart(item["name"], item["arguments"], call_id))
        failure = failure_text(item.get("error"))
        output = (item.get("output") or "") if failure is None else failure
        self._ask(ToolReturnPart(item["name"], output, call_id, outcome="success" if failure is None else "failed"))

    def _called(self, call: ToolCallPart) -> None:
        self.names[call.tool_call_id] = call.tool_name
        self._say(call)

    def _returned(self, call_id: str, output: Any) -> None:
        if call_id in self.answerable:
            self.outputs[call_id] = output
        else:
            self._ask(ToolReturnPart(self.names.get(call_id, "unknown"), output, call_id))

    def _output(self, output: Any) -> Any:
        if not isinstance(output, list):
            return output
        content = self._user_content(output)
        return content[0] if len(content) == 1 else content

    def _user_content(self, parts: Sequence[Mapping[str, Any]]) -> list[UserContent]:
        content: list[UserContent] = []
        for part in parts:
            if (text := part_text(part)) is not None:
                content.append(text)
                continue
            try:
                sent = attachment(part)
            except InvalidValue as error:
                raise RunFailed("invalid_prompt", f"A part of the input cannot be read: {error.reason}.") from error
            if sent is not None:
                content.append(self._attached(sent))
        return content

    def _attached(self, sent: Attachment) -> UserContent:
        details = {"detail": sent.detail} if sent.kind == "image" and sent.detail else None
        if sent.data is not None:
            return BinaryContent(sent.data, media_type=sent.media_type or "", vendor_metadata=details)
        if sent.url is not None:
            return _URLS[sent.kind](sent.url, media_type=sent.media_type, vendor_metadata=details)  # type: ignore[return-value]  # each of these is UserContent
        if self.provider not in _WITH_FILES:
            raise RunFailed("invalid_prompt", "Files cannot be named by their ids here; send their data or an address.")
        provider = cast("UploadedFileProviderName", self.provider)
        return UploadedFile(sent.file_id or "", provider, media_type=sent.media_type, vendor_metadata=details)

    def _say(self, part: ModelResponsePart) -> None:
        last = self.messages[-1] if self.messages else None
        if isinstance(last, ModelResponse):
            last.parts = [*last.parts, part]
        else:
            self.messages.append(ModelResponse([part]))

    def _ask(self, part: ModelRequestPart) -> None:
        last = self.messages[-1] if self.messages else None
        if isinstance(last, ModelRequest):
            last.parts = [*last.parts, part]
        else:
            self.messages.append(ModelRequest([part]))
