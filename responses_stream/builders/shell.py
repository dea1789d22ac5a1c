"""The builders of shells and patches: commands, what they printed, and changes of files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import attrs
import msgspec

from responses_stream import lifecycle
from responses_stream.builders import values
from responses_stream.builders.item import FinalStatus, ItemBuilder, StringItemBuilder
from responses_stream.builders.part import PartBuilder
from responses_stream.builders.streamed import confirmed, joined
from responses_stream.builders.values import or_unset
from responses_stream.errors import InvalidValue
from responses_stream.protocol.events import ResponseOutputItemDoneEvent
from responses_stream.protocol.hosted_items import (
    Caller,
)
from responses_stream.protocol.machine_items import (
    OperationCreateFile,
    OperationUpdateFile,
    OutcomeExit,
    PatchOperation,
    ResponseApplyPatchToolCall,
    ResponseFunctionShellToolCall,
    ResponseFunctionShellToolCallOutput,
    ShellAction,
    ShellCallOutputContent,
    ShellEnvironment,
    ShellOutcome,
)
from responses_stream.protocol.tool_events import (
    ResponseApplyPatchCallOperationDiffDeltaEvent,
    ResponseApplyPatchCallOperationDiffDoneEvent,
    ResponseShellCallCommandAddedEvent,
    ResponseShellCallCommandDeltaEvent,
    ResponseShellCallCommandDoneEvent,
    ResponseShellCallOutputContentDeltaEvent,
    ResponseShellCallOutputContentDoneEvent,
    ShellOutputDelta,
)


@attrs.define(eq=False, repr=False)
class ShellCommandBuilder(PartBuilder):
    """One command of a shell call in the making (R157)."""

    part_type: ClassVar[str] = "command"
    member: ClassVar[str] = "action.commands"

    @property
    def command(self) -> str:
        """The command so far."""
        return joined(self._pieces)

    def emit_added(self) -> ResponseShellCallCommandAddedEvent:
        """Begin the command, empty. Raises `OutOfOrder` when it has begun, or its call is not open."""
        self._begin("response.shell_call_command.added")
        return ResponseShellCallCommandAddedEvent(
            sequence_number=self._core.next_number(),
            output_index=self._output_index,
            command_index=self._index,
            command="",
        )

    def emit_delta(self, delta: str) -> ResponseShellCallCommandDeltaEvent:
        """Say a piece of the command.

        Raises:
            InvalidType: *delta* is not a string.
            InvalidValue: *delta* holds a lone surrogate.
            OutOfOrder: the command has not begun, or is done.
        """
        delta = values.text("delta", delta)
        self._state = self._step("response.shell_call_command.delta")
        self._pieces.append(delta)
        return ResponseShellCallCommandDeltaEvent(
            sequence_number=self._core.next_number(),
            output_index=self._output_index,
            command_index=self._index,
            delta=delta,
        )

    def emit_done(self, command: str | None = None) -> ResponseShellCallCommandDoneEvent:
        """End the command: what the deltas said.

        Raises:
            OutOfOrder: *command* is not what the deltas said (R157), or it is not open.
        """
        name = "response.shell_call_command.done"
        state = self._step(name)
        whole = confirmed(self._pieces, command, name, str(self), "R157")
        self._state = state
        return ResponseShellCallCommandDoneEvent(
            sequence_number=self._core.next_number(),
            output_index=self._output_index,
            command_index=self._index,
            command=whole,
        )


@attrs.define(eq=False, repr=False)
class ShellCallBuilder(ItemBuilder):
    """A shell call in the making: one or several commands."""

    item_type: ClassVar[str] = "shell_call"

    _call_id: str
    _environment: ShellEnvironment | None = None
    _timeout_ms: int | None = None
    _max_output_length: int | None = None
    _caller: Caller | None = None

    @property
    def call_id(self) -> str:
        """What the client answers to."""
        return self._call_id

    def _snapshot(self, status: str | None) -> ResponseFunctionShellToolCall:
        return ResponseFunctionShellToolCall(
            id=self._item_id,
            call_id=self._call_id,
            status=status,
            action=ShellAction(
                commands=[command.command for command in self._parts_of("action.commands", ShellCommandBuilder)],
                timeout_ms=self._timeout_ms,
                max_output_length=self._max_output_length,
            ),
            environment=self._environment,
            caller=or_unset(self._caller),
        )

    def add_command(self) -> ShellCommandBuilder:
        """Return the builder of a command; its own `emit_added` begins it."""
        return ShellCommandBuilder(self)

    def emit_done(self, *, status: FinalStatus = "completed") -> ResponseOutputItemDoneEvent:
        """End the call.

        Raises:
            OutOfOrder: it is not open, a command is, or it is incomplete and not the last item (R059).
        """
        return self._finish(status)


@attrs.define(eq=False, repr=False)
class ShellOutputBuilder(PartBuilder):
    """What one command printed, in the making (R158). It begins with its first event."""

    part_type: ClassVar[str] = "command output"
    member: ClassVar[str] = "output"

    _errors: list[str] = attrs.field(init=False, factory=list)
    _content: list[ShellCallOutputContent] = attrs.field(init=False, factory=list)

    @property
    def content(self) -> list[ShellCallOutputContent]:
        """What `emit_done` said."""
        return list(self._content)

    def emit_delta(self, *, stdout: str = "", stderr: str = "") -> ResponseShellCallOutputContentDeltaEvent:
        """Say what was printed since, on either channel.

        Raises:
            InvalidType: an argument is not a string.
            InvalidValue: an argument holds a lone surrogate, or both are empty.
            OutOfOrder: the output is done.
        """
        stdout, stderr = values.text("stdout", stdout), values.text("stderr", stderr)
        if not stdout and not stderr:
            raise InvalidValue("stdout", "is empty, and so is stderr: there is nothing to say")
        self._enter("response.shell_call_output_content.delta")
        self._pieces.append(stdout)
        self._errors.append(stderr)
        return ResponseShellCallOutputContentDeltaEvent(
            sequence_number=self._core.next_number(),
            item_id=self._item_id,
            output_index=self._output_index,
            command_index=self._index,
            delta=ShellOutputDelta(stdout=or_unset(stdout or None), stderr=or_unset(stderr or None)),
        )

    def emit_done(self, outcome: ShellOutcome | Mapping[str, Any] | int = 0) -> ResponseShellCallOutputContentDoneEvent:
        """Say all that was printed, and how the command ended.

        Args:
            outcome: the exit code, or a `ShellOutcome`.

        Raises:
            InvalidType, InvalidValue: the outcome does not fit.
            OutOfOrder: the output is done.
        """
        ended: ShellOutcome
        if isinstance(outcome, int):
            ended = OutcomeExit(exit_code=values.integer("outcome", outcome))
        else:
            ended = values.one_of("outcome", outcome, ShellOutcome, "outcome")
        self._enter("response.shell_call_output_content.done")
        printed = ShellCallOutputContent(stdout=joined(self._pieces), stderr=joined(self._errors), outcome=ended)
        self._content = [printed]
        return ResponseShellCallOutputContentDoneEvent(
            sequence_number=self._core.next_number(),
            item_id=self._item_id,
            output_index=self._output_index,
            command_index=self._index,
            output=[printed],
        )

    def _enter(self, name: str) -> None:
        if self._index < 0:
            self._begin(name)
        else:
            self._state = self._step(name)


@attrs.define(eq=False, repr=False)
class ShellCallOutputBuilder(ItemBuilder):
    """The output of a shell call in the making."""

    item_type: ClassVar[str] = "shell_call_output"

    _call_id: str
    _max_output_length: int | None = None
    _caller: Caller | None = None

    @property
    def call_id(self) -> str:
        """The shell call whose output it is."""
        return self._call_id

    def _snapshot(self, status: str | None) -> ResponseFunctionShellToolCallOutput:
        return ResponseFunctionShellToolCallOutput(
            id=self._item_id,
            call_id=self._call_id,
            status=status,
            max_output_length=self._max_output_length,
            output=[entry for output in self._parts_of("output", ShellOutputBuilder) for entry in output.content],
            caller=or_unset(self._caller),
        )

    def add_output(self) -> ShellOutputBuilder:
        """Return the builder of what the next command printed; its first event begins it."""
        return ShellOutputBuilder(self)

    def emit_done(self, *, status: FinalStatus = "completed") -> ResponseOutputItemDoneEvent:
        """End the item.

        Raises:
            OutOfOrder: it is not open, an output is, or it is incomplete and not the last item (R059).
        """
        return self._finish(status)


@attrs.define(eq=False, repr=False)
class ApplyPatchCallBuilder(StringItemBuilder):
    """A change of a file in the making; the diff of `create_file` and `update_file` may be streamed."""

    item_type: ClassVar[str] = "apply_patch_call"

    _call_id: str
    _operation: PatchOperation
    _caller: Caller | None = None
    _whole_diff: str | None = attrs.field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        if isinstance(self._operation, OperationCreateFile | OperationUpdateFile):
            # R070: the item begins with an empty diff; what was given is said by `emit_done`, or by deltas before.
            self._whole_diff = self._operation.diff
            self._operation = msgspec.structs.replace(self._operation, diff="")

    @property
    def grammar(self) -> lifecycle.Grammar:
        """What may happen inside it: where there is no diff, none is streamed (R160)."""
        return super().grammar if self._whole_diff is not None else lifecycle.WITHOUT_DIFF

    @property
    def call_id(self) -> str:
        """What the client answers to."""
        return self._call_id

    def _snapshot(self, status: str | None) -> ResponseApplyPatchToolCall:
        return ResponseApplyPatchToolCall(
            id=self._item_id,
            call_id=self._call_id,
            status=status or "in_progress",
            operation=self._operation,
            caller=or_unset(self._caller),
        )

    def emit_diff_delta(self, delta: str) -> ResponseApplyPatchCallOperationDiffDeltaEvent:
        """Say a piece of the diff.

        Raises:
            InvalidType: *delta* is not a string.
            InvalidValue: *delta* holds a lone surrogate.
            OutOfOrder: the operation has no diff (R160), the call is not open, or its diff is done (R140).
        """
        return self._delta_event(ResponseApplyPatchCallOperationDiffDeltaEvent, delta)

    def emit_diff_done(self, diff: str | None = None) -> ResponseApplyPatchCallOperationDiffDoneEvent:
        """Say the whole diff: what the deltas said.

        Raises:
            OutOfOrder: *diff* is not what the deltas said (R141), the operation has no diff (R160), or it was done.
        """
        whole = self._whole(ResponseApplyPatchCallOperationDiffDoneEvent, diff)
        self._whole_diff = whole
        return ResponseApplyPatchCallOperationDiffDoneEvent(
            sequence_number=self._core.next_number(), item_id=self._item_id, output_index=self._index, diff=whole
        )

    def emit_done(self, *, status: Literal["completed"] = "completed") -> ResponseOutputItemDoneEvent:
        """End the call, with the diff that was streamed or, where none was, the one that it was made with.

        Raises:
            OutOfOrder: it is not open, or its diff was begun and is not done.
        """
        if self._whole_diff is None:
            return self._finish(status)
        return self._finish(status, operation=msgspec.structs.replace(self._operation, diff=self._whole_diff))
