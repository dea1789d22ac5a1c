"""`AgentState`: an agent that is made when it is first asked for, once, however many ask at once (H21.13, H21.14).

To make an agent may take a while: it connects to tools, reads a prompt, loads a model. What makes it runs in a task of
its own, which all who wait share: who gives up waiting harms nobody else, and when the last one has gone, it is
stopped. A failure is told to all who wait, and the next one to ask tries again.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar, cast, overload

import anyio
import attrs

from responses_stream.agents.isolation import context_of
from responses_stream.errors import InvalidType, InvalidValue

__all__ = ["AgentState", "HasBuild", "Target"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class HasBuild(Protocol[T_co]):
    """What makes an agent when it is told to, such as the builder of a workflow."""

    def build(self) -> T_co | Awaitable[T_co]:
        """Return the agent."""
        ...


Target: TypeAlias = T | Callable[[], T | Awaitable[T]] | Awaitable[T] | HasBuild[T]
"""An agent, or what it comes from."""

_NOTHING: Final = object()


class AgentState(Generic[T]):
    """An agent, or what it is made by, to be resolved where it is needed.

    A function, a method, a class and a `functools.partial` are factories, and called without arguments; what can be
    awaited is awaited; what has a method `build` is built. Anything else is the agent itself, also where it can be
    called: wrap such a one in a ``lambda`` if it is a factory all the same. What a factory or `build` returns is
    awaited where it has to be. It is used from one event loop at a time.

    Args:
        target: the agent, or what it comes from.
        cached: whether the agent that was made is used again and again; without this, each `resolve` makes another.

    Raises:
        InvalidValue: *target* can be awaited only once, and is not to be cached (H21.13).
    """

    __slots__ = ("_attempt", "_cached", "_failed", "_made", "_make", "_once")

    @overload
    def __init__(self: AgentState[T], target: HasBuild[T], *, cached: bool = True) -> None: ...
    @overload
    def __init__(self: AgentState[T], target: Awaitable[T], *, cached: bool = True) -> None: ...
    @overload
    def __init__(self: AgentState[T], target: Callable[[], Awaitable[T]], *, cached: bool = True) -> None: ...
    @overload
    def __init__(self: AgentState[T], target: Callable[[], T], *, cached: bool = True) -> None: ...
    @overload
    def __init__(self: AgentState[T], target: T, *, cached: bool = True) -> None: ...
    def __init__(self, target: object, *, cached: bool = True) -> None:
        self._cached, self._once = cached, inspect.isawaitable(target)
        self._make: Callable[[], object] | None = None
        self._made: object = _NOTHING
        self._attempt: _Attempt | None = None
        self._failed: Exception | None = None
        if self._once:
            if not cached:
                raise InvalidValue(
                    "cached", "is False, and the target can be awaited only once; give a factory instead"
                )
            self._make = lambda: target
        elif inspect.isroutine(target) or isinstance(target, type | functools.partial):
            self._make = target
        elif callable(build := getattr(target, "build", None)):
            self._make = build
        else:
            self._made = target

    @classmethod
    def of(cls, target: object) -> AgentState[Any]:
        """Return *target* as a state, for bridges that take an agent or a state; a state is returned as it is.

        Raises:
            InvalidType: *target* is None.
        """
        if isinstance(target, AgentState):
            return target
        if target is None:
            raise InvalidType("target", "an agent, or what makes one", target)
        return cls(target)

    @property
    def target(self) -> T:
        """The agent, where it is there already.

        Raises:
            RuntimeError: it was not resolved yet, or is made anew each time (H21.13).
        """
        if self._made is _NOTHING:
            raise RuntimeError("the agent is not there yet: await resolve() first, where there is an event loop")
        return cast("T", self._made)

    async def resolve(self) -> T:
        """Return the agent, and make it if it is not there yet.

        Raises:
            RuntimeError: it comes from something that can be awaited only once, which has failed before.
            Exception: whatever its factory raised.
        """
        while self._made is _NOTHING:
            if not self._cached:
                return cast("T", await self._called())
            if self._attempt is None:
                if self._failed is not None:
                    raise RuntimeError(
                        "the agent could not be made, and what it comes from cannot be awaited again; give a factory"
                    ) from self._failed
                self._attempt = _Attempt(self)
                _start(self._attempt)
            await self._attempt.wait()
        return cast("T", self._made)

    async def _called(self) -> object:
        assert self._make is not None
        made = self._make()
        return await made if inspect.isawaitable(made) else made

    def _ended(self, made: object, error: Exception | None) -> None:
        """Take what an attempt came to."""
        self._attempt = None
        if error is None:
            self._made = made
            self._make = None  # what it was made by, and whatever that holds, is not needed any more
        elif self._once:
            self._failed = error

    def __repr__(self) -> str:
        return f"<AgentState {'unresolved' if self._made is _NOTHING else repr(self._made)}>"


@attrs.define(eq=False)
class _Attempt:
    """One attempt at making an agent, and those who wait for it."""

    _state: AgentState[Any]
    _waiting: int = 0
    _scope: anyio.CancelScope = attrs.field(factory=anyio.CancelScope)
    _done: anyio.Event = attrs.field(factory=anyio.Event)
    _stopped: bool = False
    _error: Exception | None = None
    task: object = None

    async def run(self) -> None:
        made: object = _NOTHING
        try:
            with self._scope:
                made = await self._state._called()
        except Exception as error:
            self._error = error
        finally:
            if made is _NOTHING and self._error is None:
                # Stopped because nobody waits; or its event loop ends; or what was awaited was cancelled by others.
                self._stopped = self._scope.cancelled_caught
                self._error = RuntimeError("the agent was not made: what makes it was cancelled")
            self._state._ended(made, self._error)
            self._done.set()

    async def wait(self) -> None:
        """Wait for its end. The last one who gives that up stops it, and waits until it has stopped.

        Raises:
            Exception: what the attempt has failed with; nothing where it was stopped.
        """
        self._waiting += 1
        try:
            await self._done.wait()
        except BaseException:
            if self._waiting == 1:
                self._scope.cancel()
                with anyio.CancelScope(shield=True):
                    await self._done.wait()
            raise
        finally:
            self._waiting -= 1
        if self._error is not None and not self._stopped:
            raise self._error


def _start(attempt: _Attempt) -> None:
    """Run an attempt as a task of the loop's own. It belongs to no turn, since what it makes serves others too."""
    context = context_of(None)
    if anyio.get_cancelled_exc_class() is asyncio.CancelledError:
        # Held here, because the loop itself holds its tasks weakly.
        attempt.task = asyncio.get_running_loop().create_task(attempt.run(), context=context)
    else:
        import trio

        trio.lowlevel.spawn_system_task(attempt.run, context=context)
