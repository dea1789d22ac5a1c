"""What a WebSocket connection remembers of its turns, so that they can be continued though nothing is stored (W5).

It is looked into before the store, and for a turn with ``store=false`` instead of it (W6).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import attrs

from responses_stream.hosting.errors import HttpError
from responses_stream.hosting.host import Host, history_before, previous_not_found
from responses_stream.hosting.identity import Identity
from responses_stream.hosting.lookups import Lookups, read_item
from responses_stream.hosting.modes import Mode
from responses_stream.hosting.recording import ending_of
from responses_stream.hosting.run import Run
from responses_stream.protocol.conversions import StoredItem, get_input_expanded
from responses_stream.protocol.items import InputItem
from responses_stream.protocol.request import CreateResponse, given
from responses_stream.stores.base import Item, Key, NotStored

_MOST_HELD: Final = 16
"""How many responses a connection remembers; the oldest is forgotten first."""

_CALLS: Final = {"function_call_output": "function_call", "custom_tool_call_output": "custom_tool_call"}
"""The outputs that answer a call of an earlier turn, and the calls they answer."""


@attrs.frozen
class _Held:
    """A response that can be continued.

    Attributes:
        key: of the response.
        stored: whether the store had it as well; then it can be deleted there.
        items: all items up to its end, oldest first.
    """

    key: Key
    stored: bool
    items: Sequence[Item]

    @property
    def size(self) -> int:
        return sum(len(item.data) for item in self.items)


@attrs.define(eq=False)
class Memory:
    """The turns of one connection.

    Attributes:
        max_bytes: how many bytes of items it holds; the response of the last turn is always held.
    """

    max_bytes: int
    _held: OrderedDict[str, _Held] = attrs.field(init=False, factory=OrderedDict)
    _continued: str | None = attrs.field(init=False, default=None)
    _run: Run | None = attrs.field(init=False, default=None)
    _lookups: Lookups | None = attrs.field(init=False, default=None)

    async def history(self, host: Host, request: CreateResponse, identity: Identity, mode: Mode) -> Sequence[Item]:
        """Return the newest items before a turn.

        Raises:
            HttpError: the previous response is not there, or an output of the input answers no call of it (W6, W7).
        """
        self._continued = previous = given(request.previous_response_id) or None
        if previous is None:
            return await history_before(host, request, identity)
        held = await self._find(host, identity, previous)
        if held is None and not mode.store:
            raise previous_not_found(previous)
        limit = host.options.default_fetch_history_count
        if held is None:
            items = await history_before(host, request, identity)
        else:
            items = held.items[-limit:] if limit > 0 else held.items
        if len(items) != limit:  # with older items cut off, nobody can tell
            _check_outputs(get_input_expanded(request), items)
        return items

    def runs(self, run: Run, lookups: Lookups) -> None:
        """Take note of the run of the turn."""
        self._run, self._lookups = run, lookups

    async def turn_ends(self, failed: bool) -> None:
        """Remember the response of the turn; a turn that *failed* makes that which it continued be forgotten (W7)."""
        run, lookups, continued = self._run, self._lookups, self._continued
        self._run = self._lookups = self._continued = None
        if failed:
            if continued is not None:
                self._held.pop(continued, None)
            return
        response = run.response if run is not None else None
        if run is None or lookups is None or response is None:
            return
        known = {
            item.id: item
            for item in (*lookups.before, *await lookups.stored_inputs(), *ending_of(response).output_items)
        }
        key = Key(lookups.partition, lookups.response_id)
        self._held[key.response_id] = _Held(key, run.mode.store, tuple(known.values()))
        while len(self._held) > 1 and (
            len(self._held) > _MOST_HELD or sum(held.size for held in self._held.values()) > self.max_bytes
        ):
            self._held.popitem(last=False)

    async def _find(self, host: Host, identity: Identity, previous: str) -> _Held | None:
        held = self._held.get(previous)
        if held is None or held.key.partition != identity.partition:
            return None
        if held.stored:
            try:
                await host.store.get(held.key)
            except NotStored:
                del self._held[previous]
                return None
        return held


def _check_outputs(inputs: Sequence[InputItem], before: Sequence[Item]) -> None:
    answers = list(_call_ids(inputs, _CALLS))
    if not answers:
        return
    made = {*_call_ids(inputs, _CALLS.values()), *_call_ids(map(read_item, before), _CALLS.values())}
    for kind, call_id in answers:
        if (_CALLS[kind], call_id) not in made:
            message = f"No {_CALLS[kind]} has the call_id '{call_id}' of this {kind}."
            raise HttpError(400, "invalid_request", message, param="input")


def _call_ids(items: Iterable[InputItem | StoredItem], kinds: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Give the kind and the call id of the items that are of one of *kinds*."""
    wanted = frozenset(kinds)
    for item in items:
        kind, call_id = getattr(item, "type", None), getattr(item, "call_id", None)
        if kind in wanted and isinstance(call_id, str):
            yield str(kind), call_id
