"""The six modes of a response, as a table: what `stream`, `background` and `store` decide, and nothing else does.

A mode has three answers: what the `POST` waits for, what a lost client means, and what is kept. All that differs
between the modes in the engine is read from here (hosting-contract.md section 2, decisions 12, 13, 15 and 16).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, Literal

import attrs

from responses_stream.hosting.errors import HttpError
from responses_stream.protocol.request import CreateResponse, given


@attrs.frozen(kw_only=True)
class Mode:
    """One row of the matrix.

    Attributes:
        name: what hosting-contract.md calls it.
        stream: whether the `POST` is answered by an event stream.
        background: whether the run goes on when its client has gone (H2.28, H2.29).
        store: whether the response can be asked for by its id.
        answers: what the `POST` waits for: the ``end`` of the run, its ``first`` event, or for no more than the first
            event or one keep-alive interval, as a ``stream`` does (H2.1 to H2.6, decision 12).
        keeps: what the store is handed: ``nothing``; the ``snapshots`` of created and of the end; or all ``events``,
            each of them before a client sees it (design section 6).
        shown: whether `GET` shows it while it is live (H2.17 to H2.20).
        held: whether it can be found, to be refused, before its first event (H2.18a, H2.19a).
        before_created: what a handler that fails before `response.created` is answered with: an error of ``http``, a
            ``failed`` response that is stored, or a lone ``error`` event (decision 12).
    """

    name: str
    stream: bool
    background: bool
    store: bool
    answers: Literal["end", "first", "stream"]
    keeps: Literal["nothing", "snapshots", "events"]
    shown: bool
    held: bool
    before_created: Literal["http", "failed", "error"]


# fmt: off
_ROWS: Final = (
    Mode(name="S", stream=False, background=False, store=True,
         answers="end", keeps="snapshots", shown=False, held=False, before_created="http"),
    Mode(name="SS", stream=True, background=False, store=True,
         answers="stream", keeps="snapshots", shown=False, held=False, before_created="error"),
    Mode(name="B", stream=False, background=True, store=True,
         answers="first", keeps="events", shown=True, held=True, before_created="failed"),
    Mode(name="BS", stream=True, background=True, store=True,
         answers="stream", keeps="events", shown=True, held=False, before_created="error"),
    Mode(name="E", stream=False, background=False, store=False,
         answers="end", keeps="nothing", shown=False, held=False, before_created="http"),
    Mode(name="ES", stream=True, background=False, store=False,
         answers="stream", keeps="nothing", shown=False, held=False, before_created="error"),
)
# fmt: on

MODES: Final = MappingProxyType({(row.stream, row.background, row.store): row for row in _ROWS})
"""The row of each combination of stream, background and store; there is none for background without store (H2.7)."""


def mode_of(request: CreateResponse) -> Mode:
    """Return the mode that *request* asks for; absent and null flags mean their defaults (H2.7).

    Raises:
        HttpError: it asks for background without store (decision 22).
    """
    store = given(request.store)
    mode = MODES.get((bool(given(request.stream)), bool(given(request.background)), store is None or store))
    if mode is None:
        message = "background=true requires store=true"
        raise HttpError(400, "unsupported_parameter", message, param="background")
    return mode
