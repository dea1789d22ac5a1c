"""What travels: typed events, items, content parts, requests, responses and errors, with nothing lost at the edges.

Start with `decode` and `encode`. The types are named as in the protocol and in the `openai` package, and all of them
can be had from here; a module of this package is loaded when the first of its names is asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from responses_stream.protocol.base import *
    from responses_stream.protocol.codec import *
    from responses_stream.protocol.events import *
    from responses_stream.protocol.hosted_items import *
    from responses_stream.protocol.ids import *
    from responses_stream.protocol.items import *
    from responses_stream.protocol.machine_items import *
    from responses_stream.protocol.parts import *
    from responses_stream.protocol.platform_items import *
    from responses_stream.protocol.request import *
    from responses_stream.protocol.response import *
    from responses_stream.protocol.tool_events import *
    from responses_stream.protocol.tools import *

# The order is that of their cost: what builders load comes before what only readers do.
_MODULES: Final = (
    "base",
    "ids",
    "parts",
    "tools",
    "hosted_items",
    "machine_items",
    "platform_items",
    "items",
    "response",
    "tool_events",
    "events",
    "request",
    "codec",
)


def __getattr__(name: str) -> object:
    if not name.startswith("_"):
        for module in _MODULES:
            found = _names_of(module).get(name)
            if found is not None:
                globals()[name] = found
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(name for module in _MODULES for name in _names_of(module))


def _names_of(module: str) -> dict[str, object]:
    """Return what a module defines itself: types and functions, and the aliases and constants that it annotates."""
    loaded = importlib.import_module(f"{__name__}.{module}")
    annotated = getattr(loaded, "__annotations__", {})
    return {
        name: value
        for name, value in vars(loaded).items()
        if not name.startswith("_") and (name in annotated or getattr(value, "__module__", None) == loaded.__name__)
    }
