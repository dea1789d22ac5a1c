"""Both stores do what a model in a page of code does, whatever is asked of them in whatever order."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, TypeVar

import anyio
import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from responses_stream import MemoryStore, ResponseStore, SqliteStore
from responses_stream.stores.base import (
    AlreadyStored,
    Ending,
    Fenced,
    InFlight,
    Item,
    Key,
    NewResponse,
    NotStored,
    StoreError,
)

from .shared_stores import SHARED

T = TypeVar("T")
OWNERS = ("a", "b")
PARTITIONS = ("", "p")
NAMES = ("r0", "r1", "r2", "r3")
CONVERSATIONS = ("c", "d")

names = st.sampled_from(NAMES)
keys = st.builds(Key, st.sampled_from(PARTITIONS), names)
owners = st.sampled_from(OWNERS)
counts = st.integers(0, 3)
limits = st.integers(1, 8)
operations = st.one_of(
    st.tuples(
        st.just("create"),
        keys,
        owners,
        counts,
        st.none() | names,
        st.none() | st.sampled_from(CONVERSATIONS),
    ),
    st.tuples(st.just("append"), keys, owners, st.integers(-1, 1), counts, st.booleans()),
    st.tuples(st.just("append"), keys, owners, st.just(0), counts, st.booleans()),
    st.tuples(st.just("cancel"), keys),
    st.tuples(st.just("delete"), keys),
    st.tuples(st.just("claim"), keys, owners, names),
    st.tuples(st.just("unclaim"), keys, owners, names),
    st.tuples(st.just("attend"), owners),
    st.tuples(st.just("release"), owners),
)


@attrs.define(eq=False)
class Row:
    new: NewResponse
    owner: str
    frames: list[bytes]
    parent: Row | None
    outputs: list[Item] = attrs.field(factory=list)
    status: str = "in_progress"
    ended: bool = False
    cancelling: bool = False
    told: bool = False
    gone: bool = False
    continued_by: list[Row] = attrs.field(factory=list)

    def items(self) -> list[Item]:
        return [*self.new.input_items, *self.outputs]

    def chain(self) -> list[Row]:
        return [*(self.parent.chain() if self.parent else []), self]

    def is_kept(self) -> bool:
        return not self.gone or any(row.is_kept() for row in self.continued_by)


@attrs.define
class Model:
    """What a store says, worked out anew at each question."""

    rows: list[Row] = attrs.field(factory=list)
    leases: dict[str, bool] = attrs.field(factory=dict)
    claims: dict[tuple[str, str], tuple[str, str]] = attrs.field(factory=dict)
    made: int = 0

    def find(self, key: Key) -> Row | None:
        return next((row for row in self.rows if row.new.key == key and not row.gone), None)

    def row(self, key: Key) -> Row:
        row = self.find(key)
        if row is None:
            raise NotStored(key)
        return row

    def new_items(self, count: int) -> list[Item]:
        self.made += count
        return [Item(f"i{number}", b"{}") for number in range(self.made - count, self.made)]

    def create(self, new: NewResponse, frames: list[bytes]) -> None:
        if self.find(new.key):
            raise AlreadyStored(new.key)
        self.leases.setdefault(new.owner, True)
        parent = self.find(Key(new.key.partition, new.previous_response_id)) if new.previous_response_id else None
        row = Row(new, new.owner, list(frames), parent)
        self.rows.append(row)
        if parent:
            parent.continued_by.append(row)

    def append(self, key: Key, owner: str, first: int, frames: list[bytes], ending: Ending | None) -> None:
        row = self.row(key)
        if row.ended or row.owner != owner or (frames and first != len(row.frames)):
            raise Fenced(key, "")
        row.frames += frames
        if ending:
            row.ended, row.cancelling, row.status, row.outputs = True, False, ending.status, list(ending.output_items)

    def cancel(self, key: Key) -> None:
        row = self.row(key)
        row.cancelling = not row.ended

    def delete(self, key: Key) -> None:
        row = self.row(key)
        if not row.ended and not row.cancelling:
            raise InFlight(key)
        row.gone = True
        for at, (response_id, _) in [*self.claims.items()]:
            if Key(at[0], response_id) == key:
                del self.claims[at]

    def claim(self, partition: str, name: str, response_id: str, owner: str) -> tuple[str, bool]:
        held = self.claims.get((partition, name))
        if held and (self.find(Key(partition, held[0])) or self.leases.get(held[1])):
            return held[0], False
        self.leases.setdefault(owner, True)
        self.claims[partition, name] = response_id, owner
        return response_id, True

    def unclaim(self, partition: str, name: str, response_id: str, owner: str) -> None:
        if self.claims.get((partition, name)) == (response_id, owner):
            del self.claims[partition, name]

    def attend(self, owner: str) -> tuple[list[Key], list[Key]]:
        self.leases[owner] = True
        live = [row for row in self.rows if not row.ended and not row.gone]
        told = [row for row in live if row.owner == owner and row.cancelling and not row.told]
        orphans = [row for row in live if not self.leases[row.owner]]
        for row in (*told, *orphans):
            row.told = row.cancelling
        for row in orphans:
            row.owner = owner
        for other, holds in [*self.leases.items()]:
            if not holds:
                del self.leases[other]
                for at, (response_id, holder) in [*self.claims.items()]:
                    if holder == other and not self.find(Key(at[0], response_id)):
                        del self.claims[at]
        return sorted([row.new.key for row in told], key=str), sorted([row.new.key for row in orphans], key=str)

    def history(self, partition: str, previous: str | None, conversation: str | None) -> list[Item]:
        if previous:
            return [item for row in self.row(Key(partition, previous)).chain() for item in row.items()]
        rows = [row for row in self.rows if not row.gone and row.new.conversation_id == conversation]
        return [item for row in rows if row.new.key.partition == partition for item in row.items()]


async def outcome(doing: Awaitable[T]) -> T | type[StoreError]:
    try:
        return await doing
    except StoreError as error:
        return type(error)


async def step(model: Model, store: ResponseStore, operation: tuple[Any, ...]) -> None:
    expected: object = None
    found: object = None
    name, subject, *rest = operation
    try:
        match name:
            case "create":
                owner, count, previous, conversation = rest
                new = NewResponse(
                    key=subject,
                    owner=owner,
                    response=b"{}",
                    status="in_progress",
                    background=count > 1,
                    stream=count > 0,
                    previous_response_id=previous,
                    conversation_id=conversation,
                    input_items=model.new_items(count),
                )
                frames = [f"data: {subject} {number}\n\n".encode() for number in range(count)]
                found = await outcome(store.create(new, frames))
                model.create(new, frames)
            case "append":
                owner, off, count, ends = rest
                row = model.find(subject)
                first = len(row.frames) + off if row else 0
                frames = [f"data: {subject} {number}\n\n".encode() for number in range(first, first + count)]
                ending = Ending(b"{2}", "completed", model.new_items(count)) if ends else None
                found = await outcome(store.append(subject, owner, first, frames, ending))
                model.append(subject, owner, first, frames, ending)
            case "cancel":
                stored = await outcome(store.cancel(subject))
                found = stored if isinstance(stored, type) else None
                model.cancel(subject)
            case "delete":
                found = await outcome(store.delete(subject))
                model.delete(subject)
            case "claim":
                owner, key = rest
                claimed = await store.claim(subject.partition, key, b"", subject.response_id, owner)
                found = claimed.response_id, claimed.mine
                expected = model.claim(subject.partition, key, subject.response_id, owner)
            case "unclaim":
                owner, key = rest
                await store.unclaim(subject.partition, key, subject.response_id, owner)
                model.unclaim(subject.partition, key, subject.response_id, owner)
            case "attend":
                notices = await store.attend(subject, 1e9, 0)
                found = sorted(notices.cancelled, key=str), sorted(notices.orphans, key=str)
                expected = model.attend(subject)
            case "release":
                await store.release(subject)
                if subject in model.leases:
                    model.leases[subject] = False
    except StoreError as error:
        expected = type(error)
    assert found == expected


async def compare(model: Model, store: ResponseStore, limit: int) -> None:
    for partition in PARTITIONS:
        for name in NAMES:
            key = Key(partition, name)
            row = model.find(key)
            if row is None:
                assert await outcome(store.get(key)) is NotStored
                assert await outcome(store.events(key)) is NotStored
                continue
            stored = await store.get(key)
            assert (stored.owner, stored.status, stored.ended) == (row.owner, row.status, row.ended)
            assert (stored.cancelling, stored.last_number) == (row.cancelling, len(row.frames) - 1)
            assert (stored.background, stored.stream) == (row.new.background, row.new.stream)
            page = await store.events(key, limit - 2)
            assert (list(page.frames), page.ended) == (row.frames[limit - 1 :], row.ended)
            assert page.kept == bool(row.frames)
            given = [item for other in row.chain()[:-1] for item in other.items()] + list(row.new.input_items)
            listed = await store.input_items(key, limit=limit)
            assert (list(listed.items), listed.has_more) == (given[::-1][:limit], len(given) > limit)
            history = await store.history(partition, previous_response_id=name, limit=limit)
            assert list(history) == model.history(partition, name, None)[-limit:]
        for conversation in CONVERSATIONS:
            history = await store.history(partition, conversation_id=conversation, limit=limit)
            assert list(history) == model.history(partition, None, conversation)[-limit:]
        kept = {
            item.id: item
            for row in model.rows
            if row.new.key.partition == partition and row.is_kept()
            for item in row.items()
        }
        every = [f"i{number}" for number in range(model.made)]
        assert list(await store.items(partition, every)) == [kept.get(id) for id in every]


async def play(store: ResponseStore, asked: list[tuple[Any, ...]], limit: int) -> None:
    model = Model()
    for operation in asked:
        await step(model, store, operation)
    await compare(model, store, limit)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@given(asked=st.lists(operations, max_size=40), limit=limits)
@settings(deadline=None, derandomize=True, database=None, max_examples=75, suppress_health_check=[HealthCheck.too_slow])
def test_a_store_does_what_the_model_does(kind: str, asked: list[tuple[Any, ...]], limit: int) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as place:
            store: ResponseStore = MemoryStore() if kind == "memory" else SqliteStore(Path(place) / "r.sqlite3")
            await play(store, asked, limit)
            await store.aclose()

    anyio.run(run)


@pytest.mark.parametrize("kind", ["redis", "postgres"])
@given(asked=st.lists(operations, max_size=40), limit=limits)
@settings(deadline=None, derandomize=True, database=None, max_examples=8, suppress_health_check=[HealthCheck.too_slow])
def test_a_shared_store_does_what_the_model_does(kind: str, asked: list[tuple[Any, ...]], limit: int) -> None:
    async def run() -> None:
        async with SHARED[kind]() as [store]:
            await play(store, asked, limit)

    anyio.run(run)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["redis", "postgres"])
@given(asked=st.lists(operations, max_size=60), limit=limits)
@settings(deadline=None, derandomize=True, database=None, max_examples=100, suppress_health_check=list(HealthCheck))
def test_a_shared_store_does_what_the_model_does_for_long(kind: str, asked: list[tuple[Any, ...]], limit: int) -> None:
    async def run() -> None:
        async with SHARED[kind]() as [store]:
            await play(store, asked, limit)

    anyio.run(run)
