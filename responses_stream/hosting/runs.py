"""The runs of a server that are live, by the key of their response, and by the idempotency key of their request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from responses_stream.hosting.cancellation import Cause
from responses_stream.hosting.errors import HttpError, duplicate_id, shutting_down
from responses_stream.hosting.run import Run
from responses_stream.stores.base import Key


@attrs.frozen
class Claimed:
    """A live run that was asked for with an idempotency key.

    Attributes:
        digest: that of its request.
        run: the run.
    """

    digest: bytes
    run: Run


@attrs.define(eq=False)
class Runs:
    """All live runs.

    Attributes:
        most: how many there may be (decision 27).
        draining: whether no further ones are taken (H8.28).
    """

    most: int
    draining: bool = attrs.field(init=False, default=False)
    _live: dict[Key, Run] = attrs.field(init=False, factory=dict)
    _reserved: int = attrs.field(init=False, default=0)
    _claimed: dict[tuple[str, str], Claimed] = attrs.field(init=False, factory=dict)
    _claims: dict[Key, tuple[str, str]] = attrs.field(init=False, factory=dict)

    def __len__(self) -> int:
        return len(self._live)

    @property
    def full(self) -> bool:
        """Whether there are as many runs as there may be."""
        return len(self._live) + self._reserved >= self.most

    def admit(self) -> None:
        """Check that another run may begin.

        Raises:
            HttpError: the server is shutting down, or has as many as it may have (503).
        """
        if self.draining:
            raise shutting_down()
        if self.full:
            message = "The server is making as many responses as it can. Retry later."
            raise HttpError(503, "too_many_runs", message, source="platform", headers=(("retry-after", "1"),))

    @contextmanager
    def place(self) -> Iterator[None]:
        """Keep the place of one run free; where it is left, that run can be added.

        Raises:
            HttpError: `admit` says so.
        """
        self.admit()
        self._reserved += 1
        try:
            yield
        finally:
            self._reserved -= 1

    def get(self, key: Key) -> Run | None:
        """Return the live run of a response, if this server has it."""
        return self._live.get(key)

    def add(self, key: Key, run: Run, claim: tuple[str, Claimed] | None = None) -> None:
        """Take in a run.

        Raises:
            HttpError: there is one of that key (409), or `admit` says so.
        """
        self.admit()
        if key in self._live:
            raise duplicate_id()
        self._live[key] = run
        if claim is not None:
            name, claimed = claim
            self._claims[key] = at = (key.partition, name)
            self._claimed[at] = claimed

    def remove(self, key: Key) -> None:
        """Let go of a run that has ended, and of the key that it was asked for with."""
        self._live.pop(key, None)
        claim = self._claims.pop(key, None)
        if claim is not None:
            del self._claimed[claim]

    def claimed(self, partition: str, idempotency_key: str) -> Claimed | None:
        """Return the live run that was asked for with this key."""
        return self._claimed.get((partition, idempotency_key))

    def unsaved(self) -> list[tuple[Key, Run]]:
        """Return the runs that have ended, and whose end the store has yet to be told."""
        return [(key, run) for key, run in self._live.items() if run.unsaved]

    def stored(self) -> list[tuple[Key, Run]]:
        """Return the runs in the making whose response the store has."""
        return [
            (key, run)
            for key, run in self._live.items()
            if run.record is not None and run.record.created and not run.ended.is_set()
        ]

    def lag(self) -> int:
        """Return how many events were said that the store has yet to take. May be asked from any thread."""
        live = tuple(self._live.values())
        return sum(run.log.length - run.log.shown for run in live if run.saved is not None)

    def stop(self, grace: float) -> list[Run]:
        """Take no further runs, tell those that there are to stop, and return them (decision 28)."""
        self.draining = True
        live = [run for run in self._live.values() if not run.ended.is_set()]
        for run in live:
            run.stop(Cause.SHUTTING_DOWN, grace)
        return live
