"""``responses-stream doctor``: looks at a store, and at a server as its clients see it, and says what to do.

It changes nothing but for a response of its own, which it makes in the store, in a partition of its own, and takes
away again; and it runs the handler of a server only where it is told what to ask.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Final

from responses_stream.cli.failure import CommandError
from responses_stream.errors import ResponsesStreamError
from responses_stream.stores.examination import Finding, Level

_HEADER: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\x20-\x7e]*)")
_SHOWN: Final = {Level.OK: "ok", Level.WARNING: "warning", Level.FAILED: "FAILED"}


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``doctor`` to the commands."""
    parser = commands.add_parser(
        "doctor",
        help="look at a store, and at a server through what stands in front of it",
        description="Look at a store and its engine, and at a server as its clients see it. Exits with 1 where "
        "something has to be mended. Nothing is changed but for a response of its own, which is taken away again.",
    )
    parser.add_argument("--store", metavar="URL", help="the store (default: $RESPONSES_STORE, where there is no --url)")
    parser.add_argument(
        "--url",
        help="the public URL of a server, such as https://example.com/v1; needs the extra 'client'",
    )
    parser.add_argument(
        "--header", action="append", default=[], type=_header, metavar="'K: V'", help="for --url; may be repeated"
    )
    parser.add_argument(
        "--ask",
        metavar="TEXT",
        help="ask the server at --url this, as a stream that is not stored: RUNS ITS HANDLER ONCE. Without it only "
        "GETs are made, which cannot show whether something holds a stream back or cuts it",
    )
    parser.add_argument("--model", help="the model to ask for")
    parser.add_argument(
        "--idle",
        type=_seconds,
        metavar="SECONDS",
        help="for how long the stream of --ask may be silent before it is given up (default: 60)",
    )
    parser.add_argument("--format", choices=("human", "json"), default="human", help="(default: %(default)s)")
    parser.set_defaults(command=run)


def run(chosen: argparse.Namespace) -> int:
    """Look at what was named, and return 0 where nothing has to be mended, else 1.

    Raises:
        CommandError: nothing was named, or there is no such store.
    """
    if chosen.url is None and (chosen.ask is not None or chosen.header or chosen.model or chosen.idle):
        raise CommandError("--ask, --model, --idle and --header are about a server: give --url, too")
    if chosen.ask is None and (chosen.model or chosen.idle):
        raise CommandError("--model and --idle are about a stream: give --ask TEXT, too")
    is_human = chosen.format == "human"
    checks: list[dict[str, str]] = []
    worst = Level.OK
    for place, findings in _looks(chosen):
        if is_human:
            print(place)
        for finding in findings:
            if finding.level is Level.FAILED:
                worst = Level.FAILED
            if is_human:
                _show(finding)
            checks.append(
                {
                    "place": place,
                    "check": finding.check,
                    "level": finding.level.value,
                    "said": finding.said,
                    "remedy": finding.remedy,
                }
            )
    ok = worst is not Level.FAILED
    if not is_human:
        print(json.dumps({"ok": ok, "checks": checks}, indent=2))
    return 0 if ok else 1


def _looks(chosen: argparse.Namespace) -> Iterator[tuple[str, Iterable[Finding]]]:
    store = _store_url(chosen)
    if store is not None:
        from responses_stream.cli.doctor_store import look_at_store
        from responses_stream.hosting.storing import check_store_url, open_store, without_password

        try:
            open_store(check_store_url(store))  # opens nothing yet, and says what is wrong with the URL
        except ResponsesStreamError as error:
            raise CommandError(str(error)) from None
        yield without_password(store), look_at_store(store)
    if chosen.url is not None:
        from responses_stream.cli.calling import check_client, without_secrets

        check_client()
        from responses_stream.cli.doctor_url import Caller, look_at_url

        caller = Caller(chosen.url.rstrip("/"), chosen.header, chosen.ask, chosen.model, chosen.idle or 60.0)
        yield without_secrets(chosen.url), look_at_url(caller)


def _store_url(chosen: argparse.Namespace) -> str | None:
    from responses_stream.hosting.settings import BadOption, BadOptionsFile, load_options

    given: str | None = chosen.store
    if given is None and chosen.url is not None:
        return None
    try:
        url = load_options(command_line={} if given is None else {"store": given}).store
    except (BadOption, BadOptionsFile, ResponsesStreamError) as error:
        raise CommandError(str(error)) from None
    if url is None:
        raise CommandError("what is to be looked at? give --store URL or --url URL, or set RESPONSES_STORE")
    return url


def _show(finding: Finding) -> None:
    remedy = f"\n{'':10}-> {finding.remedy}" if finding.remedy else ""
    print(f"  {_SHOWN[finding.level]:8}{finding.check}: {finding.said}{remedy}", file=sys.stdout, flush=True)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not (math.isfinite(seconds) and seconds > 0):
        raise argparse.ArgumentTypeError(f"has to be a number of seconds above 0, got {text}")
    return seconds


def _header(text: str) -> tuple[str, str]:
    found = _HEADER.fullmatch(text)
    if found is None:
        # What was given may be a credential; it is not repeated.
        raise argparse.ArgumentTypeError("has to be 'NAME: VALUE' in ASCII, like 'authorization: Bearer ...'")
    return found[1], found[2].strip()
