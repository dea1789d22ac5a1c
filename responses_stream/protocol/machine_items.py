"""Items of machines: computers, shells, and patches of files (items.md sections 3.15 to 3.22 and 7)."""

from __future__ import annotations

from typing import Any, TypeAlias

from msgspec import UNSET, UnsetType

from responses_stream.protocol.base import Item, Tagged, UnknownObject, Wire
from responses_stream.protocol.hosted_items import Caller
from responses_stream.protocol.parts import ComputerScreenshot


class SafetyCheck(Wire, frozen=True):
    """Something to confirm before a computer action is done."""

    id: str
    code: str | None | UnsetType = UNSET
    message: str | None | UnsetType = UNSET


class Point(Wire, frozen=True):
    """A place on the screen, in pixels."""

    x: int
    y: int


class ActionClick(Tagged, frozen=True, tag="click"):
    """Click with a button."""

    button: str
    x: int
    y: int
    keys: list[str] | None | UnsetType = UNSET


class ActionDoubleClick(Tagged, frozen=True, tag="double_click"):
    """Click twice."""

    x: int
    y: int
    keys: list[str] | None | UnsetType = None


class ActionDrag(Tagged, frozen=True, tag="drag"):
    """Drag along a path."""

    path: list[Point]
    keys: list[str] | None | UnsetType = UNSET


class ActionKeypress(Tagged, frozen=True, tag="keypress"):
    """Press keys together."""

    keys: list[str]


class ActionMove(Tagged, frozen=True, tag="move"):
    """Move the pointer."""

    x: int
    y: int
    keys: list[str] | None | UnsetType = UNSET


class ActionScreenshot(Tagged, frozen=True, tag="screenshot"):
    """Take a picture of the screen."""


class ActionScroll(Tagged, frozen=True, tag="scroll"):
    """Scroll at a place."""

    x: int
    y: int
    scroll_x: int
    scroll_y: int
    keys: list[str] | None | UnsetType = UNSET


class ActionType(Tagged, frozen=True, tag="type"):
    """Type text."""

    text: str


class ActionWait(Tagged, frozen=True, tag="wait"):
    """Wait."""


ComputerAction: TypeAlias = (
    ActionClick
    | ActionDoubleClick
    | ActionDrag
    | ActionKeypress
    | ActionMove
    | ActionScreenshot
    | ActionScroll
    | ActionType
    | ActionWait
    | UnknownObject
)


class ResponseComputerToolCall(Item, frozen=True, tag="computer_call"):
    """An action on a screen: `action` for the preview tool, `actions` for the newer one."""

    id: str
    call_id: str
    status: str
    pending_safety_checks: list[SafetyCheck]
    action: ComputerAction | UnsetType = UNSET
    actions: list[ComputerAction] | UnsetType = UNSET


class ResponseComputerToolCallOutputItem(Item, frozen=True, tag="computer_call_output"):
    """A screenshot after the action."""

    call_id: str
    output: ComputerScreenshot | UnknownObject
    id: str | None | UnsetType = UNSET
    status: str | None | UnsetType = UNSET
    acknowledged_safety_checks: list[SafetyCheck] | None | UnsetType = UNSET
    created_by: str | UnsetType = UNSET


class LocalShellCallAction(Tagged, frozen=True, tag="exec"):
    """One command for the client to run."""

    command: list[str]
    env: dict[str, str]
    timeout_ms: int | None | UnsetType = UNSET
    user: str | None | UnsetType = UNSET
    working_directory: str | None | UnsetType = UNSET


class LocalShellCall(Item, frozen=True, tag="local_shell_call"):
    """A command of the older local shell tool."""

    id: str
    call_id: str
    status: str
    action: LocalShellCallAction | UnknownObject


class LocalShellCallOutput(Item, frozen=True, tag="local_shell_call_output"):
    """What the local shell printed; *output* is JSON in a string, *id* is that of the call."""

    id: str
    output: str
    status: str | None | UnsetType = UNSET


class ShellAction(Wire, frozen=True):
    """Commands for a shell, and its limits (milliseconds, characters)."""

    commands: list[str]
    timeout_ms: int | None | UnsetType = UNSET
    max_output_length: int | None | UnsetType = UNSET


class LocalEnvironment(Tagged, frozen=True, tag="local"):
    """The client's own machine."""

    skills: list[Any] | None | UnsetType = UNSET


class ContainerReference(Tagged, frozen=True, tag="container_reference"):
    """A hosted container."""

    container_id: str


ShellEnvironment: TypeAlias = LocalEnvironment | ContainerReference | UnknownObject


class ResponseFunctionShellToolCall(Item, frozen=True, tag="shell_call"):
    """Commands to run in a shell. `id`, `status` and `environment` may be absent in input."""

    call_id: str
    action: ShellAction
    id: str | None | UnsetType = UNSET
    status: str | None | UnsetType = UNSET
    environment: ShellEnvironment | None | UnsetType = None
    caller: Caller | None | UnsetType = UNSET
    created_by: str | UnsetType = UNSET


class OutcomeExit(Tagged, frozen=True, tag="exit"):
    """The command ended."""

    exit_code: int


class OutcomeTimeout(Tagged, frozen=True, tag="timeout"):
    """The command took too long."""


ShellOutcome: TypeAlias = OutcomeExit | OutcomeTimeout | UnknownObject


class ShellCallOutputContent(Wire, frozen=True):
    """What one command printed, and how it ended."""

    stdout: str
    stderr: str
    outcome: ShellOutcome
    created_by: str | UnsetType = UNSET


class ResponseFunctionShellToolCallOutput(Item, frozen=True, tag="shell_call_output"):
    """The output of shell commands. `id` and `status` may be absent in input."""

    call_id: str
    output: list[ShellCallOutputContent]
    id: str | None | UnsetType = UNSET
    status: str | None | UnsetType = UNSET
    max_output_length: int | None | UnsetType = None
    caller: Caller | None | UnsetType = UNSET
    created_by: str | UnsetType = UNSET


class OperationCreateFile(Tagged, frozen=True, tag="create_file"):
    """Create a file; *diff* is its content as a diff."""

    path: str
    diff: str


class OperationUpdateFile(Tagged, frozen=True, tag="update_file"):
    """Change a file by a diff."""

    path: str
    diff: str


class OperationDeleteFile(Tagged, frozen=True, tag="delete_file"):
    """Delete a file."""

    path: str


PatchOperation: TypeAlias = OperationCreateFile | OperationUpdateFile | OperationDeleteFile | UnknownObject


class ResponseApplyPatchToolCall(Item, frozen=True, tag="apply_patch_call"):
    """A file to create, change or delete. `id` may be absent in input."""

    call_id: str
    status: str
    operation: PatchOperation
    id: str | None | UnsetType = UNSET
    caller: Caller | None | UnsetType = UNSET
    created_by: str | UnsetType = UNSET


class ResponseApplyPatchToolCallOutput(Item, frozen=True, tag="apply_patch_call_output"):
    """Whether the patch was applied. `id` may be absent in input."""

    call_id: str
    status: str
    id: str | None | UnsetType = UNSET
    output: str | None | UnsetType = UNSET
    caller: Caller | None | UnsetType = UNSET
    created_by: str | UnsetType = UNSET
