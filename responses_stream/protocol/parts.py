"""Content parts, annotations and log probabilities: what stands inside items (items.md sections 5 and 6)."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import UNSET, UnsetType

from responses_stream.protocol.base import Annotation, Part, UnknownAnnotation, UnknownPart, Wire

Number: TypeAlias = int | float
"""A JSON number, kept as it was written: ``1`` stays ``1``."""


class AnnotationFileCitation(Annotation, frozen=True, tag="file_citation"):
    """A file that the text relies on; *index* is its place in the text."""

    file_id: str
    filename: str
    index: int


class AnnotationURLCitation(Annotation, frozen=True, tag="url_citation"):
    """A web page that ``text[start_index:end_index]`` relies on."""

    url: str
    title: str
    start_index: int
    end_index: int


class AnnotationContainerFileCitation(Annotation, frozen=True, tag="container_file_citation"):
    """A file made in a container, cited by ``text[start_index:end_index]``."""

    container_id: str
    file_id: str
    filename: str
    start_index: int
    end_index: int


class AnnotationFilePath(Annotation, frozen=True, tag="file_path"):
    """The path of a file in the text."""

    file_id: str
    index: int


TextAnnotation: TypeAlias = (
    AnnotationFileCitation
    | AnnotationURLCitation
    | AnnotationContainerFileCitation
    | AnnotationFilePath
    | UnknownAnnotation
)


class TopLogprob(Wire, frozen=True):
    """One of the likeliest tokens at a place. `bytes` is written in content parts, not in events."""

    token: str
    logprob: Number
    bytes: list[int] | None | UnsetType = UNSET


class Logprob(Wire, frozen=True):
    """The log probability of a token that was chosen. `bytes` is written in content parts, not in events."""

    token: str
    logprob: Number
    bytes: list[int] | None | UnsetType = UNSET
    top_logprobs: list[TopLogprob] | None | UnsetType = UNSET


class ResponseOutputText(Part, frozen=True, tag="output_text"):
    """Text that the model wrote, with its annotations."""

    text: str
    annotations: list[TextAnnotation] | UnsetType = []
    logprobs: list[Logprob] | None | UnsetType = []


class ResponseOutputRefusal(Part, frozen=True, tag="refusal"):
    """The model's refusal, in its own words."""

    refusal: str


class ReasoningText(Part, frozen=True, tag="reasoning_text"):
    """A piece of the model's raw reasoning."""

    text: str


class SummaryText(Part, frozen=True, tag="summary_text"):
    """A piece of the summary of the model's reasoning."""

    text: str


class TextContent(Part, frozen=True, tag="text"):
    """Plain text; the Open Responses schema allows it, nobody is known to send it."""

    text: str


class PromptCacheBreakpoint(Wire, frozen=True):
    """A place up to which the prompt may be cached."""

    mode: str
    ttl: str | UnsetType = UNSET


class ResponseInputText(Part, frozen=True, tag="input_text"):
    """Text that the model reads."""

    text: str
    prompt_cache_breakpoint: PromptCacheBreakpoint | None | UnsetType = UNSET


class ResponseInputImage(Part, frozen=True, tag="input_image"):
    """An image that the model reads, by URL, data URL or file id."""

    detail: str | None | UnsetType = UNSET
    image_url: str | None | UnsetType = UNSET
    file_id: str | None | UnsetType = UNSET
    prompt_cache_breakpoint: PromptCacheBreakpoint | None | UnsetType = UNSET


class ResponseInputFile(Part, frozen=True, tag="input_file"):
    """A file that the model reads, by content, URL or file id."""

    file_id: str | None | UnsetType = UNSET
    file_data: str | None | UnsetType = UNSET
    file_url: str | None | UnsetType = UNSET
    filename: str | None | UnsetType = UNSET
    detail: str | None | UnsetType = UNSET
    prompt_cache_breakpoint: PromptCacheBreakpoint | None | UnsetType = UNSET


class ResponseInputVideo(Part, frozen=True, tag="input_video"):
    """A video that the model reads (Open Responses)."""

    video_url: str


class InputAudio(Wire, frozen=True):
    """Audio bytes in base64, and their format."""

    data: str
    format: str


class ResponseInputAudio(Part, frozen=True, tag="input_audio"):
    """Audio that the model reads."""

    input_audio: InputAudio


class ComputerScreenshot(Part, frozen=True, tag="computer_screenshot"):
    """A picture of a screen: the output of a computer call."""

    image_url: str | None | UnsetType = UNSET
    file_id: str | None | UnsetType = UNSET


ContentPart: TypeAlias = (
    ResponseOutputText
    | ResponseOutputRefusal
    | ReasoningText
    | SummaryText
    | TextContent
    | ResponseInputText
    | ResponseInputImage
    | ResponseInputFile
    | ResponseInputVideo
    | ResponseInputAudio
    | ComputerScreenshot
    | UnknownPart
)
