"""What can go wrong, as types: every error of this package says what happened, where, and what to do instead.

The facts are attributes first and a sentence second, so that programs can act on them and people can read them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

_SHOWN: Final = 5


class ResponsesStreamError(Exception):
    """The base of all errors that this package raises on purpose."""


class OutOfOrder(ResponsesStreamError, ValueError):
    """A call that the order of the protocol does not allow now. It was refused before anything was changed.

    Attributes:
        called: the event that was asked for, or the member that was assigned.
        state: where the stream, the item or the part stands.
        allowed: what may be called there now; empty when it is closed.
        reason: why, with the id of the rule, where the state alone does not say it.
    """

    def __init__(self, called: str, state: str, allowed: Iterable[str] = (), reason: str = "") -> None:
        self.called, self.state, self.allowed, self.reason = called, state, tuple(allowed), reason
        way_out = " or ".join(self.allowed) or "nothing, it is closed"
        why = f" ({reason})" if reason else ""
        super().__init__(f"{called} in state {state}{why}; allowed now: {way_out}")


class InvalidValue(ResponsesStreamError, ValueError):
    """An argument whose type is right and whose value cannot be sent. Nothing was changed.

    Attributes:
        argument: the name of the argument.
        reason: what is wrong with it, with the id of the rule where there is one.
    """

    def __init__(self, argument: str, reason: str) -> None:
        self.argument, self.reason = argument, reason
        super().__init__(f"{argument}: {reason}")


class InvalidType(ResponsesStreamError, TypeError):
    """An argument of the wrong type. Nothing was changed.

    Attributes:
        argument: the name of the argument.
        expected: what it has to be.
        got: the type that was given.
    """

    def __init__(self, argument: str, expected: str, value: object) -> None:
        self.argument, self.expected, self.got = argument, expected, type(value).__name__
        super().__init__(f"{argument}: expected {expected}, got {self.got}")


class Problem(NamedTuple):
    """One place where data does not fit its type: the JSON path (``$.input[0].role``) and what is wrong there."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class DecodeError(ResponsesStreamError, ValueError):
    """Bytes or data that are not what they should be: not JSON, not an event, or a member of the wrong type.

    Attributes:
        reason: the first thing that is wrong, in one sentence.
        problems: all that is wrong, each with its JSON path; empty when the bytes are not JSON at all.
        offset: where the bytes begin to be wrong, counted from the first byte that was fed; None when unknown.
    """

    def __init__(self, reason: str, problems: Sequence[Problem] = (), offset: int | None = None) -> None:
        self.reason, self.problems, self.offset = reason, tuple(problems), offset
        where = "" if offset is None else f" (at byte {offset})"
        super().__init__(f"{reason}{where}")

    @classmethod
    def of(cls, what: str, problems: Sequence[Problem]) -> DecodeError:
        """Make the error that tells all *problems* of *what*, naming the first few in its sentence."""
        shown = "; ".join(map(str, problems[:_SHOWN]))
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        return cls(f"not a valid {what}: {shown}{more}", problems)

    def at(self, offset: int) -> DecodeError:
        """Return the same error with the position of its bytes."""
        return DecodeError(self.reason, self.problems, offset)
