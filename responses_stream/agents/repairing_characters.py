"""Half characters in an event: what some servers cut in two, and no UTF-8 can say."""

from __future__ import annotations

from typing import Any

from responses_stream.agents.chat_completions_values import text_of
from responses_stream.agents.repairing_report import Json


def without_halves(event: Json) -> Json:
    """Return an event with half characters replaced, where there are any; else *event* itself.

    The delta of a text stays, because the next one may have its other half.
    """
    changed: Json = {}
    for member, value in event.items():
        # By class, because each delta comes here: next to all members of it are short and ASCII.
        kind = type(value)
        if kind is int or (kind is str and value.isascii()):
            continue
        if member == "delta" and kind is str and str(event.get("type", ".delta")).endswith(".delta"):
            continue
        if (made := _mended(value)) is not value:
            changed[member] = made
    return event | changed if changed else event


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else text_of(value)
    if isinstance(value, dict):
        changed = {key: new for key, one in value.items() if (new := _mended(one)) is not one}
        return value | changed if changed else value
    if isinstance(value, list):
        made = [_mended(one) for one in value]
        return made if any(new is not one for new, one in zip(made, value, strict=True)) else value
    return value
