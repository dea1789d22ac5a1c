"""The builders of hosted tools: file search, web search, code interpreter, image generation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Literal

import attrs
import msgspec

from responses_stream.builders import values
from responses_stream.builders.item import ItemBuilder, StringItemBuilder, ToolStatus
from responses_stream.builders.streamed import joined
from responses_stream.builders.values import or_unset
from responses_stream.errors import InvalidType, InvalidValue
from responses_stream.protocol.events import ResponseOutputItemDoneEvent
from responses_stream.protocol.hosted_items import (
    ActionSearch,
    CodeInterpreterOutput,
    FileSearchResult,
    ImageGenerationCall,
    ImageGenerationError,
    ResponseCodeInterpreterToolCall,
    ResponseFileSearchToolCall,
    ResponseFunctionWebSearch,
    WebSearchAction,
)
from responses_stream.protocol.tool_events import (
    ResponseCodeInterpreterCallCodeDeltaEvent,
    ResponseCodeInterpreterCallCodeDoneEvent,
    ResponseCodeInterpreterCallCompletedEvent,
    ResponseCodeInterpreterCallInProgressEvent,
    ResponseCodeInterpreterCallInterpretingEvent,
    ResponseFileSearchCallCompletedEvent,
    ResponseFileSearchCallInProgressEvent,
    ResponseFileSearchCallSearchingEvent,
    ResponseImageGenCallCompletedEvent,
    ResponseImageGenCallGeneratingEvent,
    ResponseImageGenCallInProgressEvent,
    ResponseImageGenCallPartialImageEvent,
    ResponseWebSearchCallCompletedEvent,
    ResponseWebSearchCallInProgressEvent,
    ResponseWebSearchCallSearchingEvent,
)

# R068: an item that begins has every member that its type requires, with zero values.
_NOTHING_YET: Final = ActionSearch(query="")


@attrs.define(eq=False, repr=False)
class FileSearchCallBuilder(ItemBuilder):
    """A file search in the making: in_progress, searching, completed (R150)."""

    item_type: ClassVar[str] = "file_search_call"

    def _snapshot(self, status: str | None) -> ResponseFileSearchToolCall:
        return ResponseFileSearchToolCall(id=self._item_id, status=status or "in_progress", queries=[], results=None)

    def emit_in_progress(self) -> ResponseFileSearchCallInProgressEvent:
        """Say that the call begins. Raises `OutOfOrder` when it has begun, or the item is not open."""
        return self._state_event(ResponseFileSearchCallInProgressEvent)

    def emit_searching(self) -> ResponseFileSearchCallSearchingEvent:
        """Say that the search runs. Raises `OutOfOrder` unless the call has just begun."""
        return self._state_event(ResponseFileSearchCallSearchingEvent)

    def emit_completed(self) -> ResponseFileSearchCallCompletedEvent:
        """Say that the search is finished. Raises `OutOfOrder` unless it runs."""
        return self._state_event(ResponseFileSearchCallCompletedEvent)

    def emit_done(
        self,
        *,
        queries: Sequence[str] = (),
        results: Sequence[FileSearchResult | Mapping[str, Any]] | None = None,
        status: ToolStatus = "completed",
    ) -> ResponseOutputItemDoneEvent:
        """End the call.

        Args:
            queries: what was searched for.
            results: what was found; None where the client did not ask for it (include `file_search_call.results`).
            status: `completed` after `emit_completed`, `failed` or `incomplete` before it (R156).

        Raises:
            InvalidType, InvalidValue: a query or a result does not fit.
            OutOfOrder: the status does not fit the events.
        """
        queried = values.texts("queries", queries)
        found = None if results is None else values.structs("results", results, FileSearchResult)
        return self._finish(status, queries=queried, results=found)


@attrs.define(eq=False, repr=False)
class WebSearchCallBuilder(ItemBuilder):
    """A web search in the making: in_progress, searching, completed (R151)."""

    item_type: ClassVar[str] = "web_search_call"

    _action: WebSearchAction | None = None

    def _snapshot(self, status: str | None) -> ResponseFunctionWebSearch:
        return ResponseFunctionWebSearch(
            id=self._item_id, status=status or "in_progress", action=self._action or _NOTHING_YET
        )

    def emit_in_progress(self) -> ResponseWebSearchCallInProgressEvent:
        """Say that the call begins. Raises `OutOfOrder` when it has begun, or the item is not open."""
        return self._state_event(ResponseWebSearchCallInProgressEvent)

    def emit_searching(self) -> ResponseWebSearchCallSearchingEvent:
        """Say that the search runs. Raises `OutOfOrder` unless the call has just begun."""
        return self._state_event(ResponseWebSearchCallSearchingEvent)

    def emit_completed(self) -> ResponseWebSearchCallCompletedEvent:
        """Say that the search is finished. Raises `OutOfOrder` unless it runs."""
        return self._state_event(ResponseWebSearchCallCompletedEvent)

    def emit_done(
        self, *, action: WebSearchAction | Mapping[str, Any] | None = None, status: ToolStatus = "completed"
    ) -> ResponseOutputItemDoneEvent:
        """End the call.

        Args:
            action: what was done: searched, opened a page, or looked for a pattern in it. None keeps the one given
                when the call was added.
            status: `completed` after `emit_completed`, `failed` or `incomplete` before it (R156).

        Raises:
            InvalidType, InvalidValue: the action does not fit, or there is none.
            OutOfOrder: the status does not fit the events.
        """
        done = self._action if action is None else values.web_search_action(action)
        self._check_may_end()
        if done is None and status == "completed":
            raise InvalidValue("action", "has to be given, here or when the call is added (R068)")
        return self._finish(status, action=done or _NOTHING_YET)


@attrs.define(eq=False, repr=False)
class CodeInterpreterCallBuilder(StringItemBuilder):
    """Code in the making, that runs in a container: in_progress, code, interpreting, completed (R152)."""

    item_type: ClassVar[str] = "code_interpreter_call"

    _container_id: str = ""

    def _snapshot(self, status: str | None) -> ResponseCodeInterpreterToolCall:
        return ResponseCodeInterpreterToolCall(
            id=self._item_id,
            status=status or "in_progress",
            container_id=self._container_id,
            code=joined(self._pieces),
            outputs=[],
        )

    def emit_in_progress(self) -> ResponseCodeInterpreterCallInProgressEvent:
        """Say that the call begins. Raises `OutOfOrder` when it has begun, or the item is not open."""
        return self._state_event(ResponseCodeInterpreterCallInProgressEvent)

    def emit_code_delta(self, delta: str) -> ResponseCodeInterpreterCallCodeDeltaEvent:
        """Say a piece of the code.

        Raises:
            InvalidType: *delta* is not a string.
            InvalidValue: *delta* holds a lone surrogate.
            OutOfOrder: the call has not begun, or its code is done (R140).
        """
        return self._delta_event(ResponseCodeInterpreterCallCodeDeltaEvent, delta)

    def emit_code_done(self, code: str | None = None) -> ResponseCodeInterpreterCallCodeDoneEvent:
        """Say the whole code: what the deltas said.

        Raises:
            OutOfOrder: *code* is not what the deltas said (R141), or it was done before.
        """
        whole = self._whole(ResponseCodeInterpreterCallCodeDoneEvent, code)
        return ResponseCodeInterpreterCallCodeDoneEvent(
            sequence_number=self._core.next_number(), item_id=self._item_id, output_index=self._index, code=whole
        )

    def emit_interpreting(self) -> ResponseCodeInterpreterCallInterpretingEvent:
        """Say that the code runs. Raises `OutOfOrder` unless the code is done."""
        return self._state_event(ResponseCodeInterpreterCallInterpretingEvent)

    def emit_completed(self) -> ResponseCodeInterpreterCallCompletedEvent:
        """Say that the code ran. Raises `OutOfOrder` unless it was running."""
        return self._state_event(ResponseCodeInterpreterCallCompletedEvent)

    def emit_done(
        self,
        *,
        outputs: Sequence[CodeInterpreterOutput | Mapping[str, Any]] | None = (),
        status: ToolStatus = "completed",
    ) -> ResponseOutputItemDoneEvent:
        """End the call.

        Args:
            outputs: what the code printed and drew; None where the client did not ask for it (include
                `code_interpreter_call.outputs`).
            status: `completed` after `emit_completed`, `failed` or `incomplete` before it (R156).

        Raises:
            InvalidType, InvalidValue: an output does not fit.
            OutOfOrder: the status does not fit the events, or the code was begun and is not done (R143).
        """
        made = None if outputs is None else values.all_of("outputs", outputs, CodeInterpreterOutput, "output")
        return self._finish(status, outputs=made)


@attrs.define(eq=False, repr=False)
class ImageGenerationCallBuilder(ItemBuilder):
    """An image in the making: in_progress, generating, partial images, completed (R154)."""

    item_type: ClassVar[str] = "image_generation_call"

    _partial: int = attrs.field(init=False, default=0)

    def _snapshot(self, status: str | None) -> ImageGenerationCall:
        return ImageGenerationCall(id=self._item_id, status=status or "in_progress", result=None)

    def emit_in_progress(self) -> ResponseImageGenCallInProgressEvent:
        """Say that the call begins. Raises `OutOfOrder` when it has begun, or the item is not open."""
        return self._state_event(ResponseImageGenCallInProgressEvent)

    def emit_generating(self) -> ResponseImageGenCallGeneratingEvent:
        """Say that the image is being made. Raises `OutOfOrder` unless the call has just begun."""
        return self._state_event(ResponseImageGenCallGeneratingEvent)

    def emit_partial_image(
        self,
        partial_image_b64: str,
        *,
        background: str | None = None,
        output_format: str | None = None,
        quality: str | None = None,
        size: str | None = None,
    ) -> ResponseImageGenCallPartialImageEvent:
        """Show a whole image of lower quality, in base64; its index counts by itself.

        Raises:
            InvalidType, InvalidValue: the image is not a string that can be sent.
            OutOfOrder: the image is not being made, or three were shown (R155).
        """
        image = values.name("partial_image_b64", partial_image_b64)
        settings = _told(background=background, output_format=output_format, quality=quality, size=size)
        self._state = self._advance("response.image_generation_call.partial_image")
        self._partial += 1
        return ResponseImageGenCallPartialImageEvent(
            sequence_number=self._core.next_number(),
            item_id=self._item_id,
            output_index=self._index,
            partial_image_index=self._partial - 1,
            partial_image_b64=image,
            **settings,
        )

    def emit_completed(self) -> ResponseImageGenCallCompletedEvent:
        """Say that the image is made. Raises `OutOfOrder` unless it was being made."""
        return self._state_event(ResponseImageGenCallCompletedEvent)

    def emit_done(
        self,
        result: str | None = None,
        *,
        revised_prompt: str | None = None,
        action: str | None = None,
        background: str | None = None,
        output_format: str | None = None,
        quality: str | None = None,
        size: str | None = None,
        error: ImageGenerationError | Mapping[str, Any] | None = None,
        status: Literal["completed", "failed"] = "completed",
    ) -> ResponseOutputItemDoneEvent:
        """End the call.

        Args:
            result: the image in base64.
            revised_prompt, action, background, output_format, quality, size: how it was made.
            error: why it was not made.
            status: `completed` after `emit_completed`, `failed` before it (R156).

        Raises:
            InvalidType, InvalidValue: an argument does not fit, or a completed call has no result.
            OutOfOrder: the status does not fit the events.
        """
        image = None if result is None else values.name("result", result)
        settings = _told(
            revised_prompt=revised_prompt,
            action=action,
            background=background,
            output_format=output_format,
            quality=quality,
            size=size,
        )
        failure = None if error is None else values.struct("error", error, ImageGenerationError)
        self._check_may_end()
        if status == "completed" and image is None:
            raise InvalidType("result", "the image in base64", None)
        if failure is not None:
            failure = msgspec.structs.replace(failure, code=failure.code or None, param=failure.param or None)
        return self._finish(status, result=image, error=or_unset(failure), **settings)


def _told(**settings: str | None) -> dict[str, Any]:
    """Return the settings of an image that were given."""
    return {member: values.text(member, value) for member, value in settings.items() if value is not None}
