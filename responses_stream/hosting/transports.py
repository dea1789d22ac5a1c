"""How a transport is found: by its name, among the entry points of all installed packages."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Final, Protocol, cast, runtime_checkable

from responses_stream.errors import ResponsesStreamError
from responses_stream.hosting.http import Engine
from responses_stream.hosting.listening import Listen

GROUP: Final = "responses_stream.transports"
"""The entry-point group in which transports are registered."""

DEFAULT: Final = "h11"
VARIABLE: Final = "RESPONSES_TRANSPORT"


class Serve(Protocol):
    """What an entry point names: it serves an engine until the process is told to stop, then drains it.

    Raises:
        CannotServe: it lacks a package, or cannot do what *listen* says.
        OSError: the address cannot be listened on.
    """

    def __call__(self, engine: Engine, listen: Listen) -> None: ...


@runtime_checkable
class OffersServers(Protocol):
    """A transport that leaves HTTP to a server program, and can use several."""

    @property
    def servers(self) -> Mapping[str, str]:
        """The programs by the names of `Listen.server`, the preferred first, each with the distribution that has it."""
        ...


class CannotServe(ResponsesStreamError):
    """A transport cannot do what it was asked; the message says why, and what to do."""


def missing_server(server: str, distribution: str) -> CannotServe:
    """Return the error of a server program that is not installed; its extra has its name."""
    return CannotServe(f"{distribution} is not installed: pip install 'responses-stream[{server}]'")


class UnknownTransport(ResponsesStreamError, LookupError):
    """No installed package registers a transport of that name.

    Attributes:
        name: the name that was asked for.
        known: the names that there are.
    """

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        self.name, self.known = name, known
        super().__init__(f"no transport is called {name!r}; there is {', '.join(known) or 'none at all'}")


def find_transport(name: str | None = None) -> Serve:
    """Return the transport *name*; without one, that of the environment variable, or `h11`.

    Raises:
        UnknownTransport: no installed package registers it.
        ImportError: what it needs is not installed.
    """
    name = name or os.environ.get(VARIABLE) or DEFAULT
    found = entry_points(group=GROUP)
    if name not in found.names:
        raise UnknownTransport(name, tuple(sorted(found.names)))
    return cast("Serve", found[name].load())
