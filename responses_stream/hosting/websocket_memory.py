"""What a WebSocket connection remembers of its turns, so that they can be continued though nothing is stored (W5).

It holds the newest responses of the connection, stored or not. A turn with ``store=false`` can continue those and no
other (W6); one that is stored looks here, and then into the store. A stored one that was deleted is not found here
either. What a turn continued that failed is forgotten, and so is that turn (W7); where it is stored as well, a further
turn that is stored finds it there.

Where the store has a whole chain of turns, its items are read from there. They are held here from the first turn on
that is not stored: the store knows such a chain only from the first one that is stored behind that.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterable, Sequence, Set
from typing import Final

import attrs
import msgspec

from responses_stream.hosting.cancellation import Cause
from responses_stream.hosting.errors import HttpError
from responses_stream.hosting.host import Host, history_before, previous_not_found
from responses_stream.hosting.identity import Identity
from responses_stream.hosting.lookups import Lookups
from responses_stream.hosting.modes import Mode
from responses_stream.hosting.recording import ending_of
from responses_stream.hosting.run import Run
from responses_stream.protocol.conversions import get_input_expanded
from responses_stream.protocol.items import InputItem, ItemReference
from responses_stream.protocol.request import CreateResponse, given
from responses_stream.stores.base import Item, Key, NotStored
from responses_stream.stores.paging import newest_of_each

MOST_HELD: Final = 16
"""How many responses a connection remembers; the oldest is forgotten first."""

_CALLS: Final = {"function_call_output": "function_call", "custom_tool_call_output": "custom_tool_call"}
"""The outputs that answer a call of an earlier turn, and the calls they answer."""

_COMPACTED: Final = "compaction"
"""The item that stands for others, which nobody can read."""

_log: Final = logging.getLogger("responses_stream")


class _Call(msgspec.Struct, frozen=True):
    """As much of an item as tells which call it is, or which it answers."""

    type: object = None
    call_id: object = None


@attrs.frozen
class _Held:
    """A response that can be continued.

    Attributes:
        key: of the response.
        stored: whether the store had it as well; then it can be deleted there.
        items: the newest items up to its end, oldest first; None where the store has them all.
    """

    key: Key
    stored: bool
    items: Sequence[Item] | None

    @property
    def size(self) -> int:
        """How many bytes of items it holds; what several hold counts for each."""
        return sum(len(item.data) for item in self.items or ())


@attrs.define(eq=False)
class Memory:
    """The turns of one connection.

    Attributes:
        max_bytes: how many bytes of items it holds; the response of the last turn is always held.
    """

    max_bytes: int
    _held: OrderedDict[str, _Held] = attrs.field(init=False, factory=OrderedDict)
    _continued: str | None = attrs.field(init=False, default=None)
    _limit: int = attrs.field(init=False, default=0)
    _in_store: bool = attrs.field(init=False, default=True)
    _run: Run | None = attrs.field(init=False, default=None)
    _lookups: Lookups | None = attrs.field(init=False, default=None)

    def begins(self, previous: str | None) -> None:
        """Take note of a turn that is asked for, and of what it wants to continue."""
        self._continued, self._in_store = previous, True
        self._run = self._lookups = None

    async def history(self, host: Host, request: CreateResponse, identity: Identity, mode: Mode) -> Sequence[Item]:
        """Return the newest items before a turn.

        Raises:
            HttpError: the previous response is not there, or an output of the input answers no call of it (W6, W7).
        """
        self._limit = host.options.default_fetch_history_count
        previous = given(request.previous_response_id)
        if not previous:
            return await history_before(host, request, identity)
        held = self._held.get(previous)
        if held is not None and held.key.partition != identity.partition:
            held = None
        if held is None and not mode.store:
            raise previous_not_found(previous)
        if held is None or held.items is None:
            items = await history_before(host, request, identity)
        else:
            if held.stored:
                await _check_stored(host, held.key)
            items, self._in_store = held.items, False
        if len(items) != self._limit:  # where older ones are cut off, nobody can tell
            _check_outputs(get_input_expanded(request), items)
        return items

    def runs(self, run: Run, lookups: Lookups) -> None:
        """Take note of the run of the turn."""
        self._run, self._lookups = run, lookups

    def stop(self, cause: Cause) -> bool:
        """Stop the run of the turn at once, and tell whether there is one."""
        if self._run is not None:
            self._run.stop(cause, 0)
        return self._run is not None

    async def ends(self, failed: bool) -> None:
        """Remember the response of the turn; a turn that *failed* makes that which it continued be forgotten (W7)."""
        run, lookups, continued = self._run, self._lookups, self._continued
        self._run = self._lookups = self._continued = None
        if failed:
            if continued is not None:
                self._held.pop(continued, None)
            return
        if run is None or lookups is None or run.response is None:
            return
        items: Sequence[Item] | None = None
        if not (run.mode.store and self._in_store):
            try:
                inputs = await lookups.stored_inputs()
            except Exception:
                _log.exception("%s cannot be continued on its connection", lookups.response_id)
                return
            chain = (*lookups.before, *inputs, *ending_of(run.response).output_items)
            items = newest_of_each(reversed(chain), self._limit if self._limit > 0 else len(chain))
        key = Key(lookups.partition, lookups.response_id)
        self._held.pop(key.response_id, None)
        self._held[key.response_id] = _Held(key, run.mode.store, items)
        while len(self._held) > 1 and (len(self._held) > MOST_HELD or self._size > self.max_bytes):
            self._held.popitem(last=False)

    @property
    def _size(self) -> int:
        return sum(held.size for held in self._held.values())


async def _check_stored(host: Host, key: Key) -> None:
    try:
        await host.ask(host.store.get(key))
    except NotStored:
        raise previous_not_found(key.response_id) from None


def _check_outputs(inputs: Sequence[InputItem], before: Sequence[Item]) -> None:
    """Check that each output answers a call that is there (W7)."""
    said = _calls(inputs)
    answers = [(kind, call_id) for kind, call_id in said if kind in _CALLS]
    if not answers or any(isinstance(item, ItemReference) for item in inputs):  # which may be the call
        return
    known: Set[tuple[str, str]] = {*said, *_calls(msgspec.json.decode(item.data, type=_Call) for item in before)}
    if any(kind == _COMPACTED for kind, _ in known):
        return
    for kind, call_id in answers:
        if (_CALLS[kind], call_id) not in known:
            message = f"No {_CALLS[kind]} has the call_id '{call_id}' of this {kind}."
            raise HttpError(400, "invalid_request", message, param="input")


def _calls(items: Iterable[object]) -> list[tuple[str, str]]:
    """Return the type of each item, with the call that it is or answers; without one, with nothing."""
    return [(str(getattr(item, "type", "")), str(getattr(item, "call_id", ""))) for item in items]
