"""What `MemoryStore` promises beyond the contract: it forgets the oldest in time, and never what is live (pains E1)."""

from __future__ import annotations

import anyio
import attrs
import pytest

from responses_stream import InvalidType, InvalidValue, MemoryStore
from responses_stream.stores.base import Ending, Item, Key, NewResponse, NotStored

pytestmark = pytest.mark.anyio


@attrs.define
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def new(id: str, *, previous: str | None = None, inputs: list[Item] | None = None, size: int = 2) -> NewResponse:
    return NewResponse(
        key=Key("", id),
        owner="me",
        response=b"x" * size,
        status="in_progress",
        background=True,
        stream=True,
        previous_response_id=previous,
        input_items=inputs or [],
    )


async def turn(store: MemoryStore, id: str, *, previous: str | None = None, size: int = 2) -> None:
    await store.create(new(id, previous=previous, inputs=[Item(f"in_{id}", b"{}")]), [b"data: 0\n\n"])
    await store.append(Key("", id), "me", 1, [], Ending(b"x" * size, "completed", [Item(f"out_{id}", b"{}")]))


async def there(store: MemoryStore, *ids: str) -> list[str]:
    found = []
    for id in ids:
        try:
            await store.get(Key("", id))
        except NotStored:
            continue
        found.append(id)
    return found


def test_append_never_yields_to_the_event_loop() -> None:
    store = MemoryStore()
    for step in (
        store.create(new("r")),
        store.append(Key("", "r"), "me", 0, [b"data: 0\n\n"]),
        store.append(Key("", "r"), "me", 1, [], Ending(b"{}", "completed")),
    ):
        with pytest.raises(StopIteration):
            step.send(None)


def test_a_store_serves_one_event_loop_after_the_other() -> None:
    store = MemoryStore()

    async def wait() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(store.changed, Key("", "r"), -1, 3600)
            tasks.start_soon(store.attend, "me", 3600, 3600)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        with anyio.fail_after(20):
            await store.changed(Key("", "r"), -1, 0.01)

    anyio.run(store.create, new("r"))
    for backend in ("asyncio", "trio", "asyncio"):
        anyio.run(wait, backend=backend)
    anyio.run(store.append, Key("", "r"), "me", 0, [b"data: 0\n\n"])


async def test_beyond_its_number_those_that_ended_first_go() -> None:
    store = MemoryStore(max_responses=3)
    await store.create(new("live"))
    await store.create(new("long"))
    for id in ("r1", "r2"):
        await turn(store, id)
    assert await there(store, "live", "long", "r1", "r2") == ["live", "long", "r2"]
    await store.append(Key("", "long"), "me", 0, [], Ending(b"{}", "completed"))
    await store.create(new("r3"))
    assert await there(store, "live", "long", "r2", "r3") == ["live", "long", "r3"]
    assert await store.items("", ["in_r1", "out_r1", "in_r2"]) == [None, None, None]


async def test_what_is_live_is_never_removed() -> None:
    store = MemoryStore(max_responses=2, max_bytes=10)
    for number in range(10):
        await store.create(new(f"r{number}"), [b"data: 0\n\n"])
    assert len(await there(store, *(f"r{number}" for number in range(10)))) == 10


async def test_beyond_its_bytes_those_that_ended_first_go_and_the_last_stays() -> None:
    store = MemoryStore(max_bytes=1000)
    for number in range(20):
        await turn(store, f"r{number}", size=300)
    assert await there(store, *(f"r{number}" for number in range(20))) == ["r17", "r18", "r19"]
    await turn(store, "large", size=5000)
    assert await there(store, "r18", "r19", "large") == ["large"]
    await turn(store, "small")
    assert await there(store, "large", "small") == ["small"]


async def test_events_of_a_live_response_push_ended_ones_out() -> None:
    store = MemoryStore(max_bytes=1000)
    await turn(store, "r1", size=300)
    await turn(store, "r2", size=300)
    await store.create(new("live"))
    await store.append(Key("", "live"), "me", 0, [b"x" * 600])
    assert await there(store, "r1", "r2", "live") == ["r2", "live"]


async def test_bytes_of_what_was_removed_do_not_count() -> None:
    store = MemoryStore(max_bytes=2000)
    await turn(store, "kept", size=500)
    for number in range(50):
        await turn(store, "r", size=500)
        await turn(store, "s", previous="r", size=500)
        await store.delete(Key("", ("r", "s")[number % 2]))
        await store.delete(Key("", ("s", "r")[number % 2]))
    assert await there(store, "kept") == ["kept"]


async def test_logs_go_before_their_responses() -> None:
    clock = Clock()
    store = MemoryStore(event_retention=10, response_retention=100, clock=clock)
    await turn(store, "r1")
    await store.create(new("live"), [b"data: 0\n\n"])
    clock.now = 5
    await turn(store, "r2")
    clock.now = 10
    page = await store.events(Key("", "r1"))
    assert (list(page.frames), page.ended, page.kept) == ([], True, False)
    assert (await store.get(Key("", "r1"))).last_number == 0
    assert (await store.events(Key("", "r2"))).kept
    clock.now = 100
    assert await there(store, "r1", "r2", "live") == ["r2", "live"]
    assert await store.items("", ["in_r1"]) == [None]
    clock.now = 105
    assert await there(store, "r2", "live") == ["live"]
    assert (await store.events(Key("", "live"))).kept


async def test_histories_end_behind_what_was_removed() -> None:
    store = MemoryStore(max_responses=2)
    await turn(store, "r1")
    await turn(store, "r2", previous="r1")
    await turn(store, "r3", previous="r2")
    history = await store.history("", previous_response_id="r3", limit=100)
    assert [item.id for item in history] == ["in_r2", "out_r2", "in_r3", "out_r3"]


async def test_an_owner_that_never_attended_has_a_first_lease() -> None:
    clock = Clock()
    store = MemoryStore(clock=clock)
    await store.create(new("r"))
    assert not (await store.attend("you", 1000, 0)).orphans
    clock.now = 61
    assert list((await store.attend("you", 1000, 0)).orphans) == [Key("", "r")]


@pytest.mark.parametrize("name", ["max_responses", "max_bytes"])
def test_bounds_are_whole_numbers_above_nought(name: str) -> None:
    with pytest.raises(InvalidValue, match=f"{name}: has to be at least 1, got 0"):
        MemoryStore(**{name: 0})  # type: ignore[arg-type]  # any option
    with pytest.raises(InvalidType, match=name):
        MemoryStore(**{name: 1.5})  # type: ignore[arg-type]  # a wrong one


@pytest.mark.parametrize("name", ["event_retention", "response_retention"])
def test_retentions_are_seconds(name: str) -> None:
    with pytest.raises(InvalidValue, match=f"{name}: has to be 0 or more seconds, got -1"):
        MemoryStore(**{name: -1})  # type: ignore[arg-type]  # any option
    with pytest.raises(InvalidType, match=name):
        MemoryStore(**{name: "1"})  # type: ignore[arg-type]  # a wrong one
