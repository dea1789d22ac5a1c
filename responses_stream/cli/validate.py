"""``responses-stream validate``: judges captures and live answers, and names the first thing that is wrong with them.

Exit statuses: 0 when no input has an error, 1 when one has, 2 when one cannot be judged or the call itself was wrong.
What is here is the command line; `responses_stream.cli.validating` does what it says.
"""

from __future__ import annotations

import argparse
import math
import re
from typing import Final

from responses_stream.validation.profiles import PROFILES

_FORMATS: Final = ("human", "json", "sarif", "junit", "github")
_HEADER: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*:\s*([\x20-\x7e]*)")
_EPILOG: Final = """\
exit status: 0 no violation of severity error, 1 violations, 2 an input that cannot be judged, or a wrong call

`responses-stream explain R014` explains a rule; docs/validating.md tells more."""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``validate`` to the commands."""
    parser = commands.add_parser(
        "validate",
        help="judge a capture or a live answer",
        description="Judge streams of events: their order, their structure and their framing.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "inputs",
        metavar="INPUT",
        nargs="+",
        help="a file (Server-Sent Events, JSON lines, a JSON array, HAR; gzip too), - for the standard input, or a URL,"
        " which is called",
    )
    _add_judging(parser.add_argument_group("how streams are judged"))
    _add_calling(parser.add_argument_group("how URLs are called"))
    _add_telling(parser.add_argument_group("what is told"))
    _add_limits(parser.add_argument_group("limits"))
    parser.set_defaults(command=run)


def run(chosen: argparse.Namespace) -> int:
    """Judge all inputs, and return the exit status of the gravest.

    Raises:
        CommandError: an argument does not fit, or what it names cannot be read or written.
    """
    from responses_stream.cli.validating import validate

    return validate(chosen)


def _add_judging(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--profile", choices=PROFILES, default="strict", help="how strictly (default: %(default)s)")
    group.add_argument("--select", action="append", default=[], metavar="R001,R02", help="by these rules only")
    group.add_argument("--ignore", action="append", default=[], metavar="R001,R02", help="not by these rules")
    group.add_argument("--request", metavar="FILE", help="the JSON body that is answered; URLs are called with it")
    group.add_argument("--retrieved", metavar="FILE", help="the response as GET returns it, to compare with")
    group.add_argument("--original", metavar="FILE", help="a capture of the stream that the input replays")
    group.add_argument("--starting-after", type=_not_negative, metavar="N", help="the cursor of the replay")
    group.add_argument("--transport", choices=("sse", "websocket"), help="how the events travelled (default: sse)")


def _add_calling(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--header", action="append", default=[], type=_header, metavar="'K: V'", help="a header; may be repeated"
    )
    group.add_argument("--api-key-env", metavar="NAME", help="the environment variable to send as bearer token")
    group.add_argument(
        "--timeout", type=_seconds, default=60.0, metavar="S", help="how long to wait in silence (default: %(default)g)"
    )


def _add_telling(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--format", choices=_FORMATS, default="human", help="(default: %(default)s)")
    group.add_argument("--output", metavar="FILE", help="where to write it; the standard output without it")
    group.add_argument(
        "--max",
        type=_not_negative,
        default=100,
        metavar="N",
        help="how many violations of an input are told, 0 for all (default: %(default)s)",
    )
    group.add_argument("--color", choices=("auto", "always", "never"), default="auto", help="(default: %(default)s)")
    group.add_argument("--no-progress", action="store_true", help="show no bar while a file is read")


def _add_limits(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--max-bytes", type=_positive, metavar="N", help="of an input, unpacked (default: 8 GiB)")
    group.add_argument("--max-line-bytes", type=_positive, metavar="N", help="of one event (default: 64 MiB)")


def _not_negative(text: str) -> int:
    if (number := int(text)) < 0:
        raise argparse.ArgumentTypeError(f"has to be at least 0, got {number}")
    return number


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"has to be at least 1, got {number}")
    return number


def _seconds(text: str) -> float:
    seconds = float(text)
    if not (math.isfinite(seconds) and seconds > 0):
        raise argparse.ArgumentTypeError(f"has to be a number of seconds above 0, got {text}")
    return seconds


def _header(text: str) -> tuple[str, str]:
    found = _HEADER.fullmatch(text)
    if found is None:
        # What was given may be a credential; it is not repeated.
        raise argparse.ArgumentTypeError("has to be 'NAME: VALUE' in ASCII, like 'api-key: ...'")
    return found[1], found[2].strip()
