"""What an agent says, in words of no framework: a stream of contents, which `render_stream` makes into events.

A bridge translates what its framework yields into these, and an agent of one's own yields them itself. Each is a piece:
pieces of text that follow each other are one message, pieces of a call have its `call_id` in common.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import attrs

from responses_stream.protocol.hosted_items import CodeInterpreterOutput
from responses_stream.protocol.items import MessagePhase, OutputItem
from responses_stream.protocol.machine_items import ShellCallOutputContent
from responses_stream.protocol.parts import ContentPart, Logprob, TextAnnotation

__all__ = [
    "ApprovalRequest",
    "ApprovalResponse",
    "CodeInterpreter",
    "Content",
    "FunctionCall",
    "FunctionResult",
    "Image",
    "Incomplete",
    "Media",
    "Reasoning",
    "Refusal",
    "Result",
    "Said",
    "Shell",
    "ShellResult",
    "Text",
    "ToolCall",
    "ToolResult",
    "Update",
    "Usage",
]


@attrs.frozen
class Text:
    """A piece of the answer.

    Attributes:
        text: what is said; may be empty where only annotations come.
        annotations: citations within the text of its message so far, as the protocol has them.
        logprobs: log probabilities of the tokens of this piece.
        phase: whether its message is commentary or the final answer; the first piece of a message decides.
        message_id: pieces with different ids are different messages, one after the other; None goes on with the
            message that is open. Messages that come at the same time have an `Update.speaker` each.
    """

    text: str
    annotations: Sequence[TextAnnotation | Mapping[str, Any]] = ()
    logprobs: Sequence[Logprob | Mapping[str, Any]] = ()
    phase: MessagePhase | None = None
    message_id: str | None = None


@attrs.frozen
class Refusal:
    """A piece of the model's refusal."""

    refusal: str


@attrs.frozen
class Reasoning:
    """A piece of thinking.

    Attributes:
        text: what was thought; may be empty where only the sealed form comes.
        summary: whether it is of the summary, and not of the raw thoughts.
        encrypted_content: the sealed form of the whole, to be sent back by the client.
        reasoning_id: pieces with different ids are different items; None goes on with the one that is open.
        begins: whether a new part of the summary begins with it.
    """

    text: str = ""
    summary: bool = False
    encrypted_content: str | None = None
    reasoning_id: str | None = None
    begins: bool = False


@attrs.frozen
class FunctionCall:
    """A call that the *client* has to answer, or a piece of its arguments.

    Attributes:
        call_id: what the answer will name; pieces of one call have it in common.
        name: the function; needed in the first piece.
        arguments: JSON, or a piece of it.
        custom: whether it is a custom tool, whose arguments are free text.
    """

    call_id: str
    name: str = ""
    arguments: str = ""
    custom: bool = False


@attrs.frozen
class FunctionResult:
    """The answer to a `FunctionCall`, where the agent knows it.

    Attributes:
        output: text, or parts of content.
        custom: whether the call was one of a custom tool.
    """

    call_id: str
    output: str | Sequence[ContentPart | Mapping[str, Any]]
    custom: bool = False


@attrs.frozen
class ToolCall:
    """A call of a tool that the *agent* runs itself, or a piece of its arguments; the client has nothing to do.

    Attributes:
        call_id: pieces of one call, and its `ToolResult`, have it in common.
        name: the tool; needed in the first piece.
        arguments: JSON, or a piece of it.
        server_label: whose tool it is; None stands for the agent.
    """

    call_id: str
    name: str = ""
    arguments: str = ""
    server_label: str | None = None


@attrs.frozen
class ToolResult:
    """What a `ToolCall` came to.

    Attributes:
        output: what it returned.
        error: what a client may know of its failure, where it failed.
    """

    call_id: str
    output: str = ""
    error: str | None = None


@attrs.frozen
class CodeInterpreter:
    """Code that the model had run, or a piece of it.

    Attributes:
        call_id: pieces of one run have it in common.
        code: the code, or a piece of it.
        outputs: what came of it; ends the run.
        container_id: where it ran.
    """

    call_id: str
    code: str = ""
    outputs: Sequence[CodeInterpreterOutput | Mapping[str, Any]] | None = None
    container_id: str = ""


@attrs.frozen
class Image:
    """An image that was made, or a first idea of it.

    Attributes:
        call_id: its partial forms and the whole have it in common.
        result: the image in base64; ends it.
        partial: an image in base64 that shows how far it is.
    """

    call_id: str
    result: str | None = None
    partial: str | None = None


@attrs.frozen
class Shell:
    """Commands for a shell."""

    call_id: str
    commands: Sequence[str]


@attrs.frozen
class ShellResult:
    """What the commands of a `Shell` printed, an entry for each."""

    call_id: str
    output: Sequence[ShellCallOutputContent | Mapping[str, Any]]


@attrs.frozen
class ApprovalRequest:
    """The agent asks whether it may call a tool; the client answers in its next request, with `mcp_approval_response`.

    Attributes:
        request_id: what the answer will name.
        name: the tool.
        arguments: JSON.
        server_label: whose tool it is; None stands for the agent.
    """

    request_id: str
    name: str
    arguments: str
    server_label: str | None = None


@attrs.frozen
class ApprovalResponse:
    """An answer to an `ApprovalRequest` that the agent has had otherwise."""

    request_id: str
    approve: bool
    reason: str | None = None


@attrs.frozen
class Media:
    """Something to look at or to listen to.

    Attributes:
        uri: where it is, or a data URL that holds it.
        media_type: such as ``image/png``.
        name: what to call it.
    """

    uri: str
    media_type: str | None = None
    name: str | None = None


@attrs.frozen
class Usage:
    """Tokens that were spent; several add up."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0


@attrs.frozen
class Incomplete:
    """The agent had to stop early; nothing may follow.

    Attributes:
        reason: ``max_output_tokens``, ``content_filter``, or another.
    """

    reason: str = "max_output_tokens"


Content: TypeAlias = (
    Text
    | Refusal
    | Reasoning
    | FunctionCall
    | FunctionResult
    | ToolCall
    | ToolResult
    | CodeInterpreter
    | Image
    | Shell
    | ShellResult
    | ApprovalRequest
    | ApprovalResponse
    | Media
    | Usage
    | Incomplete
)
"""A piece of what an agent says."""


@attrs.frozen
class Update:
    """Several pieces at once, and who says them.

    Attributes:
        contents: the pieces, in order; may be none.
        model: the model that they come from, where that is known.
        speaker: who of those that speak at the same time says them, by a name of your choice that no client sees. What
            one says does not end what another is saying: each text, thought and call stays whole. None is the agent
            as a whole, which anybody interrupts.
        ends: whether the speaker has said all of what it was saying. Whoever began later waits for that (R084); the
            speaker may go on with something else.
    """

    contents: Sequence[Content | OutputItem | Mapping[str, Any] | str]
    model: str | None = None
    speaker: str | None = None
    ends: bool = False


Said: TypeAlias = str | Content | Update | OutputItem | Mapping[str, Any]
"""What an agent may yield: a piece of text, any content, several, or an output item of the protocol as it is."""


@attrs.frozen
class Result:
    """All that an agent said in one turn.

    Attributes:
        said: in order.
        model: the model that it came from, where that is known.
    """

    said: Sequence[Said] = ()
    model: str | None = None
