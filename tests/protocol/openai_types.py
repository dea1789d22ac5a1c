"""What the installed `openai` package knows, by the `type` that stands on the wire."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

from openai.types import responses
from openai.types.responses.response_item import ResponseItem
from pydantic import BaseModel

Model: TypeAlias = type[BaseModel]

STREAM_EVENTS: Any = responses.ResponseStreamEvent
WEBSOCKET_EVENTS: Any = responses.ResponsesServerEvent
OUTPUT_ITEMS: Any = responses.ResponseOutputItem
INPUT_ITEMS: Any = responses.ResponseInputItem
LISTED_ITEMS: Any = ResponseItem
TOOLS: Any = responses.Tool


def models_of(union: Any) -> list[Model]:
    """Return the models of a union, in its order."""
    return [option for option in options(union) if isinstance(option, type) and issubclass(option, BaseModel)]


def by_type(union: Any) -> list[tuple[str, Model]]:
    """Return the models of a union with each `type` that names them."""
    return [(kind, model) for model in models_of(union) for kind in types_of(model)]


def types_of(model: Model) -> tuple[str, ...]:
    """Return the values of a model's `type`."""
    annotation = model.model_fields["type"].annotation
    literals = [typing.get_args(option) for option in options(annotation) if typing.get_origin(option) is Literal]
    return tuple(value for group in literals for value in group)


def members_of(model: Model) -> dict[str, Any]:
    """Return the members of a model by their names on the wire, each with its annotation."""
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def required_of(model: Model) -> set[str]:
    """Return the names of the members that a model requires."""
    return {field.alias or name for name, field in model.model_fields.items() if field.is_required()}


def options(annotation: Any) -> Iterator[Any]:
    """Yield what an annotation may be."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        yield from options(typing.get_args(annotation)[0])
    elif origin in (typing.Union, types.UnionType):
        for option in typing.get_args(annotation):
            yield from options(option)
    else:
        yield annotation
