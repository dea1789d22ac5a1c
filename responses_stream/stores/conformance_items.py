"""The part of the conformance suite about items: histories of chains and conversations, pages of inputs, look-ups."""

from __future__ import annotations

from responses_stream.stores.base import Key, NotStored, ResponseStore
from responses_stream.stores.conforming import Conforming, conforms, ending, ids, item, new, refused, turn


class ItemConformance(Conforming):
    """Checks of items."""

    @conforms
    async def test_a_chain_has_the_history_of_all_its_turns(self, store: ResponseStore) -> None:
        """H11.2, decision 25: oldest first, inputs before outputs, the newest where there is a limit."""
        expected: list[str] = []
        previous = None
        for number in range(12):
            outputs = [f"o{number}", f"ó{number}"][: number % 3]
            await turn(store, f"r{number}", [f"i{number}"], outputs, previous=previous)
            expected += [f"i{number}", *outputs]
            previous = f"r{number}"
        for limit in (1, 2, 3, 10, len(expected), 1000):
            found = await store.history("p", previous_response_id="r11", limit=limit)
            assert ids(found) == expected[-limit:], f"the newest {limit} items differ"

    @conforms
    async def test_branches_share_their_trunk_only(self, store: ResponseStore) -> None:
        await turn(store, "trunk", ["ti"], ["to"])
        await turn(store, "left", ["li"], ["lo"], previous="trunk")
        await turn(store, "right", ["ri"], ["ro"], previous="trunk")
        assert ids(await store.history("p", previous_response_id="left", limit=9)) == ["ti", "to", "li", "lo"]
        assert ids(await store.history("p", previous_response_id="right", limit=9)) == ["ti", "to", "ri", "ro"]

    @conforms
    async def test_a_conversation_has_the_items_of_all_its_responses(self, store: ResponseStore) -> None:
        """H11.3, H11.9: in the order of their creation, those in flight with their inputs."""
        await turn(store, "r1", ["i1"], ["o1"], conversation="c")
        await store.create(new("r2", conversation="c", inputs=["i2"]))
        await turn(store, "other", ["i"], ["o"], conversation="d")
        await turn(store, "r3", ["i3"], ["o3"], conversation="c")
        assert ids(await store.history("p", conversation_id="c", limit=9)) == ["i1", "o1", "i2", "i3", "o3"]
        await store.append(Key("p", "r2"), "me", 0, [], ending("o2"))
        assert ids(await store.history("p", conversation_id="c", limit=3)) == ["o2", "i3", "o3"]
        await store.delete(Key("p", "r3"))
        assert ids(await store.history("p", conversation_id="c", limit=9)) == ["i1", "o1", "i2", "o2"]
        assert ids(await store.history("p", conversation_id="none", limit=9)) == []
        assert ids(await store.history("q", conversation_id="c", limit=9)) == []

    @conforms
    async def test_an_item_is_in_a_history_once(self, store: ResponseStore) -> None:
        await turn(store, "r1", ["a", "b"], ["c"])
        await turn(store, "r2", ["b", "d"], ["c"], previous="r1")
        assert ids(await store.history("p", previous_response_id="r2", limit=9)) == ["a", "b", "d", "c"]
        assert ids(await store.history("p", previous_response_id="r2", limit=3)) == ["b", "d", "c"]

    @conforms
    async def test_only_what_is_there_can_be_continued(self, store: ResponseStore) -> None:
        await refused(NotStored, store.history("p", previous_response_id="none", limit=9))
        await turn(store, "r", ["a"], previous="none")
        assert ids(await store.history("p", previous_response_id="r", limit=9)) == ["a"]

    @conforms
    async def test_deleted_turns_stay_in_the_histories_that_went_on_from_them(self, store: ResponseStore) -> None:
        """H11.12: and go with the last of these."""
        await turn(store, "r1", ["i1"], ["o1"])
        await turn(store, "r2", ["i2"], ["o2"], previous="r1")
        await turn(store, "r3", ["i3"], ["o3"], previous="r2")
        await turn(store, "r4", ["i4"], ["o4"], previous="r2")
        await store.delete(Key("p", "r2"))
        await store.delete(Key("p", "r1"))
        await refused(NotStored, store.history("p", previous_response_id="r2", limit=9))
        assert ids(await store.history("p", previous_response_id="r3", limit=9)) == ["i1", "o1", "i2", "o2", "i3", "o3"]
        assert list(await store.items("p", ["i1", "o2"])) == [item("i1"), item("o2")]
        await turn(store, "r5", ["i5"], previous="r2")
        assert ids(await store.history("p", previous_response_id="r5", limit=9)) == ["i5"], (
            "it was continued when deleted"
        )
        await store.delete(Key("p", "r3"))
        assert ids(await store.history("p", previous_response_id="r4", limit=3)) == ["o2", "i4", "o4"]
        await store.delete(Key("p", "r4"))
        every = ["i1", "o1", "i2", "o2", "i3", "o3", "i4", "o4"]
        assert list(await store.items("p", every)) == [None] * 8, "items of deleted responses are left over"

    @conforms
    async def test_a_key_that_is_used_again_has_another_history(self, store: ResponseStore) -> None:
        await turn(store, "r1", ["old"])
        await turn(store, "r2", ["i2"], previous="r1")
        await store.delete(Key("p", "r1"))
        await turn(store, "r1", ["new"])
        await turn(store, "r3", ["i3"], previous="r1")
        assert ids(await store.history("p", previous_response_id="r2", limit=9)) == ["old", "i2"]
        assert ids(await store.history("p", previous_response_id="r3", limit=9)) == ["new", "i3"]

    @conforms
    async def test_items_are_found_by_their_ids(self, store: ResponseStore) -> None:
        await turn(store, "r", ["a", "ïtem ☃"], ["b"])
        found = await store.items("p", ["b", "none", "ïtem ☃", "b", "a"])
        assert list(found) == [item("b"), None, item("ïtem ☃"), item("b"), item("a")]
        assert list(await store.items("p", [])) == []

    @conforms
    async def test_input_items_are_what_a_response_was_given(self, store: ResponseStore) -> None:
        """H7.5, H7.6: the history before it and its own inputs; not its outputs, and not its conversation."""
        await turn(store, "r1", ["i1"], ["o1"], conversation="c")
        key = await turn(store, "r2", ["i2", "i3"], ["o2"], previous="r1")
        assert ids((await store.input_items(key, limit=9)).items) == ["i3", "i2", "o1", "i1"]
        assert ids((await store.input_items(key, limit=9, descending=False)).items) == ["i1", "o1", "i2", "i3"]
        key = await turn(store, "r3", ["i4"], ["o3"], conversation="c")
        assert ids((await store.input_items(key, limit=9)).items) == ["i4"]

    @conforms
    async def test_input_items_come_in_pages(self, store: ResponseStore) -> None:
        """H7.4, H7.10: pages joined are the whole list, whichever way; unknown ids count for nothing."""
        await turn(store, "r1", [f"a{number}" for number in range(7)], ["b"])
        await turn(store, "r2", [], [], previous="r1")
        key = await turn(store, "r3", [f"c{number}" for number in range(6)], ["out"], previous="r2")
        oldest_first = [*(f"a{number}" for number in range(7)), "b", *(f"c{number}" for number in range(6))]
        for descending in (True, False):
            listed = oldest_first[::-1] if descending else oldest_first
            for limit in (1, 3, 13, 14, 20):
                read: list[str] = []
                after = None
                while True:
                    page = await store.input_items(key, limit=limit, descending=descending, after=after)
                    assert len(page.items) <= limit
                    read += ids(page.items)
                    assert page.has_more == (len(read) < len(listed)), f"has_more is wrong behind {read[-1]}"
                    if not page.has_more:
                        break
                    after = read[-1]
                assert read == listed

            async def part(
                after: str | None, before: str | None, limit: int = 99, descending: bool = descending
            ) -> list[str]:
                page = await store.input_items(key, limit=limit, descending=descending, after=after, before=before)
                return ids(page.items)

            assert await part(None, listed[5]) == listed[:5]
            assert await part(listed[2], listed[9]) == listed[3:9]
            assert await part(listed[2], listed[9], 4) == listed[3:7]
            assert await part(listed[9], listed[2]) == []
            assert await part(listed[-1], None) == []
            for unknown in ("none", "out"):
                assert await part(unknown, None) == listed
                assert await part(None, unknown) == listed

    @conforms
    async def test_a_response_that_was_given_nothing_lists_nothing(self, store: ResponseStore) -> None:
        page = await store.input_items(await turn(store, "r"), limit=5)
        assert (list(page.items), page.has_more) == ([], False)
