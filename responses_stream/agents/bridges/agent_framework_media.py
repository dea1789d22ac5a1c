"""Contents of the Microsoft Agent Framework that stand inside others, as values of the protocol."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agent_framework import Annotation, Content

__all__ = ["annotations_of", "image_of", "shell_output", "text_of"]


def text_of(result: Any) -> str:
    """Return what a tool has returned as text: of contents their texts and addresses, of anything else its JSON."""
    if result is None or isinstance(result, str):
        return result or ""
    if isinstance(result, Content):
        return result.text or result.uri or result.file_id or ""
    if isinstance(result, Sequence) and all(isinstance(one, Content) for one in result):
        return "\n".join(text for one in result if (text := text_of(one)))
    return json.dumps(result, default=str)


def image_of(outputs: Any) -> tuple[str | None, bool]:
    """Return an image in base64, None where there is none, and whether it is only a first form of it."""
    for one in outputs if isinstance(outputs, Sequence) else (outputs,):
        if isinstance(one, Content) and one.uri:
            return one.uri.partition(",")[2] or None, bool(one.additional_properties.get("is_partial_image"))
    return None, False


def shell_output(output: Content) -> dict[str, Any]:
    """Return what a command has printed, and how it ended."""
    ended = {"type": "timeout"} if output.timed_out else {"type": "exit", "exit_code": output.exit_code or 0}
    return {"stdout": output.stdout or "", "stderr": output.stderr or "", "outcome": ended}


def annotations_of(annotations: Iterable[Annotation], length: int) -> list[dict[str, Any]]:
    """Return citations as the protocol has them, within a text of *length* characters so far."""
    return [note for annotation in annotations for note in _notes(annotation, length)]


def _notes(annotation: Annotation, length: int) -> Iterable[dict[str, Any]]:
    regions: Sequence[Mapping[str, Any]] = annotation.get("annotated_regions") or [{}]
    for region in regions:
        start, end = region.get("start_index") or 0, region.get("end_index") or length
        end = min(end, length)
        url, title = annotation.get("url"), annotation.get("title")
        if url:
            where = {"start_index": min(start, end), "end_index": end}
            yield {"type": "url_citation", "url": url, "title": title or url, **where}
        elif file_id := annotation.get("file_id"):
            yield {"type": "file_citation", "file_id": file_id, "filename": title or file_id, "index": end}
