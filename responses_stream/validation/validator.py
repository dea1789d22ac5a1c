"""`EventValidator`: judges a stream while it comes, from whatever it comes in.

An event is a dict as JSON gives it; typed events and objects of the `openai` package become such dicts first, bytes
and text are cut into frames or JSON values. What is kept grows with what is open and with the number of items, not
with the length of the stream.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias

from responses_stream import lifecycle
from responses_stream.errors import DecodeError, InvalidValue, OutOfOrder
from responses_stream.protocol.codec import from_json
from responses_stream.validation.connection import Connection
from responses_stream.validation.dialects import dialect_of
from responses_stream.validation.differences import shown
from responses_stream.validation.findings import Findings
from responses_stream.validation.framing import UNREADABLE, Framing
from responses_stream.validation.judge import StreamJudge
from responses_stream.validation.listing import Listing
from responses_stream.validation.profiles import Profile
from responses_stream.validation.replays import Original, judge_retrieved
from responses_stream.validation.report import Report, Violation
from responses_stream.validation.sources import TEXT, Body, Source, bytes_of, events_of, plain
from responses_stream.validation.table import Hot

Transport: TypeAlias = Literal["sse", "websocket"]
"""How the events travelled; a WebSocket carries several responses, and no frames."""

MAX_FRAME_BYTES: Final = 64 * 1024 * 1024
"""How many bytes one event may have: the limit of a whole log in decision 27."""

_MOST_KEPT: Final = 10_000
_MOST_SPACE: Final = 4096
_SHOWN: Final = 61
_SPACE: Final = b" \t\r\n\xef\xbb\xbf"
_FRAMED: Final = ("[DONE]", "data:", "event:")


class EventValidator:
    """Judges one stream, or one connection.

    Args:
        profile: how strictly it is read.
        request: the body of the request that it answers; for R161, R163, R205, R211-R213.
        retrieved: what GET returned of the same response; for R210 and R212.
        original: the events of the stream that it replays; for R192-R195.
        starting_after: the cursor of the replay; for R190 and R191.
        transport: ``websocket`` for the messages of a connection, one `feed` each.
        select: judge by these rules only; ids, or beginnings of ids. One that is off in the profile and named in full
            is judged as a warning.
        ignore: leave out these rules.
        max_frame_bytes: how long one event may be.

    Raises:
        InvalidValue: the profile, the transport or a rule is not known.
        InvalidType: *original* holds something that is no event.

    Attributes:
        dialect: the name of the foreign protocol that the stream turned out to speak.
        oversized: whether an event was too large to be read.
    """

    def __init__(
        self,
        profile: Profile = "strict",
        *,
        request: Body | None = None,
        retrieved: Body | None = None,
        original: Iterable[Source] | Source | None = None,
        starting_after: int | None = None,
        transport: Transport = "sse",
        select: Collection[str] = (),
        ignore: Collection[str] = (),
        max_frame_bytes: int = MAX_FRAME_BYTES,
    ) -> None:
        if transport not in ("sse", "websocket"):
            raise InvalidValue("transport", f"is {transport!r}, but it is 'sse' or 'websocket'")
        if max_frame_bytes < 1:
            raise InvalidValue("max_frame_bytes", f"has to be at least 1, got {max_frame_bytes}")
        self._findings = Findings(profile, select, ignore)
        self._request = None if request is None else plain(request, "request")
        self._retrieved = None if retrieved is None else plain(retrieved, "retrieved")
        self._original = None if original is None else Original(events_of(original, "original"))
        # Nothing stands before the first number: such a replay is the whole stream.
        self._starting_after = starting_after if starting_after is not None and starting_after >= 0 else None
        self._limit = max_frame_bytes
        self._judge = self._make(self._request, False)
        self._items, self._numbers = self._judge.items, self._judge.numbers
        self._connection: Connection | None = None
        if transport == "websocket":
            self._connection = Connection(self._findings, self._make, self._request)
        self._reader: Framing | Listing | None = None
        self._unread = b""
        self._kept: list[Violation] = []
        self._omitted, self._worse, self._finished = 0, False, False
        # How many events since the last one that was judged could not be read, and whether any was judged.
        self._lost, self._begun = 0, False
        self.oversized = False
        self.dialect: str | None = None

    def _make(self, request: Mapping[str, Any] | None, turn: bool) -> StreamJudge:
        last = self._original.last if self._original is not None else None
        after = self._starting_after
        return StreamJudge(self._findings, request=request, starting_after=after, last_of_original=last, turn=turn)

    @property
    def events(self) -> int:
        """How many events were judged."""
        return self._findings.index

    @property
    def report(self) -> Report:
        """What was found so far."""
        return Report(
            events=self.events,
            profile=self._findings.profile,
            # What only the end shows may be about the beginning.
            violations=tuple(sorted(self._kept, key=lambda violation: violation.index)),
            dialect=self.dialect,
            omitted=self._omitted,
            errors_omitted=self._worse,
        )

    def feed(self, source: Source) -> list[Violation]:
        """Judge the next event, or a piece of text; return what is wrong with it.

        Raises:
            InvalidType: it is nothing that can be read.
            OutOfOrder: the stream was finished.
        """
        if type(source) is dict:
            event = source
        elif isinstance(source, TEXT):
            self._check_open()
            self._text(source)
            return self._settle()
        else:
            event = plain(source, "source")
        hot = self._items.hot
        if hot is not None and self._is_one_more(event, hot):
            return []
        self._check_open()
        self._take(event)
        return self._settle()

    def finish(self) -> list[Violation]:
        """Say that the stream has ended; return what only its end shows. A second call returns nothing."""
        if self._finished:
            return []
        self._close_text()
        self._finished = True
        self._items.hot = None
        if self.dialect is None:
            self._judge_end()
        return self._settle()

    def _check_open(self) -> None:
        if self._finished:
            raise OutOfOrder("feed", "finished", (), "a validator judges one stream")

    def _settle(self) -> list[Violation]:
        found = self._findings.take()
        for violation in found:
            if len(self._kept) < _MOST_KEPT:
                self._kept.append(violation)
            else:
                self._omitted += 1
                self._worse = self._worse or violation.severity == "error"
        return found

    # Events.

    def _is_one_more(self, event: dict[str, Any], hot: Hot) -> bool:
        """Whether *event* is one more delta like the last, and nothing else is to be said of it.

        Each member is looked at. `is` holds for small integers only, and never between 0 and False; what does not
        pass here is judged in full.
        """
        try:
            number, delta, numbers = event["sequence_number"], event["delta"], self._numbers
            if (
                len(event) == hot.size
                and number == numbers.next
                and type(number) is int
                and type(delta) is str
                and delta
                and event["type"] == hot.name
                and event["item_id"] == hot.item_id
                and event["output_index"] is hot.index
                and (hot.counted_by is None or event[hot.counted_by] is hot.count)
                and (not hot.logprobs or event["logprobs"] == [])
                and (not hot.obfuscated or type(event["obfuscation"]) is str)
            ):
                hot.takes.write(delta)
                hot.takes.deltas += 1
                numbers.last, numbers.next = number, number + 1
                self._findings.index += 1
                return True
        except KeyError:
            pass
        return False

    def _take(self, event: dict[str, Any]) -> None:
        """Judge an event in full."""
        if self.dialect is None:
            try:
                self._judge_event(event)
            except RecursionError:
                self._give_up("is nested too deeply to be read", "fewer levels")
            except UnicodeError:
                self._give_up("holds half a surrogate pair", "text that UTF-8 can say")
        self._findings.index += 1

    def _give_up(self, seen: str, expected: str) -> None:
        """Say why an event cannot be judged to its end; what it would have led to is no further cause."""
        self._findings.say("R015", "$", seen, expected)
        self._findings.excuse()
        self._items.missed()

    def _judge_event(self, event: dict[str, Any]) -> None:
        findings = self._findings
        if not self._begun:
            self._begun, self.dialect = True, dialect_of(event)
            if self.dialect is not None:
                named = isinstance(event.get("type"), str)
                seen = f"the stream speaks another protocol: {self.dialect}"
                findings.say("R030" if named else "R011", "$.type", seen, "a Responses stream")
                return
        if self._lost:
            self._excuse(event.get("sequence_number"))
        if self._connection is not None:
            self._connection.take(event)
            return
        if self._original is not None:
            event = self._original.judge(event, findings)
        if self._judge.ended and event.get("type") == lifecycle.CREATED:
            self._begin_again(event)
        self._judge.take(event)
        if self._original is not None:
            self._items.hot = None

    def _begin_again(self, event: Mapping[str, Any]) -> None:
        """Go on with the next response of a capture: files hold several, and `lenient` takes them from anywhere."""
        response = event.get("response")
        other = response.get("id") if isinstance(response, Mapping) else None
        if (
            isinstance(self._reader, Listing) or self._findings.profile == "lenient"
        ) and other != self._judge.copies.id:
            self._judge = self._make(None, False)
            self._items, self._numbers = self._judge.items, self._judge.numbers

    def _excuse(self, number: object = None) -> None:
        """Say no more of what could not be read, unless the numbers go on as if nothing was missing there."""
        lost, self._lost = self._lost, 0
        if self._connection is None:
            if number == self._numbers.next:
                return
            self._items.missed()
        self._findings.excuse(lost)

    def _judge_end(self) -> None:
        """Judge what is missing at the end, and the copies of the response elsewhere."""
        judge, original, reader = self._judge, self._original, self._reader
        if self._lost:
            self._excuse()
        if self._connection is not None:
            self._connection.finish()
        elif self.events or not self._may_be_empty():
            if original is not None and original.finished and not judge.ended:
                self._judge_replay(original)
            else:
                judge.finish(cut=reader is not None and reader.cut)
        if reader is not None:
            reader.finish()
        if self._retrieved is not None:
            terminal = judge.terminal
            if self._connection is not None:
                terminal = self._connection.terminal_of(self._retrieved.get("id"))
            judge_retrieved(self._retrieved, terminal, self._request, self._findings)

    def _may_be_empty(self) -> bool:
        """Whether it may be that nothing was left to be replayed behind the cursor."""
        if self._starting_after is None:
            return False
        last = self._original.last if self._original is not None else None
        return last is None or self._starting_after >= last

    def _judge_replay(self, original: Original) -> None:
        """R193: unless the cursor stood behind the end, the end has to come again."""
        if original.last is None or self._starting_after is None or self._starting_after < original.last:
            seen = f"the replay ends after {self._numbers.last}"
            self._findings.say("R193", "$", seen, f"the terminal event, number {original.last}")

    # Text.

    def _text(self, piece: bytes | bytearray | memoryview | str) -> None:
        data, reader = bytes_of(piece), self._reader
        if self._connection is not None:
            self._message(data)
            return
        if reader is None:
            data = self._unread + data
            begin = data.lstrip(_SPACE)[:1]
            if not begin and len(data) < _MOST_SPACE:
                self._unread = data
                return
            self._unread = b""
            reader = (Listing if begin in (b"{", b"[") else Framing)(self._findings, self._limit)
            self._reader = reader
        for event in reader.feed(data):
            self._of_text(event, reader)
        self.oversized = reader.too_large

    def _close_text(self) -> None:
        reader = self._reader
        if reader is not None:
            for event in reader.close():
                self._of_text(event, reader)
            self.oversized = reader.too_large
        if reader is None or not reader.cut:
            self._findings.line = self._findings.offset = None

    def _of_text(self, event: Any, reader: Framing | Listing) -> None:
        if not isinstance(event, dict):
            self._no_event(event)
            return
        hot = self._items.hot
        if hot is None or not self._is_one_more(event, hot):
            self._take(event)
            reader.ended = self._judge.ended

    def _no_event(self, found: Any) -> None:
        """Take what stands in the place of an event and is none (R001)."""
        if found is UNREADABLE:
            self._lost += 1
            self._items.hot = None
        else:
            self._findings.say("R001", "$", f"is {shown(found)}", "one JSON object")
        self._findings.index += 1

    def _message(self, data: bytes) -> None:
        """Judge one message of a WebSocket (R200)."""
        text = data.decode("utf-8", "replace")
        try:
            event = from_json(text)
        except DecodeError as error:
            framed = text.lstrip().startswith(_FRAMED)
            rule, expected = ("R200", "the JSON alone") if framed else ("R001", "one JSON object")
            self._findings.say(rule, "$", f"{shown(text[:_SHOWN])}: {error.reason}", expected)
            self._no_event(UNREADABLE)
            return
        if isinstance(event, dict):
            self._take(event)
        else:
            self._no_event(event)
