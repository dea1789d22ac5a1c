"""What a run of the Microsoft Agent Framework says, as contents.

Text and thoughts are passed on as they come. Calls of functions are too where the agent can only run them itself; where
some may wait for the client, a call is told when it is known what becomes of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import attrs
from agent_framework import AgentResponseUpdate, Message, UsageDetails, add_usage_details
from agent_framework import Content as Told

from responses_stream.agents.bridges.agent_framework_course import Call, Course
from responses_stream.agents.bridges.agent_framework_input import APPROVAL_PREFIX, Waiting
from responses_stream.agents.bridges.agent_framework_media import annotations_of, image_of, shell_output, text_of
from responses_stream.agents.contents import (
    ApprovalRequest,
    ApprovalResponse,
    CodeInterpreter,
    Content,
    FunctionCall,
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

__all__ = ["SaidError", "UpdateReader"]


class SaidError(Exception):
    """The agent's service has said an error in the place of an answer; its text is for the log."""


@attrs.define(eq=False)
class UpdateReader:
    """Translates the updates of one run.

    Attributes:
        before: what the turn before has left open.
        live: whether calls are told as they come, because no tool of the agent waits for anybody.
        sealed: whether the client wants the sealed form of thoughts.
        at_once: whether several agents may speak at the same time, so that it matters which of them does.
        waiting: what this turn leaves open.
        course: what the run has said and called.
        results: what calls of the turns before came to, by their ids.
        whole: whether the run has come to its end; whoever runs it says so.
    """

    before: Waiting
    live: bool = False
    sealed: bool = False
    at_once: bool = False
    waiting: Waiting = attrs.field(factory=Waiting, init=False)
    course: Course = attrs.field(factory=Course, init=False)
    results: dict[str, str] = attrs.field(factory=dict, init=False)
    whole: bool = attrs.field(default=False, init=False)
    _calls: dict[str, Call] = attrs.field(factory=dict, init=False)
    _code: dict[str, str] = attrs.field(factory=dict, init=False)
    _spent: UsageDetails | None = attrs.field(default=None, init=False)
    _finish: str | None = attrs.field(default=None, init=False)
    _named: bool = attrs.field(default=False, init=False)

    @property
    def usage(self) -> Usage:
        """What the run has spent so far."""
        spent: Mapping[str, Any] = self._spent or {}
        return Usage(
            spent.get("input_token_count") or 0,
            spent.get("output_token_count") or 0,
            spent.get("cache_read_input_token_count") or 0,
            spent.get("reasoning_output_token_count") or 0,
        )

    def read(self, update: AgentResponseUpdate) -> Iterator[Said]:
        """Yield what *update* says.

        Raises:
            SaidError: it says that the service has failed.
        """
        self._finish = update.finish_reason or self._finish
        if update.role in ("user", "system"):
            return
        speaker = update.author_name if self.at_once else None
        self.course.hear(speaker)
        given = getattr(update.raw_representation, "model", None)
        model = given if isinstance(given, str) else None
        contents = [said for content in update.contents for said in self._content(content, update)]
        # Of what an agent has done, a workflow tells no more than this.
        ends = self.at_once and (update.finish_reason is not None or isinstance(update.raw_representation, Message))
        if ends:
            self.course.pause()
        if contents or ends or (model is not None and not self._named):
            self._named = self._named or model is not None
            yield Update(contents, model, speaker, ends)

    def end(self) -> Iterator[Said]:
        """Yield what is left to say when the run has ended."""
        waits = bool(self.waiting.calls or self.waiting.approvals)
        for call_id, call in self._calls.items():
            if call.told:
                continue
            if call.hosted:
                yield self._tell(call_id, call)
            elif waits:
                # The framework runs it when those that wait are answered.
                self.waiting.approved[call_id] = [call.name, call.arguments]
            else:
                yield from self._ask_client(call_id, call)
        if self._finish in ("length", "content_filter"):
            yield Incomplete("max_output_tokens" if self._finish == "length" else "content_filter")

    def _content(self, content: Told, update: AgentResponseUpdate) -> Iterator[Content | Mapping[str, Any]]:
        if content.type not in ("text", "text_reasoning", "usage"):
            self.course.pause()
        match content.type:
            case "text":
                yield from self._text(content, update)
            case "text_reasoning":
                yield from self._thought(content)
            case "function_call":
                yield from self._called(content)
            case "function_result":
                yield from self._returned(content)
            case "function_approval_request":
                yield from self._approval(content)
            case "usage":
                details = content.usage_details or UsageDetails()
                # The framework's own sum of several requests stands for all that was told before.
                self._spent = details if content.merge_mode == "replace" else add_usage_details(self._spent, details)
            case "error":
                raise SaidError(f"{content.error_code}: {content.message} {content.error_details or ''}")
            case kind:
                if (translate := _OTHERS.get(kind)) is not None:
                    yield from translate(self, content)

    def _text(self, content: Told, update: AgentResponseUpdate) -> Iterator[Content]:
        properties = content.additional_properties
        refuses = (properties.get("core") or properties).get("model_output_kind") == "refusal"
        # A workflow has several agents speak, and one service does not number its messages.
        key = ("refusal" if refuses else "text", update.author_name, update.message_id)
        piece = self.course.piece(key, content.text or "", "replace" in (content.merge_mode, update.merge_mode))
        self.course.keep()
        if refuses:
            if piece:
                yield Refusal(piece)
            return
        notes = annotations_of(content.annotations or (), len(self.course.text))
        if piece or notes:
            yield Text(piece, notes, message_id=str(self.course.number))

    def _thought(self, content: Told) -> Iterator[Content]:
        properties = content.additional_properties
        raw = "reasoning_text" in properties or "reasoning_text" in (properties.get("openai") or {})
        key = ("raw" if raw else "summary", content.id, None)
        piece = self.course.piece(key, content.text or "", content.merge_mode == "replace")
        sealed = content.protected_data if self.sealed else None
        if piece or sealed:
            yield Reasoning(piece, summary=not raw, encrypted_content=sealed, reasoning_id=content.id)

    def _called(self, content: Told) -> Iterator[Content]:
        call_id = content.call_id or content.id or ""
        if (call := self._calls.get(call_id)) is None:
            self._calls[call_id] = call = self.course.call(call_id)
        call.name = call.name or content.name or ""
        call.hosted = call.hosted or bool(content.hosted) or content.informational_only
        call.server_name = call.server_name or content.server_name
        piece = _json(content.arguments)
        if content.merge_mode == "replace" and content.arguments is not None:
            piece = piece[len(call.arguments) :] if piece.startswith(call.arguments) else ""
        call.arguments += piece
        if content.user_input_request:
            yield from self._ask_client(call_id, call)
        elif self.live and call.name:
            if call.told:
                yield ToolCall(call_id, arguments=piece)
            else:
                yield self._tell(call_id, call)

    def _returned(self, content: Told) -> Iterator[Content]:
        call_id = content.call_id or ""
        told = text_of(content.items) or str(content.result or "")
        if (call := self._calls.get(call_id)) is None:
            self.results[call_id] = told
            if call_id not in self.before.approved:
                # Of a call that the user has refused; there was nothing to run.
                return
            name, arguments = self.before.approved[call_id]
            call = Call(call_id, name, arguments)
        call.result = told
        if not call.told:
            yield self._tell(call_id, call)
        # Not every model has an id of its own for each call of a run.
        self._calls.pop(call_id, None)
        if content.exception is None:
            yield ToolResult(call_id, told)
        else:
            yield ToolResult(call_id, error=told or "The tool failed.")

    def _approval(self, content: Told) -> Iterator[Content]:
        function, given = content.function_call, content.id or ""
        if function is None:
            return
        call = self._calls.pop(function.call_id or "", Call(""))
        name, arguments = function.name or call.name, _json(function.arguments) or call.arguments
        request_id = given if given.startswith(APPROVAL_PREFIX) else APPROVAL_PREFIX + given
        self.waiting.approvals[request_id] = content.to_dict()
        self.waiting.approved[function.call_id or ""] = [name, arguments]
        yield ApprovalRequest(request_id, name, arguments, function.server_name if function.hosted else None)

    def _ask_client(self, call_id: str, call: Call) -> Iterator[Content]:
        if call_id not in self.waiting.calls:
            call.told = True
            self.waiting.calls.append(call_id)
            yield FunctionCall(call_id, call.name, call.arguments or "{}")

    def _tell(self, call_id: str, call: Call) -> ToolCall:
        call.told = True
        return ToolCall(call_id, call.name, call.arguments, call.server_name)

    # What services run themselves.

    def _ran_code(self, content: Told) -> Iterator[Content]:
        call_id = content.call_id or "code"
        before = self._code.get(call_id, "")
        for one in content.inputs or ():
            text = one.text or ""
            if "replace" in (content.merge_mode, one.merge_mode):
                text = text[len(before) :] if text.startswith(before) else ""
            if text:
                self._code[call_id] = before = before + text
                yield CodeInterpreter(call_id, text)

    def _code_came_to(self, content: Told) -> Iterator[Content]:
        outputs: list[dict[str, Any]] = []
        for one in content.outputs or ():
            if one.type == "text":
                outputs.append({"type": "logs", "logs": one.text or ""})
            elif one.uri:
                outputs.append({"type": "image", "url": one.uri})
        yield CodeInterpreter(content.call_id or "code", outputs=outputs)

    def _image(self, content: Told) -> Iterator[Content]:
        made, partial = image_of(content.outputs)
        if made is not None and partial:
            yield Image(content.image_id or "image", partial=made)
        elif made is not None:
            yield Image(content.image_id or "image", result=made)

    def _tool(self, content: Told) -> Iterator[Content]:
        call_id = content.call_id or ""
        call = Call(call_id, content.tool_name or "tool", _json(content.arguments), content.server_name, hosted=True)
        if call_id not in self._calls:
            self._calls[call_id] = call
            yield self._tell(call_id, call)

    def _tool_came_to(self, content: Told) -> Iterator[Content]:
        result = content.output if content.output is not None else content.items or content.result
        yield ToolResult(content.call_id or "", text_of(result))

    def _computer(self, content: Told) -> Iterator[Content]:
        yield ToolCall(content.call_id or "", "computer", json.dumps({"actions": content.actions or []}))

    def _computer_came_to(self, content: Told) -> Iterator[Content]:
        yield ToolResult(content.call_id or "", text_of([content.screenshot] if content.screenshot else None))

    def _shell(self, content: Told) -> Iterator[Content]:
        yield Shell(content.call_id or "shell", content.commands or [])

    def _shell_came_to(self, content: Told) -> Iterator[Content]:
        yield ShellResult(content.call_id or "shell", [shell_output(one) for one in content.outputs or ()])

    def _media(self, content: Told) -> Iterator[Content]:
        if content.uri:
            yield Media(content.uri, content.media_type, getattr(content, "name", None))

    def _file(self, content: Told) -> Iterator[Content]:
        found = content.file_id or content.vector_store_id
        if found:
            yield Media(found, content.media_type, getattr(content, "name", None))

    def _answered(self, content: Told) -> Iterator[Content]:
        given = content.id or ""
        request_id = given if given.startswith(APPROVAL_PREFIX) else APPROVAL_PREFIX + given
        yield ApprovalResponse(request_id, bool(content.approved))

    def _consent(self, content: Told) -> Iterator[Mapping[str, Any]]:
        link = content.consent_link or ""
        yield {"type": "oauth_consent_request", "consent_link": link, "server_label": content.server_name or "agent"}


_OTHERS: Final[Mapping[str, Callable[[UpdateReader, Told], Iterator[Content | Mapping[str, Any]]]]] = {
    "code_interpreter_tool_call": UpdateReader._ran_code,
    "code_interpreter_tool_result": UpdateReader._code_came_to,
    "image_generation_tool_result": UpdateReader._image,
    "mcp_server_tool_call": UpdateReader._tool,
    "mcp_server_tool_result": UpdateReader._tool_came_to,
    "search_tool_call": UpdateReader._tool,
    "search_tool_result": UpdateReader._tool_came_to,
    "shell_tool_call": UpdateReader._shell,
    "shell_tool_result": UpdateReader._shell_came_to,
    "computer_tool_call": UpdateReader._computer,
    "computer_tool_result": UpdateReader._computer_came_to,
    "data": UpdateReader._media,
    "uri": UpdateReader._media,
    "hosted_file": UpdateReader._file,
    "hosted_vector_store": UpdateReader._file,
    "function_approval_response": UpdateReader._answered,
    "oauth_consent_request": UpdateReader._consent,
}


def _json(arguments: str | Mapping[str, Any] | None) -> str:
    if arguments is None or isinstance(arguments, str):
        return arguments or ""
    return json.dumps(arguments)
