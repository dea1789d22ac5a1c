"""Events of the response, its items, and their text and reasoning (events.md sections 4.1 to 4.8 and 4.20 to 4.22).

The events of tools are in `responses_stream.protocol.tool_events`. Class names are those of the `openai` package where
it has one.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from msgspec import UNSET, UnsetType

from responses_stream.protocol.base import Event, UnknownEvent
from responses_stream.protocol.items import OutputItem
from responses_stream.protocol.parts import ContentPart, Logprob, TextAnnotation
from responses_stream.protocol.response import ErrorPayload, ResponseObject
from responses_stream.protocol.tool_events import ItemEvent, ToolEvent


class LifecycleEvent(Event, frozen=True):
    """An event that carries a copy of the whole response."""

    response: ResponseObject


class ResponseCreatedEvent(LifecycleEvent, frozen=True, tag="response.created"):
    """E01: the response is there; the first event of a stream (R030)."""


class ResponseQueuedEvent(LifecycleEvent, frozen=True, tag="response.queued"):
    """E02: the response waits to be run."""


class ResponseInProgressEvent(LifecycleEvent, frozen=True, tag="response.in_progress"):
    """E03: the response is being made."""


class ResponseCompletedEvent(LifecycleEvent, frozen=True, tag="response.completed"):
    """E04: the response is finished; the last event."""


class ResponseFailedEvent(LifecycleEvent, frozen=True, tag="response.failed"):
    """E05: the response failed, or was cancelled (decision 6); the last event."""


class ResponseIncompleteEvent(LifecycleEvent, frozen=True, tag="response.incomplete"):
    """E06: the response stopped early; the last event."""


class ResponseErrorEvent(Event, frozen=True, tag="error"):
    """E07: something went wrong. Read in its flat and its nested shape, written in both (decision 5).

    On a WebSocket it has a `status` and may have no number (events.md section 6).
    """

    # An error on a WebSocket may stand outside any response, so it alone may have no number.
    sequence_number: int | UnsetType = UNSET  # type: ignore[assignment]
    code: str | None | UnsetType = UNSET
    message: str | UnsetType = UNSET
    param: str | None | UnsetType = UNSET
    error: ErrorPayload | UnsetType = UNSET
    status: int | UnsetType = UNSET


class ResponseOutputItemAddedEvent(Event, frozen=True, tag="response.output_item.added"):
    """E08: an item begins, at *output_index* of the output."""

    output_index: int
    item: OutputItem


class ResponseOutputItemDoneEvent(Event, frozen=True, tag="response.output_item.done"):
    """E09: an item is finished, here in its final form."""

    output_index: int
    item: OutputItem


class PartEvent(ItemEvent, frozen=True):
    """An event inside the content part *content_index* of an item."""

    content_index: int


class PartDeltaEvent(PartEvent, frozen=True):
    """A piece of the text of a content part."""

    delta: str
    obfuscation: str | UnsetType = UNSET


class ResponseContentPartAddedEvent(PartEvent, frozen=True, tag="response.content_part.added"):
    """E10: a content part begins, empty."""

    part: ContentPart


class ResponseContentPartDoneEvent(PartEvent, frozen=True, tag="response.content_part.done"):
    """E11: a content part is finished, here in its final form."""

    part: ContentPart


class ResponseTextDeltaEvent(PartEvent, frozen=True, tag="response.output_text.delta"):
    """E12: a piece of text."""

    delta: str
    logprobs: list[Logprob] | None | UnsetType = []
    obfuscation: str | UnsetType = UNSET


class ResponseTextDoneEvent(PartEvent, frozen=True, tag="response.output_text.done"):
    """E13: the whole text of a part: its deltas joined (R102)."""

    text: str
    logprobs: list[Logprob] | None | UnsetType = []


class ResponseOutputTextAnnotationAddedEvent(PartEvent, frozen=True, tag="response.output_text.annotation.added"):
    """E14: a remark about a span of the text, number *annotation_index* of the part."""

    annotation_index: int
    annotation: TextAnnotation | None


class ResponseRefusalDeltaEvent(PartDeltaEvent, frozen=True, tag="response.refusal.delta"):
    """E15: a piece of a refusal."""


class ResponseRefusalDoneEvent(PartEvent, frozen=True, tag="response.refusal.done"):
    """E16: the whole refusal."""

    refusal: str


class ResponseReasoningTextDeltaEvent(PartDeltaEvent, frozen=True, tag="response.reasoning_text.delta"):
    """E17: a piece of raw reasoning."""


class ResponseReasoningTextDoneEvent(PartEvent, frozen=True, tag="response.reasoning_text.done"):
    """E18: the whole raw reasoning of a part."""

    text: str


class ResponseReasoningDeltaEvent(PartDeltaEvent, frozen=True, tag="response.reasoning.delta"):
    """E19: a piece of raw reasoning, by the name of Open Responses (D03)."""


class ResponseReasoningDoneEvent(PartEvent, frozen=True, tag="response.reasoning.done"):
    """E20: the whole raw reasoning of a part, by the name of Open Responses (D03)."""

    text: str


class SummaryEvent(ItemEvent, frozen=True):
    """An event inside the summary part *summary_index* of a reasoning item."""

    summary_index: int


class ResponseReasoningSummaryPartAddedEvent(SummaryEvent, frozen=True, tag="response.reasoning_summary_part.added"):
    """E21: a part of the summary begins, empty."""

    part: ContentPart


class ResponseReasoningSummaryTextDeltaEvent(SummaryEvent, frozen=True, tag="response.reasoning_summary_text.delta"):
    """E22: a piece of the summary."""

    delta: str
    obfuscation: str | UnsetType = UNSET


class ResponseReasoningSummaryTextDoneEvent(SummaryEvent, frozen=True, tag="response.reasoning_summary_text.done"):
    """E23: the whole text of a summary part."""

    text: str


class ResponseReasoningSummaryPartDoneEvent(SummaryEvent, frozen=True, tag="response.reasoning_summary_part.done"):
    """E24: a part of the summary is finished; *status* is `incomplete` when it was cut short, else absent."""

    part: ContentPart
    status: str | UnsetType = UNSET


class ResponseAudioDeltaEvent(Event, frozen=True, tag="response.audio.delta"):
    """E60: a piece of audio, in base64."""

    delta: str
    obfuscation: str | UnsetType = UNSET


class ResponseAudioTranscriptDeltaEvent(Event, frozen=True, tag="response.audio.transcript.delta"):
    """E61: a piece of what the audio says."""

    delta: str
    obfuscation: str | UnsetType = UNSET


class ResponseAudioTranscriptDoneEvent(Event, frozen=True, tag="response.audio.transcript.done"):
    """E62: the transcript is finished."""


class ResponseAudioDoneEvent(Event, frozen=True, tag="response.audio.done"):
    """E63: the audio is finished."""


class KeepaliveEvent(Event, frozen=True, tag="keepalive"):
    """E64: a sign of life of OpenAI's service, in none of the typed unions. Readers ignore it."""


class SteerEvent(Event, frozen=True):
    """An answer to `response.steer` on a WebSocket."""

    steer: dict[str, Any]


class ResponseSteerAcceptedEvent(SteerEvent, frozen=True, tag="response.steer.accepted"):
    """E65: the input was taken."""


class ResponseSteerPendingEvent(SteerEvent, frozen=True, tag="response.steer.pending"):
    """E66: the input waits for *required_input*."""

    reason: str
    required_input: list[dict[str, Any]]


class ResponseSteerFailedEvent(SteerEvent, frozen=True, tag="response.steer.failed"):
    """E67: the input was not taken."""

    error: ErrorPayload


ResponseStreamEvent: TypeAlias = (
    ResponseCreatedEvent
    | ResponseQueuedEvent
    | ResponseInProgressEvent
    | ResponseCompletedEvent
    | ResponseFailedEvent
    | ResponseIncompleteEvent
    | ResponseErrorEvent
    | ResponseOutputItemAddedEvent
    | ResponseOutputItemDoneEvent
    | ResponseContentPartAddedEvent
    | ResponseContentPartDoneEvent
    | ResponseTextDeltaEvent
    | ResponseTextDoneEvent
    | ResponseOutputTextAnnotationAddedEvent
    | ResponseRefusalDeltaEvent
    | ResponseRefusalDoneEvent
    | ResponseReasoningTextDeltaEvent
    | ResponseReasoningTextDoneEvent
    | ResponseReasoningDeltaEvent
    | ResponseReasoningDoneEvent
    | ResponseReasoningSummaryPartAddedEvent
    | ResponseReasoningSummaryTextDeltaEvent
    | ResponseReasoningSummaryTextDoneEvent
    | ResponseReasoningSummaryPartDoneEvent
    | ResponseAudioDeltaEvent
    | ResponseAudioTranscriptDeltaEvent
    | ResponseAudioTranscriptDoneEvent
    | ResponseAudioDoneEvent
    | KeepaliveEvent
    | ResponseSteerAcceptedEvent
    | ResponseSteerPendingEvent
    | ResponseSteerFailedEvent
    | ToolEvent
    | UnknownEvent
)
"""Every event that a server sends; `UnknownEvent` stands for the types that this version does not know."""
