"""What can be set on a server: every choice and every limit, with a safe default."""

from __future__ import annotations

import re
from typing import Any, Final

import attrs

from responses_stream.errors import InvalidType, InvalidValue
from responses_stream.protocol.ids import RESPONSE_PREFIX

_ID_PREFIX: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*\Z")


def _text(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, str):
        raise InvalidType(attribute.name, "a string", value)


def _id_prefix(_: object, attribute: attrs.Attribute[Any], value: str) -> None:
    if not _ID_PREFIX.match(value):
        raise InvalidValue(attribute.name, f"has to be a letter followed by letters and digits, got {value!r}")


def _at_least_one(_: object, attribute: attrs.Attribute[Any], value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidType(attribute.name, "a whole number", value)
    if value < 1:
        raise InvalidValue(attribute.name, f"has to be at least 1, got {value}")


def _normal_prefix(value: str | None) -> str | None:
    """H1.2: blanks and a trailing slash go, a leading slash comes, and nothing left means none."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidType("prefix", "a string", value)
    bare = value.strip().strip("/")
    return f"/{bare}" if bare else None


@attrs.frozen(kw_only=True)
class ResponsesServerOptions:
    """The options of a `ResponsesServer`.

    Attributes:
        default_model: the model of a request that names none (H8.12), and what `GET /v1/models` lists.
        id_prefix: what the ids of responses begin with (decision 18).
        sse_done_marker: whether a stream ends with ``data: [DONE]`` (decision 2).
        prefix: where the routes are served instead of the root and ``/v1`` (H1.2, decision 17).
        max_body_bytes: the largest request body; more is a 413 (decision 27).
        max_json_depth: how deep a request may be nested; more is a 400 (decision 27).
        max_sync_handlers: how many sync handlers run at once, each in a thread; others wait for a free one.
        transport: the name of the transport that `ResponsesServer.run` uses unless it is told another.

    Raises:
        InvalidType: a value is of the wrong type.
        InvalidValue: a value is out of range.
    """

    default_model: str | None = attrs.field(default=None, validator=attrs.validators.optional(_text))
    id_prefix: str = attrs.field(default=RESPONSE_PREFIX, validator=[_text, _id_prefix])
    sse_done_marker: bool = True
    prefix: str | None = attrs.field(default=None, converter=_normal_prefix)
    max_body_bytes: int = attrs.field(default=16 * 1024 * 1024, validator=_at_least_one)
    max_json_depth: int = attrs.field(default=64, validator=_at_least_one)
    max_sync_handlers: int = attrs.field(default=256, validator=_at_least_one)
    transport: str | None = attrs.field(default=None, validator=attrs.validators.optional(_text))
