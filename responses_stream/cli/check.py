"""``responses-stream check TARGET``: runs a handler without any server, and says what is wrong with what it says."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from responses_stream.cli.failure import CommandError
from responses_stream.cli.targets import load_target
from responses_stream.errors import ResponsesStreamError

if TYPE_CHECKING:
    from responses_stream.checking.report import CheckedCase, CheckReport

_DEFAULTS: Final = ("server", "handler")
_NONE: Final = "none"


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``check`` to the commands."""
    text = "Run a handler on every kind of input in every mode, without any server, and judge what it says."
    parser = commands.add_parser("check", help="try a handler", description=text)
    parser.add_argument(
        "target",
        metavar="TARGET",
        help="module:name or path/file.py:name of a handler or a server; the name defaults to 'server' or 'handler'",
    )
    parser.add_argument(
        "--request",
        metavar="FILE",
        action="append",
        default=[],
        help="a JSON file with the body of a request to ask as well, in every mode; may be given more than once",
    )
    parser.add_argument(
        "--inputs",
        metavar="KINDS",
        help="the kinds of input that the handler declares: some of text,messages,parts,items,conversation,absent,"
        "settings, or 'none' to ask the requests only (default: all)",
    )
    parser.add_argument(
        "--modes",
        metavar="MODES",
        help="the modes to ask in: some of json,stream,json-unstored,stream-unstored,background,background-stream,"
        "cancelled,leaving,leaving-at-once (default: all)",
    )
    parser.add_argument("--profile", default="strict", help="how streams are read (default: %(default)s)")
    parser.add_argument("--ignore", metavar="RULES", default="", help="rules that are not asked for: R037,R08")
    parser.add_argument("--model", help="the model to ask for (default: that of the server's options)")
    parser.add_argument(
        "--timeout", type=float, default=30.0, metavar="SECONDS", help="for one answer (default: %(default)s)"
    )
    parser.add_argument(
        "--deterministic",
        action="store_true",
        help="the handler answers the same question in the same way, so that it is an error where it does not",
    )
    parser.add_argument("--fail-fast", action="store_true", help="stop at the first case that shows an error")
    parser.add_argument("--format", choices=("human", "json"), default="human", help="(default: %(default)s)")
    parser.set_defaults(command=run)


def run(chosen: argparse.Namespace) -> int:
    """Check the handler, and return 0 if no case shows an error, else 1.

    Raises:
        CommandError: the target is no handler, a request cannot be read, or an argument does not fit.
    """
    from responses_stream.checking.runs import check_handler

    out = sys.stdout
    requests = [_read_request(Path(name)) for name in chosen.request]
    told = out if chosen.format == "human" else None
    # What a handler prints must not stand between what we print.
    with contextlib.redirect_stdout(sys.stderr):
        name, handler = _load(chosen.target)
        try:
            report = check_handler(
                handler,  # type: ignore[arg-type]  # whether it is one is the question
                requests=requests,
                inputs=() if chosen.inputs == _NONE else _listed(chosen.inputs),
                modes=_listed(chosen.modes),
                profile=chosen.profile,
                ignore=_listed(chosen.ignore) or (),
                timeout=chosen.timeout,
                deterministic=chosen.deterministic,
                model=chosen.model,
                fail_fast=chosen.fail_fast,
                on_case=None if told is None else lambda case: _tell(case, told),
            )
        except ResponsesStreamError as error:
            raise CommandError(f"{name} cannot be checked: {error}") from None
    _show(report, chosen.format, out)
    return 0 if report.ok else 1


def _tell(case: CheckedCase, out: TextIO) -> None:
    print(case, file=out, flush=True)


def _show(report: CheckReport, form: str, out: TextIO) -> None:
    if form == "json":
        print(json.dumps(report.as_dict(), indent=2), file=out)
    else:
        print(f"\n{report.details()}", file=out)


def _load(target: str) -> tuple[str, object]:
    try:
        return load_target(target, _DEFAULTS)
    except CommandError:
        raise
    except Exception as error:
        told = traceback.TracebackException.from_exception(error)
        # Of the import machinery and of ourselves nobody wants to read.
        told.stack = traceback.StackSummary.from_list(
            frame for frame in told.stack if "importlib" not in frame.filename and frame.filename not in _LOADERS
        )
        shown = "".join(told.format()).rstrip()
        raise CommandError(f"{target} cannot be imported\n{shown}") from None


_LOADERS: Final = (__file__, str(Path(__file__).with_name("targets.py")))


def _read_request(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror or error}") from None
    except ValueError as error:
        raise CommandError(f"{path} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise CommandError(f"{path} holds no body of a request, which is a JSON object, but a {type(found).__name__}")
    return found


def _listed(text: str | None) -> Sequence[str] | None:
    return [part.strip() for part in text.split(",") if part.strip()] if text else None
