"""In which ways a handler is asked: one `Mode` for each way that the engine can answer, and for each way to be stopped.

A mode says what goes into the request and how the engine is asked: by `ask`, which takes the answer to its end, or by
another function of `clients`, where somebody polls, cancels or leaves.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs

from responses_stream.checking.clients import (
    Ask,
    ask,
    ask_and_cancel,
    ask_and_leave,
    ask_and_leave_at_once,
    ask_and_poll,
    ask_and_replay,
)
from responses_stream.errors import InvalidValue


@attrs.frozen
class Mode:
    """One way to ask.

    Attributes:
        name: what reports call it.
        members: what the request says.
        like: the mode that has to give the same answer, where there is one; it stands further up in the table.
        ask: how the engine is asked.
        stops: whether the handler is told to stop in the middle.
    """

    name: str
    members: Mapping[str, bool]
    like: str | None = None
    ask: Ask = ask
    stops: bool = False

    @property
    def streams(self) -> bool:
        """Whether the answer is a stream. A client that leaves gets none, and looks at what became of the response."""
        return self.members["stream"]

    @property
    def background(self) -> bool:
        """Whether the run goes on when its client has gone."""
        return self.members.get("background", False)

    def request(self, members: Mapping[str, Any], model: str) -> dict[str, Any]:
        """Return the request that asks for *members* in this mode, of *model* where they name none."""
        # What a mode says is not the business of what is asked; stream_options without a stream are refused (H8).
        left_out = {"background", *self.members, *(() if self.streams else ("stream_options",))}
        kept = {name: value for name, value in members.items() if name not in left_out}
        return {"model": model, **kept, **self.members}


_STREAM: Final = MappingProxyType({"stream": True, "store": True})
_BACKGROUND: Final = MappingProxyType({"stream": False, "store": True, "background": True})
_BACKGROUND_STREAM: Final = MappingProxyType({"stream": True, "store": True, "background": True})

MODES: Final = (
    Mode("json", MappingProxyType({"stream": False, "store": True})),
    Mode("stream", _STREAM, like="json"),
    Mode("json-unstored", MappingProxyType({"stream": False, "store": False})),
    Mode("stream-unstored", MappingProxyType({"stream": True, "store": False}), like="json-unstored"),
    Mode("background", _BACKGROUND, like="json", ask=ask_and_poll),
    Mode("background-stream", _BACKGROUND_STREAM, like="json", ask=ask_and_replay),
    Mode("cancelled", _BACKGROUND_STREAM, ask=ask_and_cancel, stops=True),
    Mode("leaving", _STREAM, ask=ask_and_leave, stops=True),
    Mode("leaving-at-once", _STREAM, ask=ask_and_leave_at_once, stops=True),
)
"""The modes that hosting has. What comes to have more of them, comes to have more lines here."""


def modes(names: Collection[str] | None = None) -> tuple[Mode, ...]:
    """Return the modes called *names*, all by default.

    Raises:
        InvalidValue: there is no such mode.
    """
    known = [mode.name for mode in MODES]
    for name in names if names is not None else ():
        if name not in known:
            raise InvalidValue("modes", f"{name!r} is no mode; they are {', '.join(known)}")
    return tuple(mode for mode in MODES if names is None or mode.name in names)


def body_of(request: Mapping[str, Any]) -> bytes:
    """Return *request* as it is sent.

    Raises:
        TypeError, ValueError: something in it is no JSON.
    """
    # Escaped, so that half a surrogate pair in somebody's request is the engine's to refuse.
    return json.dumps(request).encode()
