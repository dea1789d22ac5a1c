"""What a request says, as the messages of the Microsoft Agent Framework.

Results of functions and answers to approval requests come first, because the framework goes on where it has waited
for them. What the turn before waits for and nobody has answered is answered here, so that no call of its history stays
open.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import attrs
from agent_framework import Content, Message

from responses_stream.agents.bridges.asked import plain
from responses_stream.agents.bridges.input_parts import Attachment, attachment, failure_text, part_text
from responses_stream.agents.rendering import RunFailed
from responses_stream.errors import InvalidValue
from responses_stream.protocol.base import Wire

__all__ = ["APPROVAL_PREFIX", "Waiting", "messages_of"]

APPROVAL_PREFIX: Final = "mcpr_"
"""What the id of an approval request begins with, on the wire."""

_UNANSWERED: Final = "The user went on without an answer to this call."
_MEDIA_TYPES: Final = {"image": "image/*", "audio": "audio/*", "video": "video/*", "file": "application/octet-stream"}


@attrs.define(eq=False)
class Waiting:
    """What a turn has left open, as JSON values.

    Attributes:
        calls: functions that the client has to answer, by the ids of the calls.
        approvals: requests for approval as the framework has them, by their ids on the wire.
        approved: name and arguments of the calls that the framework makes once what waits is answered, by their ids.
    """

    calls: list[str] = attrs.field(factory=list)
    approvals: dict[str, dict[str, Any]] = attrs.field(factory=dict)
    approved: dict[str, list[str]] = attrs.field(factory=dict)


def messages_of(items: Iterable[Wire | Mapping[str, Any]], waiting: Waiting) -> list[Message]:
    """Return the messages that *items* make, behind the answers to what waits.

    Calls that are refused are taken off those that *waiting* has as approved.

    Raises:
        RunFailed: an answer names no approval request that waits, or a part of the input cannot be read.
    """
    reader = _Reader(waiting)
    for item in items:
        reader.read(plain(item))
    return reader.messages()


@attrs.define(eq=False)
class _Reader:
    waiting: Waiting
    results: dict[str, Content] = attrs.field(factory=dict, init=False)
    approvals: dict[str, Content] = attrs.field(factory=dict, init=False)
    said: list[Message] = attrs.field(factory=list, init=False)

    def messages(self) -> list[Message]:
        unanswered = [call for call in self.waiting.calls if call not in self.results]
        results = [Content.from_function_result(call, result=_UNANSWERED) for call in unanswered]
        results.extend(self.results.values())
        for request_id, request in self.waiting.approvals.items():
            if request_id not in self.approvals:
                self.approvals[request_id] = Content.from_dict(request).to_function_approval_response(False)
        for answer in self.approvals.values():
            if not answer.approved and answer.function_call is not None:
                self.waiting.approved.pop(answer.function_call.call_id or "", None)
        answers = [Message("tool", results)] if results else []
        if self.approvals:
            answers.append(Message("user", list(self.approvals.values())))
        return answers + self.said

    def read(self, item: Mapping[str, Any]) -> None:
        match item.get("type") or ("message" if "role" in item else None):
            case "message" | "output_message":
                role = item["role"]
                content = item["content"]
                parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
                self._say("system" if role == "developer" else role, list(_contents(parts)))
            case "reasoning":
                thoughts = item.get("summary") or item.get("content") or []
                text = "\n\n".join(str(part.get("text") or "") for part in thoughts)
                sealed = item.get("encrypted_content")
                thought = Content.from_text_reasoning(id=item.get("id"), text=text, protected_data=sealed)
                self._say("assistant", [thought])
            case "function_call" | "custom_tool_call" as kind:
                arguments = item["arguments"] if kind == "function_call" else json.dumps({"input": item["input"]})
                self._say("assistant", [Content.from_function_call(item["call_id"], item["name"], arguments=arguments)])
            case "function_call_output" | "custom_tool_call_output":
                self._returned(item.get("call_id") or "", item.get("output"))
            case "mcp_call":
                call = Content.from_function_call(item["id"], item["name"], arguments=item["arguments"])
                self._say("assistant", [call])
                told = failure_text(item.get("error")) or item.get("output") or ""
                self._say("tool", [Content.from_function_result(item["id"], result=told)])
            case "mcp_approval_response":
                self._approved(item["approval_request_id"], item["approve"])

    def _returned(self, call_id: str, output: Any) -> None:
        given = list(_contents(output)) if isinstance(output, list) else output
        result = Content.from_function_result(call_id, result=given)
        if call_id in self.waiting.calls:
            self.results[call_id] = result
        elif call_id not in self.waiting.approved:  # a result of the client's does not make up for an approval
            self._say("tool", [result])

    def _approved(self, request_id: str, approve: bool) -> None:
        request = self.waiting.approvals.get(request_id)
        if request is None:
            # What the client itself says that it was asked is not believed: it could have any tool run so.
            raise RunFailed("invalid_prompt", f"No approval request {request_id!r} waits for an answer.")
        self.approvals[request_id] = Content.from_dict(request).to_function_approval_response(approve)

    def _say(self, role: str, contents: list[Content]) -> None:
        last = self.said[-1] if self.said else None
        # Calls that were made at the same time are one message, and so are their results.
        if last is not None and last.role == role and role in ("assistant", "tool"):
            last.contents.extend(contents)
        else:
            self.said.append(Message(role, contents))


def _contents(parts: Sequence[Mapping[str, Any]]) -> Iterator[Content]:
    for part in parts:
        if (text := part_text(part)) is not None:
            yield Content.from_text(text)
            continue
        try:
            sent = attachment(part)
        except InvalidValue as error:
            raise RunFailed("invalid_prompt", f"A part of the input cannot be read: {error.reason}.") from error
        if sent is not None:
            yield _attached(sent)


def _attached(sent: Attachment) -> Content:
    media_type = sent.media_type or _MEDIA_TYPES[sent.kind]
    # Where the framework's client for the Responses API looks for it.
    detail = {"openai": {"image_detail": sent.detail}} if sent.detail else None
    if sent.data is not None:
        return Content.from_data(sent.data, media_type, name=sent.name, additional_properties=detail)
    if sent.url is not None:
        return Content.from_uri(sent.url, media_type=media_type, name=sent.name, additional_properties=detail)
    return Content.from_hosted_file(sent.file_id or "", media_type=media_type, name=sent.name)
