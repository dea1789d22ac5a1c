"""What ``validate`` does: opens the inputs one after another, has their streams judged, and tells what is found."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from responses_stream.cli.failure import CommandError
from responses_stream.cli.formats import WRITERS, HumanWriter, Writer
from responses_stream.cli.formats.writer import on_one_line
from responses_stream.cli.inputs import STDIN, Input, Reading, is_url, read_object, read_original
from responses_stream.cli.judging import Judging
from responses_stream.cli.verdicts import Source, Verdict
from responses_stream.errors import InvalidValue
from responses_stream.validation import EventValidator, Violation
from responses_stream.validation.capture_layers import UnusableCapture
from responses_stream.validation.captures import MAX_CAPTURE_BYTES
from responses_stream.validation.validator import MAX_FRAME_BYTES


def validate(chosen: argparse.Namespace) -> int:
    """Judge all inputs, and return the exit status of the gravest.

    Raises:
        CommandError: an argument does not fit, or what it names cannot be read or written.
    """
    _check(chosen)
    reading, judging = _reading(chosen), _judging(chosen)
    try:
        with _opened(chosen.output) as out:
            session = _Session(judging, _writer(chosen, out))
            for argument in chosen.inputs:
                session.judge(Input(argument, reading))
            session.writer.close()
            out.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CommandError(f"the report cannot be written: {error.strerror or error}") from None
    return session.status


class _Session:
    """One run of the command.

    Attributes:
        status: the exit status so far.
    """

    def __init__(self, judging: Judging, writer: Writer) -> None:
        self._judging, self.writer = judging, writer
        self.status = 0

    def judge(self, one: Input) -> None:
        """Judge all streams of one input."""

        def note(text: str) -> None:
            one.clear()
            _say(one.source, text)

        def tell(source: Source, violation: Violation) -> None:
            one.clear()
            self.writer.violation(source, violation)

        try:
            for source, stream in one.streams(note):
                verdict = self._judging.judge(source, stream, tell)
                one.clear()
                self._end(verdict)
        except UnusableCapture as error:
            one.clear()
            self._end(Verdict(one.source, self._judging.profile, error=str(error)))

    def _end(self, verdict: Verdict) -> None:
        # Somebody who reads the report on a terminal would read it twice.
        if verdict.error is not None and not (isinstance(self.writer, HumanWriter) and self.writer.out.isatty()):
            _say(verdict.source, verdict.error)
        self.writer.end(verdict)
        self.status = max(self.status, verdict.status)


def _say(source: Source, text: str) -> None:
    print(on_one_line(f"responses-stream: {source}: {text}"), file=sys.stderr)


def _check(chosen: argparse.Namespace) -> None:
    """Refuse what cannot work before anything is read."""
    if chosen.inputs.count(STDIN) > 1:
        raise CommandError("- is given more than once, and the standard input can be read once")
    if any(map(is_url, chosen.inputs)):
        from responses_stream.cli.calling import check_client

        check_client()
    for argument in (*chosen.inputs, chosen.request, chosen.retrieved, chosen.original):
        if None not in (argument, chosen.output) and _are_one(argument, chosen.output):
            raise CommandError(f"--output {chosen.output} would overwrite what is read")


def _are_one(path: str, other: str) -> bool:
    try:
        return Path(path).samefile(other)
    except OSError:
        return False


def _reading(chosen: argparse.Namespace) -> Reading:
    request = None if chosen.request is None else read_object(chosen.request, "--request")
    if request is not None and request.get("stream") is None:
        request = {**request, "stream": True}
    return Reading(
        max_bytes=chosen.max_bytes or MAX_CAPTURE_BYTES,
        progress=not chosen.no_progress,
        timeout=chosen.timeout,
        request=request,
        headers=(*_authorization(chosen.api_key_env), *chosen.header),
    )


def _authorization(name: str | None) -> Iterator[tuple[str, str]]:
    if name is not None:
        key = os.environ.get(name)
        if not key or not (key.isascii() and key.isprintable()):
            raise CommandError(f"--api-key-env {name}: there is no such key in the environment")
        yield "authorization", f"Bearer {key}"


def _judging(chosen: argparse.Namespace) -> Judging:
    select, ignore = _rules(chosen.select), _rules(chosen.ignore)
    try:
        EventValidator(chosen.profile, select=select, ignore=ignore)
    except InvalidValue as error:
        raise CommandError(f"--{error}") from None
    return Judging(
        profile=chosen.profile,
        request=None if chosen.request is None else read_object(chosen.request, "--request"),
        retrieved=None if chosen.retrieved is None else read_object(chosen.retrieved, "--retrieved"),
        original=None if chosen.original is None else read_original(chosen.original),
        starting_after=chosen.starting_after,
        transport=chosen.transport,
        select=select,
        ignore=ignore,
        max_line_bytes=chosen.max_line_bytes or MAX_FRAME_BYTES,
        most=chosen.max,
    )


def _rules(given: Sequence[str]) -> tuple[str, ...]:
    return tuple(rule.strip().upper() for rules in given for rule in rules.split(",") if rule.strip())


def _writer(chosen: argparse.Namespace, out: TextIO) -> Writer:
    writer = WRITERS[chosen.format](out)
    if isinstance(writer, HumanWriter):
        plain = not out.isatty() or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
        writer.color = chosen.color == "always" or (chosen.color == "auto" and not plain)
    return writer


@contextlib.contextmanager
def _opened(path: str | None) -> Iterator[TextIO]:
    if path is not None:
        with Path(path).open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            yield file
        return
    if sys.stdout is None:
        raise OSError("the standard output is closed")
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What a stream says need not fit the encoding of the terminal.
        sys.stdout.reconfigure(errors="backslashreplace")
    yield sys.stdout
