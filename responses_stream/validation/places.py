"""Numbered places: what a stream numbers itself, and the order in which it really came.

Items are numbered in a response and parts in an item, both from 0. They are kept by the order in which they came, so
that a wrong number is one mistake and not one in all that follows: what comes next may go on from the number that was
there or from the one that should have been.
"""

from __future__ import annotations


class Places:
    """The places of one row.

    Attributes:
        count: how many are taken.
        due: the number that the next one should have.
        orderly: whether the numbers grow, so that their order is the order in which all came.
    """

    __slots__ = ("_also", "_at", "count", "due", "orderly")

    def __init__(self) -> None:
        self.count = self.due = 0
        self.orderly = True
        # What the next one may have too, after a wrong number.
        self._also: int | None = None
        self._at: dict[int, int] = {}

    def of(self, number: int | None) -> int | None:
        """Return the place of what says that it has *number*; the last one, where several do."""
        return None if number is None else self._at.get(number)

    def left_out(self, number: int) -> bool:
        """Whether *number* was passed over."""
        return number < self.due and number not in self._at

    def fits(self, number: int) -> bool:
        """Whether the next one may have *number*."""
        return number in (self.due, self._also) and number not in self._at

    def may_lack_one(self) -> None:
        """Take it that one more may have come, with the number of another."""
        self._also = self.due + 1

    def stray(self, number: int) -> int:
        """Return a place for what says a *number* that nothing was given, and may have been given in error."""
        self._at[number] = self.count
        self.count += 1
        return self.count - 1

    def take(self, number: int | None) -> int:
        """Return the place of the next one, which says that it has *number*; None where it does not say."""
        place, due = self.count, self.due
        self.count += 1
        if number is None:
            number = due
        if number in self._at:
            # Whether those behind it count it or not is not known yet.
            self.orderly, self._also = False, due + 1
        else:
            self.orderly = self.orderly and number >= due
            # One that was left out may come late, and then the rest goes on where it was.
            late = number < due and number != self._also
            if not late:
                self._also, self.due = None if self.fits(number) else due + 1, number + 1
        self._at[number] = place
        return place
