"""What stands in the parts of an input: text, or an image, a file, audio or video as bytes, an address or an id.

Frameworks have classes for each of these forms; the bridges make theirs from an `Attachment`.
"""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Mapping
from typing import Any, Final, Literal

import attrs

from responses_stream.errors import InvalidValue
from responses_stream.protocol.data_urls import decode_bytes, get_media_type, is_data_url

__all__ = ["Attachment", "attachment", "failure_text", "part_text"]

_OCTETS: Final = "application/octet-stream"
_AUDIO_TYPES: Final = {"mp3": "audio/mpeg", "m4a": "audio/mp4"}


@attrs.frozen
class Attachment:
    """Something that a user has sent along. One of *data*, *url* and *file_id* is there.

    Attributes:
        kind: what it is, by its media type where that says more than the part.
        data: its bytes.
        url: where it is.
        file_id: its id, at the service of the model.
        media_type: such as ``image/png``; None where nothing tells it. Bytes always have one.
        name: the name of the file, where it has one.
        detail: how closely to look at an image.
    """

    kind: Literal["image", "audio", "video", "file"]
    data: bytes | None = None
    url: str | None = None
    file_id: str | None = None
    media_type: str | None = None
    name: str | None = None
    detail: str | None = None


def attachment(part: Mapping[str, Any]) -> Attachment | None:
    """Return what a content part of the input carries; None where it is text, or of a kind that carries nothing.

    Raises:
        InvalidValue: its data URL or its base64 cannot be read.
    """
    name, detail = part.get("filename"), part.get("detail")
    match part.get("type"):
        case "input_image":
            return _addressed("image", part.get("image_url"), part.get("file_id"), name, detail)
        case "input_video":
            return _addressed("video", part.get("video_url"), None, name, detail)
        case "input_audio":
            audio = part.get("input_audio") or {}
            form = str(audio.get("format") or "wav")
            sound = decode_bytes(f"data:,{audio.get('data') or ''}")
            return Attachment("audio", sound, media_type=_AUDIO_TYPES.get(form, f"audio/{form}"))
        case "input_file":
            data = part.get("file_data")
            if data is not None and not is_data_url(data):
                data = f"data:{_guessed(name) or _OCTETS};base64,{data}"
            return _addressed("file", data or part.get("file_url"), part.get("file_id"), name, detail)
    return None


def part_text(part: Mapping[str, Any]) -> str | None:
    """Return the text of a content part, or None where it has none."""
    text = part.get("refusal") if part.get("type") == "refusal" else part.get("text")
    return text if isinstance(text, str) else None


def failure_text(error: object) -> str | None:
    """Return what went wrong with an `mcp_call`, of the `error` that its item has; None where nothing did."""
    if error is None or isinstance(error, str):
        return error
    if isinstance(error, Mapping):
        content = error.get("content")
        texts = [part_text(part) for part in content if isinstance(part, Mapping)] if isinstance(content, list) else []
        told = "\n".join(text for text in texts if text) or error.get("message")
        if isinstance(told, str):
            return told
    return json.dumps(error)


def _addressed(
    kind: Literal["image", "audio", "video", "file"], url: Any, file_id: Any, name: str | None, detail: str | None
) -> Attachment | None:
    # Some clients send the address as an object, as Chat Completions has it (H21.3).
    if isinstance(url, Mapping):
        url, detail = url.get("url"), detail or url.get("detail")
    if is_data_url(url):
        media_type = get_media_type(url) or _guessed(name) or ("image/png" if kind == "image" else _OCTETS)
        media_type = media_type.partition(";")[0]
        return Attachment(_kind(media_type, kind), decode_bytes(url), media_type=media_type, name=name, detail=detail)
    if isinstance(url, str):
        guess = _guessed(name) or _guessed(url.partition("?")[0])
        return Attachment(_kind(guess, kind), url=url, media_type=guess, name=name, detail=detail)
    if isinstance(file_id, str):
        return Attachment(kind, file_id=file_id, media_type=_guessed(name), name=name, detail=detail)
    raise InvalidValue(f"input_{kind}", "has no source; give it an address, its data or the id of a file (H21.3)")


def _guessed(name: str | None) -> str | None:
    return mimetypes.guess_type(name)[0] if name else None


def _kind(
    media_type: str | None, otherwise: Literal["image", "audio", "video", "file"]
) -> Literal["image", "audio", "video", "file"]:
    match (media_type or "").partition("/")[0]:
        case "image":
            return "image"
        case "audio":
            return "audio"
        case "video":
            return "video"
    return otherwise
