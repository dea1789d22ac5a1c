"""The part of the conformance suite about owners: idempotency keys, leases, and what `attend` tells."""

from __future__ import annotations

import anyio
import attrs

from responses_stream.stores.base import Claim, Fenced, Key, NotStored, Recovery, ResponseStore
from responses_stream.stores.conforming import (
    LEASE,
    SECONDS,
    Conforming,
    at_rest,
    conforms,
    conforms_when_shared,
    conforms_when_time_passes,
    ending,
    frame,
    frames,
    log,
    new,
    refused,
    told,
    turn,
)

KEY = Key("p", "r")


class OwnerConformance(Conforming):
    """Checks of claims, leases and notices."""

    @conforms
    async def test_a_claim_is_held_by_one(self, store: ResponseStore) -> None:
        await store.attend("me", LEASE, 0)
        assert await store.claim("p", "k", b"1", "r", "me") == Claim("r", b"1", mine=True)
        assert await store.claim("p", "k", b"2", "s", "you") == Claim("r", b"1", mine=False)
        assert (await store.claim("q", "k", b"2", "s", "you")).mine, "a claim holds in its partition only"
        assert (await store.claim("p", "l", b"2", "s", "you")).mine

    @conforms
    async def test_a_claim_is_freed_by_who_has_made_it(self, store: ResponseStore) -> None:
        await store.attend("me", LEASE, 0)
        await store.claim("p", "k", b"1", "r", "me")
        await store.unclaim("p", "k", "another", "me")
        await store.unclaim("p", "none", "r", "me")
        await store.unclaim("p", "k", "r", "you")
        assert not (await store.claim("p", "k", b"2", "s", "you")).mine
        await store.create(new("r", owner="you"))  # somebody else was faster, with another key
        await store.unclaim("p", "k", "r", "me")
        assert (await store.claim("p", "k", b"1", "t", "me")).mine

    @conforms
    async def test_a_claim_lasts_as_long_as_its_response(self, store: ResponseStore) -> None:
        await store.attend("me", LEASE, 0)
        await store.claim("p", "k", b"1", "r", "me")
        await store.create(new("r"))
        await store.append(KEY, "me", 0, [], ending())
        await store.release("me")
        await store.attend("you", LEASE, 0)
        assert await store.claim("p", "k", b"2", "s", "you") == Claim("r", b"1", mine=False)
        await store.delete(KEY)
        assert await store.claim("p", "k", b"2", "s", "you") == Claim("s", b"2", mine=True)

    @conforms
    async def test_a_claim_without_a_response_ends_with_the_lease_of_its_owner(self, store: ResponseStore) -> None:
        await store.attend("me", LEASE, 0)
        await store.claim("p", "k", b"1", "r", "me")
        await store.release("me")
        assert (await store.claim("p", "k", b"2", "s", "you")).mine

    @conforms
    async def test_each_cancel_is_told_to_the_owner_once(self, store: ResponseStore) -> None:
        for response_id in ("r", "s", "t"):
            await store.create(new(response_id))
        await store.attend("you", LEASE, 0)
        assert not told(await store.attend("me", LEASE, 0))
        await store.cancel(KEY)
        await store.cancel(KEY)
        await store.cancel(Key("p", "s"))
        await store.append(Key("p", "s"), "me", 0, [], ending())
        assert not told(await store.attend("you", LEASE, 0))
        notices = await store.attend("me", LEASE, 0)
        assert (list(notices.cancelled), list(notices.orphans)) == ([KEY], [])
        await store.cancel(KEY)
        notices = await store.attend("me", LEASE, 0)
        assert not told(notices)

    @conforms
    async def test_attend_is_woken_by_a_cancel(self, store: ResponseStore) -> None:
        await store.create(new("r"))
        heard: list[Key] = []

        async def attend() -> None:
            heard.extend((await store.attend("me", LEASE, 3600)).cancelled)

        with anyio.fail_after(SECONDS):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(attend)
                await at_rest()
                await store.cancel(KEY)
        assert heard == [KEY]

    @conforms
    async def test_attend_returns_when_its_time_is_over(self, store: ResponseStore) -> None:
        with anyio.fail_after(SECONDS):
            for seconds in (0, 0.02):
                notices = await store.attend("me", LEASE, seconds)
                assert not told(notices)

    @conforms
    async def test_what_a_released_owner_has_left_live_goes_to_one_other(self, store: ResponseStore) -> None:
        await store.attend("me", LEASE, 0)
        await turn(store, "ended")
        for number in range(20):
            await store.create(new(f"r{number}"), [frame(0)])
        await store.release("me")
        taken: dict[str, list[Key]] = {}

        async def attend(owner: str) -> None:
            taken[owner] = list((await store.attend(owner, LEASE, 0)).orphans)

        async with anyio.create_task_group() as tasks:
            for owner in ("one", "two", "three"):
                tasks.start_soon(attend, owner)
        every = [key for keys in taken.values() for key in keys]
        assert sorted(key.response_id for key in every) == sorted(f"r{number}" for number in range(20))
        for owner, keys in taken.items():
            assert list((await store.attend(owner, LEASE, 0)).orphans) == [], "an orphan was told of twice"
            for key in keys:
                assert (await store.get(key)).owner == owner
                await refused(Fenced, store.append(key, "me", 1, [frame(1)]))
                await store.append(key, owner, 1, [frame(1)], ending(status="failed"))

    @conforms
    async def test_attend_is_woken_by_a_release(self, store: ResponseStore) -> None:
        await store.attend("me", LEASE, 0)
        await store.create(new("r"))
        heard: list[Key] = []

        async def attend() -> None:
            heard.extend((await store.attend("you", LEASE, 3600)).orphans)

        with anyio.fail_after(SECONDS):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(attend)
                await at_rest()
                await store.release("me")
        assert heard == [KEY]

    @conforms
    async def test_an_orphan_that_is_being_cancelled_is_told_of_as_an_orphan(self, store: ResponseStore) -> None:
        await store.attend("me", LEASE, 0)
        await store.create(new("r"))
        await store.cancel(KEY)
        await store.release("me")
        notices = await store.attend("you", LEASE, 0)
        assert (list(notices.cancelled), list(notices.orphans)) == ([], [KEY])
        assert not told(await store.attend("you", LEASE, 0))

    @conforms
    async def test_what_is_needed_for_a_recovery_is_kept_while_a_response_is_live(self, store: ResponseStore) -> None:
        await store.attend("me", LEASE, 0)
        await store.create(new("plain"))
        assert await store.recovery(Key("p", "plain")) == Recovery()
        await store.create(attrs.evolve(new("r"), recovery=b"the \x00 request"))
        assert await store.recovery(KEY) == Recovery(b"the \x00 request")
        await store.note(KEY, "me", b"1")
        await store.note(KEY, "me", b"2 \xff")
        await store.note(Key("p", "plain"), "me", b"")
        assert await store.recovery(KEY) == Recovery(b"the \x00 request", b"2 \xff")
        assert await store.recovery(Key("p", "plain")) == Recovery(None, b"")
        await refused(Fenced, store.note(KEY, "you", b"3"))
        await store.release("me")
        await store.attend("you", LEASE, 0)
        await refused(Fenced, store.note(KEY, "me", b"3"))
        await store.note(KEY, "you", b"4")
        assert await store.recovery(KEY) == Recovery(b"the \x00 request", b"4")
        await store.append(KEY, "you", 0, [], ending())
        assert await store.recovery(KEY) == Recovery()
        await refused(Fenced, store.note(KEY, "you", b"5"))
        for foreign in (Key("q", "r"), Key("p", "none")):
            await refused(NotStored, store.recovery(foreign))
            await refused(NotStored, store.note(foreign, "you", b"6"))

    @conforms_when_time_passes
    async def test_a_lease_is_over_later_for_who_gives_a_grace(self, store: ResponseStore) -> None:
        await store.attend("late", 60, 0)
        await store.attend("back", 60, 0)
        await store.create(new("r", owner="late"))
        await store.create(new("s", owner="back"))
        self.make_time_pass(90)
        assert not told(await store.attend("me", 600, 0, grace=60))
        await store.attend("back", 600, 0, grace=60)
        await store.append(Key("p", "s"), "back", 0, [frame(0)])
        self.make_time_pass(31)
        assert list((await store.attend("me", 600, 0, grace=60)).orphans) == [KEY]
        await store.release("back")
        assert list((await store.attend("me", 600, 0, grace=60)).orphans) == [Key("p", "s")]

    @conforms_when_time_passes
    async def test_a_lease_that_is_renewed_goes_on(self, store: ResponseStore) -> None:
        await store.attend("me", 60, 0)
        await store.create(new("r"))
        await store.claim("p", "k", b"1", "s", "me")
        for _ in range(3):
            self.make_time_pass(40)
            await store.attend("me", 60, 0)
            assert list((await store.attend("you", 60, 0)).orphans) == []
        await store.append(KEY, "me", 0, [frame(0)])
        self.make_time_pass(61)
        assert (await store.claim("p", "k", b"2", "t", "you")).mine
        assert list((await store.attend("you", 60, 0)).orphans) == [KEY]
        await refused(Fenced, store.append(KEY, "me", 1, [frame(1)]))

    @conforms_when_shared
    async def test_what_one_writes_the_other_reads(self, one: ResponseStore, other: ResponseStore) -> None:
        await one.attend("me", LEASE, 0)
        await one.create(new("r", inputs=["in"]), [frame(0)])
        assert list((await other.events(KEY)).frames) == [frame(0)]
        await other.append(KEY, "me", 1, [frame(1)])
        await one.append(KEY, "me", 2, [frame(2)], ending("out"))
        assert (await log(other, KEY))[0] == frames(0, 3)
        assert [found.id for found in await other.history("p", previous_response_id="r", limit=9)] == ["in", "out"]

    @conforms_when_shared
    async def test_a_follower_of_another_process_is_woken(self, one: ResponseStore, other: ResponseStore) -> None:
        await one.create(new("r"))
        with anyio.fail_after(SECONDS):
            for number in range(3):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(other.changed, KEY, number - 1, 3600)
                    await at_rest()
                    await one.append(KEY, "me", number, [frame(number)])
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(other.changed, KEY, 2, 3600)
                await at_rest()
                await one.append(KEY, "me", 0, [], ending())

    @conforms_when_shared
    async def test_a_cancel_of_another_process_is_told(self, one: ResponseStore, other: ResponseStore) -> None:
        await one.create(new("r"))
        heard: list[Key] = []

        async def attend() -> None:
            heard.extend((await one.attend("me", LEASE, 3600)).cancelled)

        with anyio.fail_after(SECONDS):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(attend)
                await at_rest()
                await other.cancel(KEY)
        assert heard == [KEY]

    @conforms_when_shared
    async def test_orphans_go_to_one_of_two_processes(self, one: ResponseStore, other: ResponseStore) -> None:
        taken: list[Key] = []

        async def attend(store: ResponseStore, owner: str) -> None:
            taken.extend((await store.attend(owner, LEASE, 0)).orphans)

        await one.attend("gone", LEASE, 0)
        for number in range(20):
            await one.create(new(f"r{number}", owner="gone"))
        await other.release("gone")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(attend, one, "a")
            tasks.start_soon(attend, other, "b")
        assert sorted(key.response_id for key in taken) == sorted(f"r{number}" for number in range(20))
