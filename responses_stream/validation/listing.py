"""The text of a capture in JSON: one event a line, several, one over many lines, or an array of them all.

It is read like `Framing`: bytes in, and out come the events, with `UNREADABLE` in the place of one that is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from responses_stream.validation.documents import Document, DocumentDecoder, DocumentError, DocumentTooLarge
from responses_stream.validation.findings import Findings
from responses_stream.validation.framing import UNREADABLE, event_of


class Listing:
    """Reads the JSON values of one capture.

    Attributes:
        ended: whether a terminal event was read; whoever judges them says so.
        cut: whether the text ended inside of a value.
        too_large: whether a value was too large to be read.
    """

    def __init__(self, findings: Findings, max_bytes: int) -> None:
        self._findings = findings
        self._documents = DocumentDecoder(max_bytes=max_bytes)
        self.ended = self.cut = self.too_large = False
        # The last line of what could not be read: a slip of a quote tears what is left of it to pieces.
        self._torn = 0

    def feed(self, chunk: bytes) -> Iterator[Any]:
        """Take the next bytes; yield the values, while the findings stand at their place."""
        self._documents.feed(chunk)
        yield from self._read()

    def close(self) -> Iterator[Any]:
        """Say that the text has ended; yield what could not be told from the beginning of more."""
        rest = self._documents.close()
        yield from self._read()
        if rest is None:
            return
        self._at(rest)
        self.cut = not self.ended
        if self.ended:
            self._findings.say("R001", "$", "the text ends inside of a JSON value", "one JSON object")

    def finish(self) -> None:
        """Say what only the end shows: nothing, as lines have no form to be kept."""

    def _read(self) -> Iterator[Any]:
        findings = self._findings
        while True:
            try:
                document = next(self._documents)
            except StopIteration:
                return
            except DocumentError as error:
                self.too_large = self.too_large or isinstance(error, DocumentTooLarge)
                if error.line != self._torn:
                    if not self._torn or error.line > self._torn + 1:
                        # Line after line that is no JSON is one thing that is wrong.
                        findings.line, findings.offset = error.line, error.offset
                        findings.say("R001", "$", error.reason, "one JSON object")
                    yield UNREADABLE
                self._torn = error.line
                continue
            if document.line == self._torn and not document.data.startswith(b"{"):
                continue
            self._at(document)
            event = event_of(document.data, document.line, document.offset, findings)
            if event is UNREADABLE:
                self._torn = document.line + document.data.count(b"\n")
            if isinstance(event, dict) and "type" not in event:
                held = event.get("data")
                if isinstance(held, dict) and isinstance(held.get("type"), str):
                    event = held  # some captures wrap each event with the name of its frame
            yield event

    def _at(self, document: Document) -> None:
        self._findings.line, self._findings.offset = document.line, document.offset
