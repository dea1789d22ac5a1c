"""``responses-stream serve TARGET``: finds a `ResponsesServer` in a module or a file, and runs it.

Every option of a server has a flag; where it is a yes or no, the flag alone says yes. A flag wins over what the program
gave its server, that over the environment, and that over the file of ``--config`` (`hosting/settings.py`).
"""

from __future__ import annotations

import argparse
import itertools
import logging
import uuid
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import attrs

from responses_stream.cli.failure import CommandError, store_failure
from responses_stream.cli.targets import load_target
from responses_stream.errors import InvalidValue
from responses_stream.hosting.listening import Listen
from responses_stream.hosting.settings import (
    CONFIG_VARIABLE,
    BadOption,
    BadOptionsFile,
    Setting,
    load_options,
    override,
    settings,
)

if TYPE_CHECKING:
    from responses_stream.hosting.server import ResponsesServer

DEFAULT_STORE: Final = "sqlite:///responses.sqlite3"
"""Where responses are kept if nobody chose a store (design.md section 4)."""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``serve`` to the commands."""
    parser = commands.add_parser(
        "serve",
        help="serve a handler",
        usage="%(prog)s [-h] TARGET [--config FILE] [--OPTION VALUE ...]",
        description="Serve the responses of a handler.",
        # Cut short, --model would be --models; it is not what who writes it wants.
        allow_abbrev=False,
    )
    parser.add_argument(
        "target",
        metavar="TARGET",
        help="module:name or path/file.py:name of a server; the name defaults to 'server'",
    )
    parser.add_argument("--config", metavar="FILE", help=f"a TOML file with options (default: ${CONFIG_VARIABLE})")
    for topic, members in itertools.groupby(settings(), key=lambda setting: setting.topic):
        group = parser.add_argument_group(f"options of {topic}")
        for setting in members:
            add = partial(group.add_argument, setting.flag, type=_checked(setting), help=_help(setting))
            if setting.type is bool:
                add(metavar="true|false", nargs="?", const="true")
            else:
                add(metavar="VALUE")
    parser.set_defaults(command=run)


def run(chosen: argparse.Namespace) -> int:
    """Serve until the process is told to stop.

    Raises:
        CommandError: the target or the transport cannot be found, an option cannot be, the transport cannot do what
            is asked, the store cannot be used, or the address cannot be listened on.
    """
    from responses_stream.hosting.storing import MissingStore
    from responses_stream.hosting.transports import CannotServe, UnknownTransport

    flags = {setting.name: getattr(chosen, setting.name) for setting in settings()}
    server = load_server(chosen.target)
    try:
        options = override(
            server.options,
            file=chosen.config,
            command_line={name: text for name, text in flags.items() if text is not None},
        )
    except (BadOption, BadOptionsFile) as error:
        raise CommandError(str(error)) from None
    if options.store is None and not server.has_store:
        options = attrs.evolve(options, store=DEFAULT_STORE)
    server.configure(options)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        if options.store is not None:
            _check_store(options.store)
        server.run()
    except (UnknownTransport, CannotServe, MissingStore, InvalidValue) as error:
        raise CommandError(str(error)) from None
    except (OSError, OverflowError) as error:
        place = Listen(
            host=options.host,
            port=options.port,
            unix_socket=options.unix_socket,
            fd=options.fd,
            certfile=options.certfile,
        ).place
        raise CommandError(f"cannot listen on {place}: {error}", status=1) from error
    return 0


def _check_store(url: str) -> None:
    """Use a store once: what its engine says is one line here, and in a transport it is whatever that makes of it.

    Raises:
        CommandError: it cannot be used.
        InvalidValue, MissingStore: it stands for no store.
    """
    import anyio

    from responses_stream.hosting.storing import open_store

    store = open_store(url)

    async def use() -> None:
        try:
            await store.release(f"serve-{uuid.uuid4().hex}")  # a write, as all need it, that changes nothing
        finally:
            await store.aclose()

    try:
        anyio.run(use)
    except Exception as error:  # whatever the engine has to say, its user has to hear
        raise store_failure(url, error) from None


def load_server(target: str) -> ResponsesServer:
    """Return the server that *target* names.

    Raises:
        CommandError: there is no such file, module or attribute, or it is no server.
    """
    from responses_stream.hosting.server import ResponsesServer

    name, found = load_target(target)
    if not isinstance(found, ResponsesServer):
        raise CommandError(f"{name} is a {type(found).__name__}, not a ResponsesServer")
    return found


def _checked(setting: Setting) -> Callable[[str], str]:
    """Return what lets a text through that fits the option, so that a bad flag is told before anything is imported."""

    def check(text: str) -> str:
        try:
            load_options(environment={}, command_line={setting.name: text})
        except BadOption as error:
            # What stands behind a bare flag counts as its value.
            hint = "; a flag without a value stands behind TARGET" if setting.type is bool else ""
            raise argparse.ArgumentTypeError(error.reason + hint) from None
        return text

    return check


def _help(setting: Setting) -> str:
    default = DEFAULT_STORE if setting.name == "store" else setting.default
    if isinstance(default, bool):
        default = str(default).lower()
    sources = [f"${variable}" for variable in setting.variables]
    if default not in (None, ()):
        sources.append(str(default))
    # The marks of the documentation, and what argparse would fill in.
    meaning = setting.meaning.rstrip(".").replace("`", "").replace("%", "%%")
    return f"{meaning} (default: {' or '.join(sources)})"
