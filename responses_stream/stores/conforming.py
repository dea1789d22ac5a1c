"""What the parts of the conformance suite share: how a check is run, and what it stores.

A check is an async function of one store; as a test it is run on each backend, with a fresh store each time.
"""

from __future__ import annotations

import unittest
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Concatenate, Final, ParamSpec, TypeVar

import anyio

from responses_stream.stores.base import Ending, EventPage, Item, Key, NewResponse, Notices, ResponseStore, StoreError

SECONDS: Final = 20.0
"""How long a check waits for what has to come; only a store that fails is waited for so long."""

LEASE: Final = 600.0

P = ParamSpec("P")
E = TypeVar("E", bound=StoreError)
Self_ = TypeVar("Self_", bound="Conforming")


async def at_rest() -> None:
    """Let what was started come to where it waits.

    Not for longer than a second: a driver that looks at its socket at intervals may never be seen to wait.
    """
    with anyio.move_on_after(1):
        await anyio.wait_all_tasks_blocked()


class Conforming:
    """How the suite comes by its stores. A test class of your own says it, by overriding these.

    Attributes:
        backends: the async backends that the checks run on.
        can_be_shared: whether `open_pair` is there.
        can_pass_time: whether `make_time_pass` is there.
    """

    backends: Sequence[str] = ("asyncio", "trio")
    can_be_shared: bool = False
    can_pass_time: bool = False

    def open_store(self) -> AbstractAsyncContextManager[ResponseStore]:
        """Return a context with a store in which nothing is kept; leaving it closes the store."""
        raise NotImplementedError("override open_store: the context of a fresh store")

    def open_pair(self) -> AbstractAsyncContextManager[tuple[ResponseStore, ResponseStore]]:
        """Return a context with two stores that keep the same data, as those of two processes would."""
        raise NotImplementedError("override open_pair where can_be_shared is True: two stores on the same data")

    def make_time_pass(self, seconds: float) -> None:
        """Let the clock of the store that was opened last go on."""
        raise NotImplementedError("override make_time_pass where can_pass_time is True: move the clock of the store")


def conforms(check: Callable[[Self_, ResponseStore], Awaitable[None]]) -> Callable[[Self_], None]:
    """Make a test of a check of one store."""

    async def run(suite: Self_) -> None:
        async with suite.open_store() as store:
            await check(suite, store)

    return _test(check, run)


def conforms_when_time_passes(check: Callable[[Self_, ResponseStore], Awaitable[None]]) -> Callable[[Self_], None]:
    """Make a test of a check of one store that calls `make_time_pass`."""

    async def run(suite: Self_) -> None:
        if not suite.can_pass_time:
            raise unittest.SkipTest("can_pass_time is False")
        async with suite.open_store() as store:
            await check(suite, store)

    return _test(check, run)


def conforms_when_shared(
    check: Callable[[Self_, ResponseStore, ResponseStore], Awaitable[None]],
) -> Callable[[Self_], None]:
    """Make a test of a check of two stores on the same data."""

    async def run(suite: Self_) -> None:
        if not suite.can_be_shared:
            raise unittest.SkipTest("can_be_shared is False")
        async with suite.open_pair() as (one, other):
            await check(suite, one, other)

    return _test(check, run)


def _test(
    check: Callable[Concatenate[Self_, P], object], run: Callable[[Self_], Awaitable[None]]
) -> Callable[[Self_], None]:
    def test(suite: Self_) -> None:
        for backend in suite.backends:
            anyio.run(run, suite, backend=backend)

    # Not functools.wraps: a test runner would look for fixtures with the names of the check's parameters.
    test.__name__, test.__qualname__, test.__doc__ = check.__name__, check.__qualname__, check.__doc__
    return test


def frame(number: int, text: str = "") -> bytes:
    """Return the frame of an event with this number."""
    return f'event: x\ndata: {{"sequence_number":{number},"text":"{text}"}}\n\n'.encode()


def frames(first: int, stop: int) -> list[bytes]:
    """Return the frames of the events from *first* up to *stop*."""
    return [frame(number) for number in range(first, stop)]


def item(id: str) -> Item:
    """Return an item with this id."""
    return Item(id, f'{{"id":"{id}"}}'.encode())


def ids(items: Sequence[Item]) -> list[str]:
    """Return the ids of *items*, each of which has to hold what `item` has put there."""
    for found in items:
        assert found == item(found.id), f"the item {found.id!r} comes back as {found.data!r}"
    return [found.id for found in items]


def new(
    response_id: str,
    *,
    partition: str = "p",
    owner: str = "me",
    previous: str | None = None,
    conversation: str | None = None,
    inputs: Sequence[str] = (),
) -> NewResponse:
    """Return a response to create."""
    return NewResponse(
        key=Key(partition, response_id),
        owner=owner,
        response=b'{"status":"in_progress"}',
        status="in_progress",
        background=True,
        stream=False,
        previous_response_id=previous,
        conversation_id=conversation,
        input_items=[item(id) for id in inputs],
    )


def ending(*outputs: str, status: str = "completed") -> Ending:
    """Return an ending with outputs of these ids."""
    return Ending(f'{{"status":"{status}"}}'.encode(), status, [item(id) for id in outputs])


async def turn(
    store: ResponseStore,
    response_id: str,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    *,
    previous: str | None = None,
    conversation: str | None = None,
) -> Key:
    """Store a response that has ended, and return its key."""
    created = new(response_id, previous=previous, conversation=conversation, inputs=inputs)
    await store.create(created)
    await store.append(created.key, "me", 0, [], ending(*outputs))
    return created.key


async def log(store: ResponseStore, key: Key, after: int = -1) -> tuple[list[bytes], EventPage]:
    """Read pages until one is empty or the last; return all frames and that page."""
    read: list[bytes] = []
    while True:
        page = await store.events(key, after)
        if page.frames:
            assert page.first == after + 1, f"a page after {after} begins with {page.first}"
        read += page.frames
        after += len(page.frames)
        if not page.frames or page.ended:
            return read, page


def told(notices: Notices) -> list[Key]:
    """Return all that *notices* tell of."""
    return [*notices.cancelled, *notices.orphans]


async def refused(error: type[E], doing: Awaitable[object]) -> E:
    """Return the *error* that *doing* has to raise."""
    try:
        result = await doing
    except error as raised:
        return raised
    raise AssertionError(f"{error.__name__} was not raised; the method returned {result!r}")
