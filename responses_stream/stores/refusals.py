"""What an engine that shares its data says in a word when it refuses a write, as the errors of the contract."""

from __future__ import annotations

from responses_stream.stores.base import Fenced, Key, NotStored


def refusal(key: Key, owner: str, why: str, what: str, first: int) -> NotStored | Fenced:
    """Return the error that the word *why* stands for, and *what* it is about.

    Args:
        key: the response.
        owner: who wrote.
        why: ``missing``, ``ended``, ``owner`` or ``number``.
        what: the owner that it has, or the number that comes next.
        first: the number that was given.
    """
    if why == "missing":
        return NotStored(key)
    reasons = {
        "ended": "it has ended",
        "owner": f"it belongs to {what!r}, not to {owner!r}",
        "number": f"its next event has the number {what}, not {first}",
    }
    return Fenced(key, reasons[why])
