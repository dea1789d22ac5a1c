"""The part of the conformance suite about responses and their logs: create, append, get, events, changed, delete."""

from __future__ import annotations

import anyio
from anyio.lowlevel import checkpoint

from responses_stream.stores.base import AlreadyStored, Ending, Fenced, InFlight, Key, NotStored, ResponseStore
from responses_stream.stores.conforming import (
    LEASE,
    SECONDS,
    Conforming,
    at_rest,
    conforms,
    conforms_when_time_passes,
    ending,
    frame,
    frames,
    log,
    new,
    refused,
    turn,
)

KEY = Key("p", "r")


class LogConformance(Conforming):
    """Checks of responses and logs."""

    @conforms
    async def test_a_created_response_is_live_and_as_it_was_given(self, store: ResponseStore) -> None:
        await store.create(new("r"), frames(0, 2))
        stored = await store.get(KEY)
        assert (stored.response, stored.status, stored.owner) == (b'{"status":"in_progress"}', "in_progress", "me")
        assert (stored.background, stored.stream) == (True, False)
        assert (stored.ended, stored.cancelling, stored.last_number) == (False, False, 1)

    @conforms
    async def test_a_key_is_taken_once_in_each_partition(self, store: ResponseStore) -> None:
        await store.create(new("r"), [frame(0)])
        error = await refused(AlreadyStored, store.create(new("r"), [frame(0, "other")]))
        assert error.key == KEY
        await store.create(new("r", partition=""))
        assert list((await store.events(KEY)).frames) == [frame(0)], "a refused create has changed the log"
        assert (await store.get(Key("", "r"))).last_number == -1

    @conforms
    async def test_what_is_foreign_is_not_there(self, store: ResponseStore) -> None:
        """Decision 24: on each verb."""
        await turn(store, "r", ["in"], ["out"])
        foreign = Key("q", "r")
        for doing in (
            store.get(foreign),
            store.events(foreign),
            store.cancel(foreign),
            store.delete(foreign),
            store.append(foreign, "me", 0, [frame(0)]),
            store.input_items(foreign, limit=1),
            store.history("q", previous_response_id="r", limit=1),
        ):
            error = await refused(NotStored, doing)
            assert error.key == foreign
        assert list(await store.items("q", ["in", "out"])) == [None, None]
        with anyio.fail_after(SECONDS):
            await store.changed(foreign, -1, 3600)
        await store.get(KEY)

    @conforms
    async def test_frames_come_back_as_they_were_from_any_number_on(self, store: ResponseStore) -> None:
        expected = [frame(0, "ünï"), *frames(1, 7), frame(7, "x" * 70_000), *frames(8, 40)]
        await store.create(new("r"), expected[:2])
        for first, stop in ((2, 3), (3, 3), (3, 20), (20, 40)):
            await store.append(KEY, "me", first, expected[first:stop])
        for after in range(-1, 41):
            read, page = await log(store, KEY, after)
            assert read == expected[after + 1 :], f"the frames after {after} differ"
            assert not page.ended
            assert page.kept
        await store.append(KEY, "me", 0, [], ending())
        for after in range(-1, 41):
            read, page = await log(store, KEY, after)
            assert (read, page.ended, page.kept) == (expected[after + 1 :], True, True)

    @conforms
    async def test_long_logs_come_in_pages(self, store: ResponseStore) -> None:
        expected = [frame(number, "x" * 2000) for number in range(600)]
        await store.create(new("r"), expected[:400])
        await store.append(KEY, "me", 400, expected[400:], ending())
        for after in (-1, 0, 123, 399, 598, 599):
            read, page = await log(store, KEY, after)
            assert read == expected[after + 1 :]
            assert page.ended

    @conforms
    async def test_a_log_without_events_is_not_kept(self, store: ResponseStore) -> None:
        await store.create(new("r"))
        page = await store.events(KEY)
        assert (list(page.frames), page.ended, page.kept) == ([], False, False)
        await store.append(KEY, "me", 0, [], ending())
        page = await store.events(KEY)
        assert (list(page.frames), page.ended, page.kept) == ([], True, False)
        assert (await store.get(KEY)).last_number == -1

    @conforms
    async def test_an_ending_is_what_get_returns(self, store: ResponseStore) -> None:
        await store.create(new("r"), [frame(0)])
        await store.append(KEY, "me", 1, [frame(1)], Ending(b"{}", "incomplete"))
        stored = await store.get(KEY)
        assert (stored.response, stored.status, stored.ended, stored.last_number) == (b"{}", "incomplete", True, 1)

    @conforms
    async def test_only_the_owner_appends_in_order_until_the_end(self, store: ResponseStore) -> None:
        await store.create(new("r"), frames(0, 2))
        for owner, first in (("you", 2), ("me", 1), ("me", 3), ("me", 0)):
            await refused(Fenced, store.append(KEY, owner, first, [frame(first)]))
            await refused(Fenced, store.append(KEY, owner, first, [frame(first)], ending("o")))
        await refused(Fenced, store.append(KEY, "you", 2, [], ending()))
        await refused(NotStored, store.append(Key("p", "none"), "me", 0, [frame(0)]))
        assert not (await store.get(KEY)).ended
        await store.append(KEY, "me", 2, [frame(2)], ending())
        await refused(Fenced, store.append(KEY, "me", 3, [frame(3)]))
        await refused(Fenced, store.append(KEY, "me", 3, [], ending()))
        assert (await log(store, KEY))[0] == frames(0, 3), "a refused append has changed the log"
        assert list(await store.items("p", ["o"])) == [None], "a refused ending has left an item"

    @conforms
    async def test_a_number_does_not_count_without_frames(self, store: ResponseStore) -> None:
        await store.create(new("r"), frames(0, 2))
        await store.append(KEY, "me", 77, [])
        await store.append(KEY, "me", 2, [frame(2)])
        assert (await store.get(KEY)).last_number == 2

    @conforms
    async def test_many_responses_are_appended_to_at_once(self, store: ResponseStore) -> None:
        async def write(response_id: str) -> None:
            await store.create(new(response_id))
            for number in range(10):
                await store.append(Key("p", response_id), "me", number, [frame(number, response_id)])
            await refused(Fenced, store.append(Key("p", response_id), "me", 3, [frame(3)]))
            await store.append(Key("p", response_id), "me", 0, [], ending())

        async with anyio.create_task_group() as tasks:
            for number in range(30):
                tasks.start_soon(write, f"r{number}")
        for number in range(30):
            read, page = await log(store, Key("p", f"r{number}"))
            assert read == [frame(at, f"r{number}") for at in range(10)]
            assert page.ended

    @conforms
    async def test_a_cancelled_write_is_whole_or_absent(self, store: ResponseStore) -> None:
        for waits in range(6):
            key = Key("p", f"r{waits}")
            await store.create(new(key.response_id))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(store.append, key, "me", 0, frames(0, 3), ending("o"))
                for _ in range(waits):
                    await checkpoint()
                tasks.cancel_scope.cancel()
            stored = await store.get(key)
            assert (await log(store, key))[0] == (frames(0, 3) if stored.ended else [])
            assert stored.last_number == (2 if stored.ended else -1)

    @conforms
    async def test_cancelling_is_told_and_ends_with_the_response(self, store: ResponseStore) -> None:
        await store.create(new("r"))
        for _ in range(2):
            stored = await store.cancel(KEY)
            assert stored.cancelling
            assert not stored.ended
        assert (await store.get(KEY)).cancelling
        await store.append(KEY, "me", 0, [frame(0)], ending(status="cancelled"))
        ended = await store.get(KEY)
        assert (ended.cancelling, ended.status) == (False, "cancelled")
        assert await store.cancel(KEY) == ended, "to cancel what has ended changes nothing"
        await refused(NotStored, store.cancel(Key("p", "none")))

    @conforms
    async def test_what_is_in_flight_is_not_deleted_unless_it_is_being_cancelled(self, store: ResponseStore) -> None:
        await store.create(new("r"), [frame(0)])
        await refused(InFlight, store.delete(KEY))
        assert (await store.get(KEY)).last_number == 0
        await store.cancel(KEY)
        await store.delete(KEY)
        await refused(NotStored, store.append(KEY, "me", 1, [frame(1)], ending()))
        await refused(NotStored, store.get(KEY))

    @conforms
    async def test_a_deleted_response_is_not_there_and_its_key_is_free(self, store: ResponseStore) -> None:
        """H6.4, H12.12."""
        await turn(store, "r", ["in"], ["out"])
        await store.delete(KEY)
        for doing in (
            store.get(KEY),
            store.events(KEY),
            store.cancel(KEY),
            store.delete(KEY),
            store.append(KEY, "me", 0, [frame(0)]),
            store.input_items(KEY, limit=1),
            store.history("p", previous_response_id="r", limit=1),
        ):
            await refused(NotStored, doing)
        assert list(await store.items("p", ["in", "out"])) == [None, None]
        await store.create(new("r", inputs=["in"]), [frame(0, "again")])
        assert list((await store.events(KEY)).frames) == [frame(0, "again")]
        assert not (await store.get(KEY)).ended

    @conforms
    async def test_changed_returns_at_once_where_there_is_something(self, store: ResponseStore) -> None:
        await store.create(new("r"), frames(0, 2))
        with anyio.fail_after(SECONDS):
            await store.changed(KEY, 0, 3600)
            await store.changed(Key("p", "none"), -1, 3600)
            await store.append(KEY, "me", 2, [], ending())
            await store.changed(KEY, 1, 3600)

    @conforms
    async def test_changed_waits_no_longer_than_it_is_told(self, store: ResponseStore) -> None:
        await store.create(new("r"), frames(0, 2))
        with anyio.fail_after(SECONDS):
            await store.changed(KEY, 1, 0)
            await store.changed(KEY, 1, 0.05)
        assert (await store.get(KEY)).last_number == 1

    @conforms
    async def test_changed_is_woken(self, store: ResponseStore) -> None:
        """By an event, by the end, and by a delete; every waiter is."""
        for what in ("append", "end", "delete"):
            key = Key("p", what)
            await store.create(new(what))
            with anyio.fail_after(SECONDS):
                async with anyio.create_task_group() as tasks:
                    if what == "delete":
                        await store.cancel(key)
                    for _ in range(3):
                        tasks.start_soon(store.changed, key, -1, 3600)
                    await at_rest()
                    if what == "append":
                        await store.append(key, "me", 0, [frame(0)])
                    elif what == "end":
                        await store.append(key, "me", 0, [], ending())
                    else:
                        await store.delete(key)

    @conforms
    async def test_a_follower_reads_all_that_is_appended_meanwhile(self, store: ResponseStore) -> None:
        read: list[bytes] = []

        async def follow() -> None:
            page = await store.events(KEY)
            while True:
                read.extend(page.frames)
                if page.ended:
                    return
                await store.changed(KEY, len(read) - 1, 3600)
                page = await store.events(KEY, len(read) - 1)

        await store.create(new("r"), [frame(0)])
        with anyio.fail_after(SECONDS):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(follow)
                for number in range(1, 50):
                    await store.append(KEY, "me", number, [frame(number)])
                    await checkpoint()
                await store.append(KEY, "me", 50, [frame(50)], ending())
        assert read == frames(0, 51)

    @conforms_when_time_passes
    async def test_logs_and_then_responses_are_dropped_after_their_retention(self, store: ResponseStore) -> None:
        """Both retentions of the store under test are over after a year, and neither is for what is live."""
        await store.attend("me", LEASE, 0)
        await turn(store, "r", ["in"], ["out"])
        await store.create(new("live", previous="r", inputs=["live_in"]), [frame(0)])
        self.make_time_pass(366 * 86_400)
        await store.attend("me", LEASE, 0)
        await refused(NotStored, store.get(KEY))
        assert list(await store.items("p", ["in", "out", "live_in"])) == [
            None,
            None,
            (await store.items("p", ["live_in"]))[0],
        ]
        assert [found.id for found in await store.history("p", previous_response_id="live", limit=9)] == ["live_in"]
        assert list((await store.events(Key("p", "live"))).frames) == [frame(0)]

    @conforms
    async def test_closing_twice_is_closing_once(self, store: ResponseStore) -> None:
        await store.create(new("r"))
        await store.aclose()
        await store.aclose()
