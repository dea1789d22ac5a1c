"""The log of a response: any number of readers, each at its own place, and no more in memory than it has to be."""

from __future__ import annotations

from typing import Final

import anyio
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from responses_stream.hosting.log import MOST_UNREAD, MOST_UNSAVED, WINDOW, Keeping, Log

MACHINE: Final = settings(deadline=None, derandomize=True, database=None, max_examples=40, stateful_step_count=25)
LARGE: Final = {size: b"x" * size for size in (30_000, MOST_UNREAD)}
SIZES: Final = st.sampled_from([0, 0, *LARGE])


class LogMachine(RuleBasedStateMachine):
    """Compares a log with the list of all that was added to it."""

    keeping: Keeping

    def __init__(self) -> None:
        super().__init__()
        self.log = Log(self.keeping)
        self.said: list[bytes] = []
        self.shown = 0
        self.position = 0

    # Once the log holds hidden frames, a run goes on by `add`; a foreground run has none, and goes on by `put`.
    @precondition(lambda self: self.shown == len(self.said) and not self.log.ended)
    @rule(size=SIZES)
    def put(self, size: int) -> None:
        frame = LARGE.get(size) or str(len(self.said)).encode()
        self.log.put(frame)
        self.said.append(frame)
        self.shown += 1

    @precondition(lambda self: not self.log.ended)
    @rule(size=SIZES)
    def add(self, size: int) -> None:
        frame = LARGE.get(size) or str(len(self.said)).encode()
        self.log.add(frame)
        self.said.append(frame)

    @rule()
    def show_all(self) -> None:
        self.log.show()
        self.shown = len(self.said)

    @rule(share=st.floats(0, 1))
    def show_some(self, share: float) -> None:
        self.shown += int((len(self.said) - self.shown) * share)
        self.log.show(self.shown)

    @rule()
    def drop_hidden(self) -> None:
        self.log.drop_hidden()
        del self.said[self.shown :]

    @rule()
    def end(self) -> None:
        self.log.drop_hidden()
        del self.said[self.shown :]
        self.log.end()

    @rule(share=st.floats(0, 1))
    def read(self, share: float) -> None:
        """Read on, as the one reader of its log does, or begin anywhere, as others do."""
        if self.keeping is Keeping.UNTIL_TAKEN:
            place = self.position
        else:
            place = self.log.first + int((self.shown - self.log.first) * share)
        assert place >= self.log.first
        assert self.log.read(place) == self.said[place : self.shown]
        if self.keeping is Keeping.UNTIL_TAKEN:
            self.position = self.shown

    @invariant()
    def numbers_agree(self) -> None:
        assert (self.log.length, self.log.shown) == (len(self.said), self.shown)
        assert self.log.hidden() == self.said[self.shown :]
        assert 0 <= self.log.first <= self.shown

    @invariant()
    def holds_what_it_should(self) -> None:
        log = self.log
        held = sum(map(len, self.said[log.first : self.shown]))
        if self.keeping is Keeping.ALL:
            assert log.first == 0
        elif self.keeping is Keeping.UNTIL_TAKEN:
            assert log.first == self.position
        elif self.keeping is Keeping.WINDOW:
            assert held >= min(WINDOW // 2, sum(map(len, self.said[: self.shown]))) - max(LARGE)

    @invariant()
    def is_full_where_the_run_is_too_far_ahead(self) -> None:
        first = self.position if self.keeping is Keeping.UNTIL_TAKEN else self.shown
        ahead = sum(map(len, self.said[first:]))
        assert self.log.full is (ahead >= (MOST_UNREAD if self.keeping is Keeping.UNTIL_TAKEN else MOST_UNSAVED))


@pytest.mark.parametrize("keeping", Keeping)
def test_a_log_holds_what_was_said(keeping: Keeping) -> None:
    machine = type("Machine", (LogMachine,), {"keeping": keeping})
    run_state_machine_as_test(machine, settings=MACHINE)
    log = Log(keeping)
    assert (log.length, log.shown, log.first, log.size, log.full, log.ended) == (0, 0, 0, 0, False, False)


def test_nothing_is_held_that_nobody_reads() -> None:
    log = Log(Keeping.NOTHING)
    for _ in range(100):
        log.put(b"x" * 100)
    log.add(b"y")
    assert log.hidden() == [b"y"]
    log.show()
    assert (log.first, log.shown, log.read(101)) == (101, 101, [])
    assert log.size == 10_001


def test_the_newest_are_held_where_the_store_has_all() -> None:
    """H20.21, H20.23: a slow reader costs no memory. What is old goes in strides of half a window."""
    log = Log(Keeping.WINDOW)
    frame = b"x" * 1024
    for _ in range(10 * WINDOW // 1024):
        log.add(frame)
        log.show()
    held = len(log.read(log.first)) * 1024
    assert WINDOW // 2 - 1024 <= held <= WINDOW
    assert log.length == 10 * WINDOW // 1024


def test_what_is_said_last_is_said_where_the_log_is_full() -> None:
    log = Log(Keeping.UNTIL_TAKEN)
    log.put(b"x" * MOST_UNREAD)
    assert log.full
    log.add(b"end")
    log.show()
    assert log.read(0)[-1] == b"end"
    assert not log.full


@pytest.mark.anyio
@pytest.mark.parametrize("way", ["put", "show", "end"])
async def test_every_reader_that_waits_is_woken(way: str) -> None:
    log = Log(Keeping.ALL)
    found: list[list[bytes]] = []

    async def read() -> None:
        arrival = log.arrival(0)
        assert arrival is not None
        await arrival.wait()
        found.append(log.read(0))

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        if way == "put":
            log.put(b"x")
        elif way == "show":
            log.add(b"x")
            await anyio.wait_all_tasks_blocked()
            assert found == []
            log.show()
        else:
            log.end()
    assert found == [[] if way == "end" else [b"x"]] * 3


@pytest.mark.anyio
async def test_who_saves_is_woken_by_what_was_added_and_by_the_end() -> None:
    log = Log(Keeping.WINDOW)
    woken: list[int] = []

    async def save() -> None:
        while not log.ended:
            await log.added()
            woken.append(len(log.hidden()))
            log.show()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(save)
        await anyio.wait_all_tasks_blocked()
        log.add(b"a")
        log.add(b"b")
        await anyio.wait_all_tasks_blocked()
        log.add(b"c")
        await anyio.wait_all_tasks_blocked()
        log.end()
    assert woken == [2, 1, 0]


@pytest.mark.anyio
@pytest.mark.parametrize("way", ["read", "end"])
async def test_a_run_that_is_too_far_ahead_waits_for_room(way: str) -> None:
    """H13.7."""
    log = Log(Keeping.UNTIL_TAKEN)
    log.put(b"x" * MOST_UNREAD)
    went_on = anyio.Event()

    async def run() -> None:
        await log.room()
        went_on.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await anyio.wait_all_tasks_blocked()
        assert not went_on.is_set()
        if way == "read":
            assert len(log.read(0)) == 1
        else:
            log.end()
        await went_on.wait()


@pytest.mark.anyio
async def test_nobody_waits_for_what_is_there() -> None:
    log = Log(Keeping.ALL)
    log.put(b"x")
    log.add(b"y")
    assert log.arrival(0) is None
    with anyio.fail_after(1):
        await log.added()
        await log.room()
    log.end()
    assert log.arrival(7) is None
    assert log.hidden() == [b"y"]
