"""Which part of a list of items is asked for: pages between two items, and the newest few.

Stores differ in how they get at an item; what a page is they share.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from responses_stream.stores.base import Item


@attrs.frozen
class Page:
    """A part of a list.

    Attributes:
        start: the position of its first item.
        stop: the position behind its last one.
        has_more: whether what was asked for goes on there.
    """

    start: int
    stop: int
    has_more: bool


def page_of(length: int, limit: int, after: Sequence[int], before: Sequence[int]) -> Page:
    """Return the page of at most *limit* items of a list.

    Args:
        length: of the list, which is in the order asked for.
        limit: how many items at most.
        after: where the item stands that the page begins behind; empty where it is not in the list.
        before: where the item stands that the page ends in front of; empty where it is not in the list.
    """
    # Where an id stands twice, the wider step is taken: who pages by it would never get to the end otherwise.
    start = max(after) + 1 if after else 0
    end = max(start, min(before)) if before else length
    stop = min(start + limit, end)
    return Page(start, stop, stop < end)


def newest_of_each(newest_first: Iterable[Item], limit: int) -> list[Item]:
    """Return the first *limit* items of different ids, the other way round."""
    found: dict[str, Item] = {}
    if limit > 0:
        for item in newest_first:
            if found.setdefault(item.id, item) is item and len(found) == limit:
                break
    return [*found.values()][::-1]
