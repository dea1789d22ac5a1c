"""The part of the conformance suite about replies that are made while they are sent, and clients that leave."""

from __future__ import annotations

import contextlib

from responses_transports.conformance_client import BrokenOff, Client
from responses_transports.conformance_engine import SECRET
from responses_transports.conformance_stage import Call, Stage, Unexpected, open_stage
from responses_transports.conforming import Conforming, conforms, conforms_where, meanwhile

_PIECE = b"p" * 65536
_STILL_SECONDS = 0.3
"""After how long a transport counts as waiting. One that is slower than that passes for one that waits."""


class StreamConformance(Conforming):
    """Checks of streams."""

    @conforms
    def test_each_piece_arrives_before_the_next_is_made(self, stage: Stage) -> None:
        client = stage.connect()
        call = _begin(stage, client)
        for number in range(20):
            piece = b"data: %d\n\n" % number
            call.piece(piece)
            assert client.exactly(len(piece)) == piece
        call.end()
        assert client.piece() is None
        call.wait_for("closed")

    @conforms
    def test_the_head_of_a_stream_goes_out_as_it_is(self, stage: Stage) -> None:
        client = stage.connect()
        client.ask("POST", body=b"")
        call = stage.call()
        call.stream(("x-accel-buffering", "no"), ("cache-control", "no-cache, no-transform"), status=201)
        call.piece(b"x")
        head = client.head("POST")
        assert head.status == 201
        assert head.header("content-type") == "text/event-stream"
        assert head.header("x-accel-buffering") == "no"
        assert head.header("cache-control") == "no-cache, no-transform"
        assert head.header("content-length") is None

    @conforms
    def test_the_request_of_a_stream_was_read(self, stage: Stage) -> None:
        client = stage.connect()
        client.ask("POST", body=b'{"stream": true}')
        call = stage.call()
        assert call.read_all() == b'{"stream": true}'
        call.stream()
        call.piece(b"yes")
        head = client.head("POST")
        assert head.status == 200
        assert client.exactly(3) == b"yes"
        call.end()
        assert client.piece() is None
        call.wait_for("closed")
        if self.keeps_connections and head.header("connection") != "close":
            client.ask()
            stage.call().reply(b"the next")
            assert client.answer().body == b"the next"

    @conforms
    def test_pieces_of_every_size_arrive(self, stage: Stage) -> None:
        """An empty piece is none; written as a chunk it would be the end."""
        client = stage.connect()
        call = _begin(stage, client)
        sizes = (0, 1, 0, 65535, 65536, 300_000, 0, 2)
        for size in sizes:
            piece = bytes([size % 251]) * size
            call.piece(piece)
            assert client.exactly(size) == piece
        call.end()
        assert client.piece() is None
        call.wait_for("closed")

    @conforms
    def test_a_stream_may_be_empty(self, stage: Stage) -> None:
        client = stage.connect()
        client.ask()
        call = stage.call()
        call.stream()
        call.end()
        assert client.answer().body == b""
        call.wait_for("closed")

    @conforms_where("serves_old_clients")
    def test_an_old_client_gets_a_stream_that_ends_with_the_connection(self, stage: Stage) -> None:
        client = stage.connect()
        client.send(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n")
        call = stage.call()
        call.stream()
        call.piece(b"one")
        assert client.head().header("transfer-encoding") is None
        assert client.exactly(3) == b"one"
        call.end()
        assert client.piece() is None
        call.wait_for("closed")

    @conforms
    def test_head_closes_a_stream(self, stage: Stage) -> None:
        client = stage.connect()
        client.ask("HEAD")
        call = stage.call()
        call.stream()
        call.wait_for("closed")
        assert client.answer("HEAD").body == b""

    @conforms
    def test_streams_do_not_wait_for_each_other(self, stage: Stage) -> None:
        clients = [stage.connect() for _ in range(8)]
        calls = [_begin(stage, client) for client in clients]
        for number in range(3):
            for client, call in zip(clients, calls, strict=True):
                call.piece(b"%d" % number)
                assert client.exactly(1) == b"%d" % number
        another = stage.connect()
        another.ask()
        stage.call().reply(b"in between")
        assert another.answer().body == b"in between"
        for client, call in reversed([*zip(clients, calls, strict=True)]):
            call.end()
            assert client.piece() is None
            call.wait_for("closed")

    @conforms
    def test_a_body_that_is_cut_short_cuts_the_connection(self, stage: Stage) -> None:
        client = stage.connect()
        call = _begin(stage, client)
        call.piece(b"some")
        assert client.exactly(4) == b"some"
        call.cut()
        self._is_cut(client)
        call.wait_for("closed")
        self._lives_on(stage)

    @conforms
    def test_a_body_that_fails_cuts_the_connection_and_says_nothing(self, stage: Stage) -> None:
        client = stage.connect()
        call = _begin(stage, client)
        call.piece(b"some")
        assert client.exactly(4) == b"some"
        call.wait_for_next()
        call.fail()
        self._is_cut(client)
        call.wait_for("closed")
        self._lives_on(stage)

    def _is_cut(self, client: Client) -> None:
        rest = b""
        try:
            while (piece := client.piece()) is not None:
                rest += piece
        except BrokenOff:
            cut = True
        else:
            cut = False
        assert SECRET.encode() not in rest, "the client reads the text of an error"
        assert cut or not self.may_cut, "the client takes what was cut short for a whole"

    def _lives_on(self, stage: Stage) -> None:
        client = stage.connect()
        client.ask()
        stage.call().reply(b"alive")
        assert client.answer().body == b"alive"

    @conforms
    def test_a_slow_client_holds_the_engine_back_and_gets_all(self, stage: Stage) -> None:
        client = stage.connect(small=True)
        call = _begin(stage, client)
        sent = _pour(call, self.most_ahead + 1)
        assert sent <= self.most_ahead, f"{sent} bytes were taken that nobody reads"
        with meanwhile(call.end):
            assert len(client.rest()) == sent
        call.wait_for("closed")

    @conforms
    def test_a_client_that_leaves_a_silent_stream_closes_it(self, stage: Stage) -> None:
        """Decision 13; where only writing tells, it is the first piece that cannot be written (pains.md G1)."""
        for at_once in (False, True):
            client = stage.connect()
            call = _begin(stage, client)
            call.piece(b"one")
            assert client.exactly(3) == b"one"
            call.wait_for_next()
            client.leave(at_once=at_once)
            self._is_closed(call)

    @conforms
    def test_a_client_that_leaves_a_stream_that_it_did_not_read_closes_it(self, stage: Stage) -> None:
        client = stage.connect(small=True)
        call = _begin(stage, client)
        _pour(call, 4 * len(_PIECE))
        client.leave(at_once=True)
        self._is_closed(call)

    def _is_closed(self, call: Call) -> None:
        if self.notices_leaving:
            call.wait_for("closed")
            return
        try:
            # The first write after a client has gone may still be taken by the system.
            for _ in range(1000):
                call.piece(_PIECE)
        except ConnectionError:
            return
        except Unexpected as seen:
            if seen.what == "closed":
                return
            raise
        raise AssertionError("the body is not closed, though its client has gone")

    @conforms_where("notices_leaving")
    def test_a_client_that_leaves_before_the_reply_cancels_the_call(self, stage: Stage) -> None:
        """Also where the answer is no stream (pains.md C3, C4)."""
        for at_once in (False, True):
            client = stage.connect()
            client.ask("POST", body=b"x" * 1000)
            call = stage.call()
            assert len(call.read_all()) == 1000
            client.leave(at_once=at_once)
            call.wait_for("cancelled")
        self._lives_on(stage)

    @conforms
    def test_a_client_that_left_before_the_reply_leaves_nothing(self, stage: Stage) -> None:
        client = stage.connect()
        client.ask()
        call = stage.call()
        client.leave(at_once=True)
        call.stream()
        try:
            self._is_closed(call)
        except Unexpected as seen:
            if seen.what != "cancelled":
                raise
        self._lives_on(stage)

    def test_a_stop_drains_and_what_is_under_way_ends_in_order(self) -> None:
        """H15.1, decision 28: the engine's lifespan lasts as long as the transport serves."""
        with open_stage(self.serving, patience=self.patience) as stage:
            client = stage.connect()
            call = _begin(stage, client)
            life = stage.call("lifespan")
            call.piece(b"one")
            assert client.exactly(3) == b"one"
            with meanwhile(stage.stop):
                if self.drains:
                    stage.call("drain")
                call.piece(b"two")
                assert client.exactly(3) == b"two"
                call.end()
                assert client.piece() is None
                call.wait_for("closed")
                life.wait_for("closed")


def _begin(stage: Stage, client: Client, first: bytes = b"begin") -> Call:
    """Begin a stream with a first piece, so that its head has come."""
    client.ask()
    call = stage.call()
    call.stream()
    if first:
        call.piece(first)
    assert client.head().status == 200
    assert client.exactly(len(first)) == first
    return call


def _pour(call: Call, most: int) -> int:
    """Give pieces until the transport waits, or has taken *most* bytes; return how many it has taken."""
    taken = 0
    with contextlib.suppress(TimeoutError):
        while taken < most:
            call.wait_for_next(_STILL_SECONDS)
            call.piece(_PIECE)
            taken += len(_PIECE)
    return taken
