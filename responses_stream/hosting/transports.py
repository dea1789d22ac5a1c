"""How a transport is found: by its name, among the entry points of all installed packages."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from typing import Final, Protocol, cast, runtime_checkable

import attrs

from responses_stream.errors import ResponsesStreamError
from responses_stream.hosting.http import Engine
from responses_stream.hosting.listening import Listen

GROUP: Final = "responses_stream.transports"
"""The entry-point group in which transports are registered."""

DEFAULT: Final = "h11"
VARIABLE: Final = "RESPONSES_TRANSPORT"

_OWN: Final = "responses-stream"


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
    return CannotServe(f"{distribution} is not installed: pip install '{_OWN}[{server}]'")


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


@attrs.frozen(kw_only=True)
class InstalledServer:
    """A server program that a transport can use.

    Attributes:
        name: the name that `Listen.server` has for it.
        distribution: what has to be installed for it.
        version: the version that is installed; None where none is.
        install: the command that installs it.
    """

    name: str
    distribution: str
    version: str | None
    install: str


@attrs.frozen(kw_only=True)
class InstalledTransport:
    """A transport that an installed package registers.

    Attributes:
        name: the name by which it is chosen.
        distribution: the distribution that registers it; empty where that is not known.
        version: the version of that; empty where it is not known.
        servers: the programs it can use, the preferred first; none where it speaks HTTP itself.
        trouble: why it cannot be loaded, where it cannot.
    """

    name: str
    distribution: str
    version: str
    servers: tuple[InstalledServer, ...] = ()
    trouble: str | None = None


def installed_transports() -> tuple[InstalledTransport, ...]:
    """Return the transports that `find_transport` finds, by name."""
    found = entry_points(group=GROUP)
    return tuple(_described(found[name]) for name in sorted(found.names))


def _described(point: EntryPoint) -> InstalledTransport:
    distribution = point.dist.name if point.dist is not None else ""
    own_version = point.dist.version if point.dist is not None else ""
    try:
        serve = point.load()
    except Exception as error:  # one that is broken is listed like the others
        trouble = f"{type(error).__name__}: {error}"
        return InstalledTransport(name=point.name, distribution=distribution, version=own_version, trouble=trouble)
    offered = serve.servers if isinstance(serve, OffersServers) else {}
    servers = tuple(_program(name, needed, distribution) for name, needed in offered.items())
    return InstalledTransport(name=point.name, distribution=distribution, version=own_version, servers=servers)


def _program(name: str, distribution: str, of: str) -> InstalledServer:
    # Our programs are extras of ours; of what another package needs, only the name is known.
    wanted = f"'{_OWN}[{name}]'" if of == _OWN else distribution
    try:
        installed = version(distribution)
    except PackageNotFoundError:
        installed = None
    return InstalledServer(name=name, distribution=distribution, version=installed, install=f"pip install {wanted}")
