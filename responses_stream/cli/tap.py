"""``responses-stream tap --upstream URL``: passes a live API on, unchanged, and judges its streams on the way."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from responses_stream.cli.failure import CommandError
from responses_stream.errors import InvalidValue
from responses_stream.validation.profiles import PROFILES

if TYPE_CHECKING:
    from responses_stream.tap.captures import Captures
    from responses_stream.tap.judging import Reading
    from responses_stream.tap.upstream import Upstream


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``tap`` to the commands."""
    parser = commands.add_parser(
        "tap",
        help="watch a live API",
        description="Pass a live API on, byte for byte, and judge its streams on the way.",
    )
    parser.add_argument(
        "--upstream", metavar="URL", required=True, help="where every request goes, like https://host/v1"
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8089, help="the port, 0 for a free one (default: %(default)s)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write each exchange there, without credentials")
    parser.add_argument(
        "--profile", choices=PROFILES, default="lenient", help="how streams are read (default: %(default)s)"
    )
    parser.add_argument("--select", action="append", default=[], metavar="R001,R02", help="judge by these rules only")
    parser.add_argument("--ignore", action="append", default=[], metavar="R001,R02", help="do not judge by these rules")
    parser.add_argument("--fail-on-violation", action="store_true", help="exit with 1 if any stream had an error")
    parser.set_defaults(command=run)


def run(chosen: argparse.Namespace) -> int:
    """Pass on until the process is told to stop; return 1 if that was asked for and a stream had an error.

    Raises:
        CommandError: httpx is missing, an argument does not fit, or an address or a directory cannot be used.
    """
    try:
        from responses_stream.tap.proxy import Tap
        from responses_stream.tap.watching import Watch
    except ModuleNotFoundError as error:
        if error.name != "httpx":
            raise
        raise CommandError("the tap asks its upstream with httpx: pip install 'responses-stream[client]'") from None
    from responses_stream.hosting.listening import Listen
    from responses_stream.hosting.transports import find_transport

    upstream = _upstream(chosen)
    watch = Watch(reading=_reading(chosen), captures=_captures(chosen.out))
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    # It logs each URL, and with it the credentials in the query.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    print(f"passing everything on to {upstream}", file=sys.stderr, flush=True)
    try:
        # By name: the one that is known to send each chunk at once.
        find_transport("h11")(Tap(upstream, watch), Listen(host=chosen.host, port=chosen.port))
    except KeyboardInterrupt:
        pass  # a second Ctrl-C does not wait for what is under way
    except (OSError, OverflowError) as error:
        raise CommandError(f"cannot listen on {chosen.host}:{chosen.port}: {error}", status=1) from error
    print("\n".join(watch.tally.lines()), file=sys.stderr, flush=True)
    return 1 if chosen.fail_on_violation and watch.tally.faulty else 0


def _upstream(chosen: argparse.Namespace) -> Upstream:
    from responses_stream.tap.upstream import Upstream

    try:
        upstream = Upstream.at(chosen.upstream)
    except InvalidValue as error:
        raise CommandError(f"--{error}") from None
    if upstream.is_at(chosen.host, chosen.port):
        raise CommandError(f"--upstream {upstream} is where the tap itself would listen; choose another --port")
    return upstream


def _reading(chosen: argparse.Namespace) -> Reading:
    from responses_stream.tap.judging import Reading

    try:
        return Reading(chosen.profile, _rules(chosen.select), _rules(chosen.ignore))
    except InvalidValue as error:
        raise CommandError(f"--{error}") from None


def _rules(given: list[str]) -> tuple[str, ...]:
    return tuple(rule.strip().upper() for rules in given for rule in rules.split(",") if rule.strip())


def _captures(directory: Path | None) -> Captures | None:
    from responses_stream.tap.captures import Captures

    try:
        return Captures(directory) if directory else None
    except OSError as error:
        raise CommandError(f"cannot write to {directory}: {error}", status=1) from error
