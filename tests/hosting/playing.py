"""Plays a handler in any of the six modes, and gathers what its response looks like from everywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs

from responses_stream import ResponsesServer, ResponsesServerOptions
from responses_stream.protocol.ids import new_response_id
from responses_stream.stores.base import Key, NotStored, ResponseStore
from responses_stream.stores.memory import MemoryStore
from responses_stream.validation import validate_events

from .asking import Answer, ask

MODES: Final[Mapping[str, Mapping[str, bool]]] = MappingProxyType(
    {
        "S": {},
        "SS": {"stream": True},
        "B": {"background": True},
        "BS": {"background": True, "stream": True},
        "E": {"store": False},
        "ES": {"store": False, "stream": True},
    }
)
"""The names of hosting-contract.md for the modes, and the flags that ask for each."""

STREAMS: Final = ("SS", "BS", "ES")
STORED: Final = ("S", "SS", "B", "BS")
TERMINAL: Final = ("response.completed", "response.failed", "response.incomplete")


@attrs.frozen
class Played:
    """A response that has ended, as its client saw it and as others find it.

    Attributes:
        mode: the mode that it was made in.
        created: what the create was answered with.
        got: what `GET` answers after the end.
        replayed: what `GET` with `stream=true` answers after the end.
    """

    mode: str
    created: Answer
    got: Answer
    replayed: Answer

    @property
    def response(self) -> dict[str, Any]:
        """The response as it ended: of the terminal event or of the answer, and of `GET` where only that has it."""
        found: dict[str, Any]
        if self.mode in STREAMS:
            found = self.created.events[-1]["response"]
        elif self.mode == "B":
            found = self.got.json
        else:
            found = self.created.json
        return found


async def ended(store: ResponseStore, key: Key) -> None:
    """Return when the store has the end of a response, or does not have the response."""
    try:
        while not (stored := await store.get(key)).ended:
            await store.changed(key, stored.last_number, 30)
    except NotStored:
        return


async def play(
    handler: Callable[..., Any],
    mode: str,
    *,
    options: ResponsesServerOptions | None = None,
    body: Mapping[str, Any] | None = None,
) -> Played:
    """Ask for one response of *handler* in *mode*, wait for its end, and look at it from everywhere."""
    store = MemoryStore()
    server = ResponsesServer(store=store, options=options)
    server.response_handler(handler)
    response_id = new_response_id()
    asked = {"model": "m", **(body or {}), **MODES[mode], "response_id": response_id}
    created = await ask(server, asked, headers={"x-request-id": "mine"})
    await ended(store, Key("", response_id))
    path = f"/v1/responses/{response_id}"
    got = await ask(server, method="GET", path=path)
    replayed = await ask(server, method="GET", path=path, query="stream=true")
    return Played(mode, created, got, replayed)


def check_whole(played: Played) -> None:
    """Check that there is one end, and that it is the same on the wire, in the store and on replay (decision 9)."""
    mode, created = played.mode, played.created
    response = played.response
    assert created.status == 200
    if mode in STREAMS:
        kept = played.got.json if mode in STORED else None
        report = validate_events(created.body, "strict", retrieved=kept)
        assert report.ok, str(report)
        assert [event["sequence_number"] for event in created.events] == list(range(len(created.events)))
        assert [kind for kind in created.types if kind in TERMINAL] == [created.types[-1]]
        assert created.data[-1] == "[DONE]"
    if mode == "B":
        assert created.json["status"] in ("in_progress", "queued", response["status"])
    if mode in STORED:
        assert played.got.status == 200
        assert played.got.json == response
    else:
        assert played.got.status == 404
    if mode == "BS":
        assert played.replayed.body == created.body
    else:
        assert played.replayed.status == (404 if mode in ("E", "ES") else 400)
