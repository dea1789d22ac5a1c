"""Looking on: one `Exchange` for each request that passes, judged, captured and told of, and never in the way.

Whatever goes wrong in here is told and stays here; the bytes do not wait for it.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias

import attrs

from responses_stream.hosting.http import Headers, HttpRequest
from responses_stream.tap.captures import Capture, Captures, suffix_of
from responses_stream.tap.codings import Decoder, decoder_of
from responses_stream.tap.judging import EVENT_STREAM, AskedBody, Reading, is_stream, media_type_of
from responses_stream.tap.redaction import Mask, redact_headers, redact_members
from responses_stream.tap.tally import Tally, plural
from responses_stream.validation import EventValidator
from responses_stream.validation.report import Report, Violation

MOST_TOLD: Final = 50
"""How many violations of one stream are told; more are counted, and captured."""

Ending: TypeAlias = Literal["whole", "left", "broken"]
"""How an exchange ended: as it should, by the client (or the tap's own end), or by the upstream."""


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@attrs.define
class Watch:
    """What all exchanges of one tap have in common.

    Attributes:
        reading: how streams are read.
        captures: where exchanges are written, if they are.
        tell: is given each line.
        tally: the sum of all.
    """

    reading: Reading = attrs.field(factory=Reading)
    captures: Captures | None = None
    tell: Callable[[str], None] = _print
    tally: Tally = attrs.field(factory=Tally)
    _numbers: Iterator[int] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._numbers = itertools.count(self.captures.first if self.captures else 1)

    def begin(self, request: HttpRequest, url: str) -> Exchange:
        """Begin to watch *request*, which is passed on to *url*."""
        self.tally.exchanges += 1
        return Exchange(self, next(self._numbers), request, url)


class Exchange:
    """One request and its answer, as they pass.

    Attributes:
        asked: the body of the request, which fills while it passes.
    """

    def __init__(self, watch: Watch, number: int, request: HttpRequest, url: str) -> None:
        self._watch, self._number, self._request, self._url = watch, number, request, url
        self._started = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._mask = Mask(request.headers, request.query)
        self._status: int | None = None
        self._headers: Headers = ()
        self._bytes = 0
        self._decoder: Decoder | None = None
        self._validator: EventValidator | None = None
        self._capture: Capture | None = None
        self._judges = False
        self._found: Counter[str] = Counter()
        self._remarks: list[str] = []
        self._begun = self._over = False
        self.asked = AskedBody()

    def answered(self, status: int, headers: Headers) -> None:
        """The head of the answer has come. It is looked at later, so that nothing keeps it from the client."""
        self._status, self._headers = status, headers

    def passed(self, chunk: bytes) -> None:
        """A piece of the body has been sent to the client."""
        self._begin()
        self._bytes += len(chunk)
        if self._decoder is None:
            return
        try:
            for piece in self._decoder.feed(chunk):
                self._look_at(piece)
        except ValueError as error:
            self._decoder = None
            why = f"its body is not what its content-encoding says ({error})"
            if self._judges:
                self._unjudged(why)
            else:
                self._remarks.append(why)

    def ended(self, how: Ending, why: str = "") -> None:
        """Nothing more passes; only the first time counts."""
        if self._over:
            return
        self._over = True
        self._begin()
        if how == "left":
            self._remarks.append("the client left before its end")
        elif how == "broken":
            self._remarks.append(f"the upstream failed: {why}")
        elif self._decoder and not self._decoder.is_complete:
            self._remarks.append("its compressed data has no end")
        report = self._conclude(how)
        with self._capturing():
            if self._capture:
                self._capture.close()
                self._capture.save("exchange.json", self._description(self._capture, how))
                if report:
                    self._capture.save("report.json", report.as_dict())
        self._tell(": ".join([self._headline(), "; ".join([self._verdict(report), *self._remarks])]))

    def _begin(self) -> None:
        if self._begun:
            return
        self._begun = True
        media_type = media_type_of(self._header("content-type"))
        coding = ", ".join(value for name, value in self._headers if name == "content-encoding")
        self._decoder = decoder_of(coding)
        asked = None
        with self._judging():
            asked = self.asked.read(self._request.header("content-encoding"))
            self._mask = Mask((*self._request.headers, *self._headers), self._request.query, asked)
            if is_stream(self._request, asked, self._status, media_type):
                self._begin_to_judge(asked, media_type, coding)
        with self._capturing():
            self._begin_capture(asked, media_type, coding)
        # What cannot be decoded is captured as it is.
        self._decoder = self._decoder or decoder_of(None)

    def _begin_to_judge(self, asked: dict[str, Any] | None, media_type: str, coding: str) -> None:
        if media_type != EVENT_STREAM:
            self._remarks.append(f"its content-type is {media_type or 'missing'}, not {EVENT_STREAM}")
        if self._decoder is None:
            self._unjudged(f"its content-encoding is {coding}")
        else:
            self._validator = self._watch.reading.validator(self._request, asked)
            self._judges = True

    def _begin_capture(self, asked: dict[str, Any] | None, media_type: str, coding: str) -> None:
        if self._watch.captures is None:
            return
        self._capture = self._watch.captures.begin(self._number, self._mask)
        if asked is not None:
            self._capture.save("request.json", redact_members(asked))
        if self._status is not None:
            suffix = suffix_of(EVENT_STREAM if self._validator else media_type)
            if self._decoder is None:
                suffix += f".{coding}" if coding.isalnum() else ".encoded"
            self._capture.open_body(suffix)

    def _look_at(self, piece: bytes) -> None:
        if self._capture:
            with self._capturing():
                self._capture.write(piece)
        if self._judges and self._validator:
            with self._judging():
                for violation in self._validator.feed(piece):
                    self._tell_of(violation)

    def _conclude(self, how: Ending) -> Report | None:
        if self._validator is None:
            return None
        report = None
        with self._judging():
            # What a client did not wait for is not missing.
            if self._judges and how != "left":
                for violation in self._validator.finish():
                    self._tell_of(violation)
            report = self._validator.report
        self._watch.tally.judged(ok=not self._found["error"])
        return report

    def _tell_of(self, violation: Violation) -> None:
        self._watch.tally.found(violation)
        self._found[violation.severity] += 1
        if (told := self._found.total()) <= MOST_TOLD:
            self._tell(str(violation))
        elif told == MOST_TOLD + 1:
            self._tell("further violations of this stream are only counted")

    def _tell(self, line: str) -> None:
        line = self._mask.text(line)
        # What comes from afar must not steer a terminal.
        plain = "".join(char if char.isprintable() else repr(char)[1:-1] for char in line)
        with contextlib.suppress(Exception):  # nobody listens
            self._watch.tell(f"#{self._number} {plain}")

    def _headline(self) -> str:
        return f"{self._request.method} {self._url} {self._status or '(no answer)'}"

    def _verdict(self, report: Report | None) -> str:
        if report is None:
            return plural(self._bytes, "byte")
        counts = [plural(self._found[severity], severity) for severity in ("error", "warning") if self._found[severity]]
        valid = ["valid"] if report.ok and self._judges else []
        dialect = [f"it speaks {report.dialect}"] if report.dialect else []
        return ", ".join([plural(report.events, "event"), *valid, *counts, *dialect])

    def _description(self, capture: Capture, how: Ending) -> dict[str, Any]:
        head = {"method": self._request.method, "url": self._url, "headers": redact_headers(self._request.headers)}
        answer = {
            "status": self._status,
            "headers": redact_headers(self._headers),
            "body": capture.body,
            "bytes": self._bytes,
        }
        return {
            "number": self._number,
            "started": self._started,
            "request": head,
            "response": answer if self._status is not None else None,
            "ended": how,
            "remarks": self._remarks,
        }

    def _header(self, name: str) -> str | None:
        return next((value for key, value in self._headers if key == name), None)

    def _unjudged(self, why: str) -> None:
        self._judges = False
        self._watch.tally.unjudged += 1
        self._remarks.append(f"not judged: {why}")

    @contextlib.contextmanager
    def _judging(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._unjudged(f"the judge failed ({type(error).__name__}), which is a fault of this program")
            for line in "".join(traceback.format_exception(error)).splitlines():
                self._tell(line)

    @contextlib.contextmanager
    def _capturing(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            broken, self._capture = self._capture, None
            if broken:
                with contextlib.suppress(OSError):
                    broken.close()
            self._remarks.append(f"not captured: {type(error).__name__}: {error}")
