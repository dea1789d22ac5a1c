"""``responses-stream migrate``: brings the tables of a store up to date, where it has tables of a version."""

from __future__ import annotations

import argparse

from responses_stream.cli.failure import CommandError, store_failure
from responses_stream.errors import ResponsesStreamError
from responses_stream.hosting.settings import BadOption, BadOptionsFile, load_options
from responses_stream.hosting.storing import open_store, without_password
from responses_stream.stores.base import Migrates


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``migrate`` to the commands."""
    parser = commands.add_parser(
        "migrate",
        help="bring the tables of a store up to date",
        description="Bring the tables of a store up to date. Stores without a version of their own need nothing.",
    )
    parser.add_argument("--store", metavar="URL", help="the store (default: $RESPONSES_STORE)")
    parser.set_defaults(command=run)


def run(chosen: argparse.Namespace) -> int:
    """Migrate, and return 0.

    Raises:
        CommandError: there is no such store, it is not reachable, or a newer version has written it.
    """
    import anyio

    try:
        url = load_options(command_line={} if chosen.store is None else {"store": chosen.store}).store
        if url is None:
            raise CommandError("which store? give --store URL, or set RESPONSES_STORE")
        store = open_store(url)
    except (BadOption, BadOptionsFile, ResponsesStreamError) as error:
        raise CommandError(str(error)) from None
    place = without_password(url)
    if not isinstance(store, Migrates):
        print(f"{place}: nothing to migrate")
        return 0

    async def migrate(store: Migrates) -> tuple[int, int]:
        return await store.migrate()

    try:
        before, after = anyio.run(migrate, store)
    except Exception as error:  # whatever the engine has to say, its user has to hear
        raise store_failure(url, error) from None
    print(f"{place}: version {after}" if before == after else f"{place}: version {before} is now version {after}")
    return 0
