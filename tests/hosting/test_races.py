"""Races, played one step after the other: a handler and a store stop where a test wants them to, and go on when told.

Whoever wins, what comes out is one story: exactly one terminal event, the same on the wire, in `GET` and on replay; and
nothing is left of it, neither a live run nor a task (`staged` looks).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from responses_stream import (
    CreateResponse,
    MemoryStore,
    ResponseContext,
)
from responses_stream.hosting import log
from responses_stream.hosting.http import CutShort
from responses_stream.protocol.events import ResponseStreamEvent

from .asking import answer_of, ask, request_for
from .gates import (
    BS,
    ES,
    ID,
    PATH,
    SS,
    B,
    Client,
    E,
    S,
    Stage,
    one_story,
    quiet,
    staged,
)

pytestmark = pytest.mark.anyio

# Cancel against completion.


@pytest.mark.parametrize("mode", [B, BS])
async def test_a_cancel_before_the_completion_wins(mode: dict[str, Any]) -> None:
    """H4.9, H4.10: also where the handler goes on to complete."""
    async with staged() as stage:
        last = stage.steps.hold("completed")
        wire = stage.create(mode)
        await last.reached.wait()
        cancel = stage.cancel()
        await quiet()
        assert (await ask(stage.server, method="GET", path=PATH)).json["status"] == "cancelled"
        last.open()
        answer = await cancel.got()
        assert (answer.status, answer.json["status"], answer.json["output"]) == (200, "cancelled", [])
        await stage.agree(wire if mode is BS else None, "cancelled")


@pytest.mark.parametrize("mode", [B, BS])
async def test_a_cancel_while_the_completion_is_stored_is_too_late(mode: dict[str, Any]) -> None:
    """H4.4: what is committed stays, and a second canceller is told the same; until then nobody sees the end."""
    async with staged() as stage:
        end = stage.store.gates.hold("before end")
        wire = stage.create(mode)
        await end.reached.wait()
        cancels = [stage.cancel(), stage.cancel()]
        seen = stage.get()
        await quiet()
        assert not seen.done.is_set()
        end.open()
        assert (await seen.got()).json["status"] == "completed"
        for cancel in cancels:
            answer = await cancel.got()
            assert (answer.status, answer.error["message"]) == (400, "Cannot cancel a completed response.")
        await stage.agree(wire if mode is BS else None)


@pytest.mark.parametrize("mode", [B, BS])
async def test_a_cancel_after_the_completion_is_stored_is_too_late(mode: dict[str, Any]) -> None:
    async with staged() as stage:
        end = stage.store.gates.hold("after end")
        wire = stage.create(mode)
        await end.reached.wait()
        cancel = stage.cancel()
        await quiet()
        end.open()
        assert (await cancel.got()).error["message"] == "Cannot cancel a completed response."
        await stage.agree(wire if mode is BS else None)


async def test_a_cancel_whose_end_the_store_does_not_take_is_told_so() -> None:
    """Decision 11: a response whose completion cannot be stored has failed, for its canceller as well."""
    async with staged() as stage:
        end, retry = stage.store.gates.hold("before end"), stage.store.gates.hold("after get")
        retry.open()
        wire = stage.create(BS)
        await end.reached.wait()
        cancel = stage.cancel()
        await quiet()
        del stage.store.gates.held["before end"]
        end.open(OSError("the disk is full"))
        answer = await cancel.got()
        assert (answer.status, answer.error["message"]) == (400, "Cannot cancel a failed response.")
        body = (await wire.got()).body
        response = (await ask(stage.server, method="GET", path=PATH)).json
        assert (response["status"], response["error"]["code"]) == ("failed", "storage_error")
        one_story(body, response)
        await _deleted(stage)


async def _deleted(stage: Stage) -> None:
    assert (await ask(stage.server, method="DELETE", path=PATH)).status == 200
    assert (await ask(stage.server, method="GET", path=PATH)).status == 404


@pytest.mark.parametrize("held", ["before create", "after create"])
@pytest.mark.parametrize("mode", [B, BS])
async def test_a_cancel_while_the_beginning_is_stored(mode: dict[str, Any], held: str) -> None:
    """H4.17, H20.46: the client chose the id, so it can know it."""
    async with staged() as stage:
        create = stage.store.gates.hold(held)
        wire = stage.create(mode)
        await create.reached.wait()
        cancel = stage.cancel()
        await quiet()
        create.open()
        answer = await cancel.got()
        assert (answer.status, answer.json["status"]) == (200, "cancelled")
        await stage.agree(wire if mode is BS else None, "cancelled")


@pytest.mark.parametrize("mode", [B, BS])
async def test_a_cancel_before_the_first_event(mode: dict[str, Any]) -> None:
    """H4.17, decision 15."""
    async with staged() as stage:
        first = stage.steps.hold("created")
        wire = stage.create(mode)
        await first.reached.wait()
        cancel = stage.cancel()
        await quiet()
        first.open()
        assert (await cancel.got()).json["status"] == "cancelled"
        await stage.agree(wire if mode is BS else None, "cancelled")
        if mode is B:
            assert (await wire.got()).json["status"] == "cancelled"


async def test_cancelling_twice_is_cancelling_once() -> None:
    """H4.9: the second is answered at once, while the first still waits, and with the same."""
    async with staged() as stage:
        last = stage.steps.hold("completed")
        wire = stage.create(BS)
        await last.reached.wait()
        first = stage.cancel()
        await quiet()
        second = await stage.cancel().got()
        assert not first.done.is_set()
        last.open()
        assert (await first.got()).body == second.body
        assert (await stage.cancel().got()).body == second.body
        await stage.agree(wire, "cancelled")


# Delete against eviction, and against the end.


async def test_a_response_that_is_evicted_while_it_is_deleted_is_not_there() -> None:
    """H6.5: delete goes by key; who comes too late is told as of any unknown id."""
    now = [0.0]
    async with staged(MemoryStore(clock=lambda: now[0], response_retention=10)) as stage:
        await stage.agree(stage.create(BS))
        delete = stage.store.gates.hold("before delete")
        late = stage.delete()
        await delete.reached.wait()
        now[0] = 20.0
        delete.open()
        assert (await late.got()).status == 404
        assert (await ask(stage.server, method="GET", path=PATH)).status == 404


async def test_a_response_is_deleted_while_another_one_evicts() -> None:
    """H6.5: what one delete has removed no eviction removes again."""
    async with staged(MemoryStore(max_responses=1)) as stage:
        await stage.agree(stage.create(BS))
        delete = stage.store.gates.hold("after delete")
        deleting = stage.delete()
        await delete.reached.wait()
        other = await ask(stage.server, {"model": "m", "input": "hi"})
        delete.open()
        assert (await deleting.got()).json == {"id": ID, "object": "response", "deleted": True}
        assert (await ask(stage.server, method="GET", path=f"/v1/responses/{other.json['id']}")).status == 200


@pytest.mark.parametrize("gone", ["events", "response", "deleted"])
async def test_a_replay_whose_events_go_meanwhile_is_cut_and_does_not_pretend_to_have_ended(gone: str) -> None:
    """H5.18, E2: a stream without its terminal event is no whole one, so neither is its body."""
    now = [0.0]
    store = MemoryStore(clock=lambda: now[0], event_retention=10, response_retention=10 if gone == "response" else 100)
    async with staged(store) as stage:
        await (await _finished(stage)).got()
        reply = await stage.server.handle(request_for(method="GET", path=PATH, query="stream=true"))
        if gone == "deleted":
            assert (await ask(stage.server, method="DELETE", path=PATH)).status == 200
        else:
            now[0] = 20.0
        with pytest.raises(CutShort):
            await answer_of(reply)


async def _finished(stage: Stage) -> Client:
    wire = stage.create(BS)
    await wire.got()
    await quiet()
    return wire


@pytest.mark.parametrize("mode", [B, BS])
async def test_a_delete_before_the_end_is_stored_is_refused(mode: dict[str, Any]) -> None:
    """H6.2: it is in flight until the store has its end."""
    async with staged() as stage:
        end = stage.store.gates.hold("before end")
        wire = stage.create(mode)
        await end.reached.wait()
        answer = await stage.delete().got()
        assert (answer.status, answer.error["message"]) == (400, "Cannot delete an in-flight response.")
        end.open()
        await quiet()
        await stage.agree(wire if mode is BS else None)
        await _deleted(stage)


@pytest.mark.parametrize("mode", [S, SS, BS])
async def test_a_delete_after_the_end_is_stored_lets_its_reader_have_the_end(mode: dict[str, Any]) -> None:
    """H6.1: it has ended, though its own creator has yet to hear of it."""
    async with staged() as stage:
        end = stage.store.gates.hold("after end")
        wire = stage.create(mode)
        await end.reached.wait()
        assert (await stage.delete().got()).status == 200
        end.open()
        answer = await wire.got()
        if mode is S:
            assert (answer.status, answer.json["status"]) == (200, "completed")
        else:
            one_story(answer.body, answer.events[-1]["response"])
        assert (await ask(stage.server, method="GET", path=PATH)).status == 404


async def test_a_delete_while_it_is_cancelled_ends_every_reader() -> None:
    """H4.14, E2: works at any time after the acceptance; the run that was deleted leaves nothing behind."""
    async with staged() as stage:
        last = stage.steps.hold("completed")
        wire = stage.create(BS)
        await last.reached.wait()
        follower = stage.get("stream=true")
        cancel = stage.cancel()
        await quiet()
        assert (await stage.delete().got()).status == 200
        last.open()
        assert (await cancel.got()).json["status"] == "cancelled"
        for reader in (wire, follower):
            await reader.done.wait()
            assert isinstance(reader.error, CutShort)
        assert (await ask(stage.server, method="GET", path=PATH)).status == 404


# Disconnect against the first event.


@pytest.mark.parametrize("held", ["created", "before create", "after create", "in_progress", "completed"])
@pytest.mark.parametrize("mode", [S, SS])
async def test_a_client_that_leaves_around_the_first_event_cancels(mode: dict[str, Any], held: str) -> None:
    """H2.23 to H2.26, decision 13: wherever it was, a stored foreground response ends as cancelled."""
    async with staged() as stage:
        gate = stage.store.gates.hold(held) if " " in held else stage.steps.hold(held)
        client = stage.create(mode)
        await gate.reached.wait()
        await quiet()
        client.scope.cancel()
        await client.done.wait()
        gate.open()
        await quiet()
        await stage.agree(status="cancelled")


@pytest.mark.parametrize("held", ["created", "in_progress", "completed"])
@pytest.mark.parametrize("mode", [E, ES])
async def test_a_client_that_leaves_an_ephemeral_response_leaves_nothing(mode: dict[str, Any], held: str) -> None:
    """H2.27."""
    async with staged() as stage:
        gate = stage.steps.hold(held)
        client = stage.create(mode)
        await gate.reached.wait()
        await quiet()
        client.scope.cancel()
        await client.done.wait()
        await quiet()
        assert stage.contexts[0].client_cancelled
        assert (await ask(stage.server, method="GET", path=PATH)).status == 404


@pytest.mark.parametrize("held", ["created", "before create", "after create", "in_progress", "before end", "after end"])
@pytest.mark.parametrize("mode", [B, BS])
async def test_a_client_that_leaves_a_background_response_changes_nothing(mode: dict[str, Any], held: str) -> None:
    """H2.28, H2.29."""
    async with staged() as stage:
        gate = stage.store.gates.hold(held) if " " in held else stage.steps.hold(held)
        client = stage.create(mode)
        await gate.reached.wait()
        await quiet()
        client.scope.cancel()
        await client.done.wait()
        gate.open()
        await quiet()
        assert not stage.contexts[0].cancellation.is_set()
        await stage.agree()


@pytest.mark.parametrize("held", ["before end", "after end"])
async def test_a_client_that_leaves_while_the_end_is_stored_changes_nothing(held: str) -> None:
    """What was committed stays: the handler had completed it before."""
    async with staged() as stage:
        end = stage.store.gates.hold(held)
        client = stage.create(SS)
        await end.reached.wait()
        client.scope.cancel()
        await client.done.wait()
        end.open()
        await quiet()
        await stage.agree()


async def test_leaving_twice_is_leaving_once() -> None:
    """Decision 22: of two who wait for one foreground response, one that leaves twice does not leave for both."""
    async with staged() as stage:
        last = stage.steps.hold("completed")
        request = request_for({"model": "m", "response_id": ID, **SS}, headers={"idempotency-key": "k"})
        replies = [await stage.server.handle(request) for _ in range(2)]
        await last.reached.wait()
        for _ in range(3):
            assert not isinstance(replies[0].body, bytes)
            await replies[0].body.aclose()
        assert not stage.contexts[0].cancellation.is_set()
        last.open()
        answer = await answer_of(replies[1])
        one_story(answer.body, answer.events[-1]["response"])
        await stage.agree()


# Drain against create, and against cancel.


@pytest.mark.parametrize("held", ["before history", "before claim", "after claim"])
async def test_a_create_that_the_drain_overtakes_is_refused(held: str) -> None:
    """H15.11: it was asked for before, and is not admitted any more; its key is free again."""
    async with staged() as stage:
        first = await ask(stage.server, {"model": "m"})
        gate = stage.store.gates.hold(held)
        body = {"model": "m", "previous_response_id": first.json["id"]}
        late = stage.send(body, headers={"idempotency-key": "k"})
        await gate.reached.wait()
        await stage.server.drain()
        gate.open()
        answer = await late.got()
        assert (answer.status, answer.error["code"]) == (503, "service_unavailable")
        claim = await stage.store.inner.claim("", "k", b"other", ID, "somebody")
        assert claim.mine
        assert len(stage.contexts) == 1


@pytest.mark.parametrize("mode", [S, SS, B, BS, E, ES])
async def test_a_create_after_the_drain_has_begun_is_refused(mode: dict[str, Any]) -> None:
    """H15.2, H8.28."""
    async with staged() as stage:
        await stage.server.drain()
        answer = await stage.create(mode).got()
        assert (answer.status, answer.error["code"], answer.error["message"]) == (
            503,
            "service_unavailable",
            "Server is shutting down.",
        )
        assert stage.contexts == []


@pytest.mark.parametrize("held", ["created", "before create", "after create", "in_progress", "before end", "after end"])
@pytest.mark.parametrize("mode", [S, SS, B, BS])
async def test_a_create_that_was_admitted_ends_in_the_drain(mode: dict[str, Any], held: str) -> None:
    """H15.8: what the handler says within the grace counts, and the drain waits for it."""
    async with staged() as stage:
        gate = stage.store.gates.hold(held) if " " in held else stage.steps.hold(held)
        wire = stage.create(mode)
        await gate.reached.wait()
        drained = anyio.Event()

        async def drain() -> None:
            await stage.server.drain()
            drained.set()

        stage.tasks.start_soon(drain)
        await quiet()
        assert not drained.is_set()
        gate.open()
        await drained.wait()
        await stage.agree(wire)
        assert stage.contexts[0].is_shutdown_requested


@pytest.mark.parametrize("first", ["cancel", "drain"])
async def test_who_is_cancelled_while_the_server_drains_ends_as_cancelled(first: str) -> None:
    """H4.10, H15.2: cancel is answered while it drains, and a client that wants an end is right in either order."""
    async with staged() as stage:
        last = stage.steps.hold("completed")
        wire = stage.create(BS)
        await last.reached.wait()
        drained = anyio.Event()

        async def drain() -> None:
            await stage.server.drain()
            drained.set()

        if first == "drain":
            stage.tasks.start_soon(drain)
            await quiet()
        cancel = stage.cancel()
        await quiet()
        if first == "cancel":
            stage.tasks.start_soon(drain)
            await quiet()
        last.open()
        await drained.wait()
        assert (await cancel.got()).json["status"] == "cancelled"
        await stage.agree(wire, "cancelled")


# Followers.


@pytest.mark.parametrize("held", ["before get", "after get", "before events", "after events"])
async def test_a_follower_that_comes_with_the_terminal_gets_it(held: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """H5.17: wherever it was when the run ended, also where memory holds nothing and all is read from the store."""
    if "events" in held:
        monkeypatch.setattr(log, "WINDOW", 0)
    async with staged() as stage:
        last = stage.steps.hold("completed")
        wire = stage.create(BS)
        await last.reached.wait()
        await quiet()
        gate = stage.store.gates.hold(held)
        follower = stage.get("stream=true")
        await gate.reached.wait()
        last.open()
        await quiet()
        del stage.store.gates.held[held]
        gate.open()
        assert (await follower.got()).body == (await wire.got()).body
        await stage.agree(wire)


@pytest.mark.parametrize("held", ["before end", "after end"])
async def test_nobody_sees_the_terminal_before_the_store_has_it(held: str) -> None:
    """Decision 11, E8; H5.17."""
    async with staged() as stage:
        end = stage.store.gates.hold(held)
        wire = stage.create(BS)
        await end.reached.wait()
        followers = [stage.get("stream=true"), stage.get("stream=true&starting_after=0")]
        seen = stage.get()
        await quiet()
        for reader in (wire, *followers, seen):
            assert b"completed" not in reader.pieces.replace(b"completed_at", b"")
        end.open()
        assert (await seen.got()).json["status"] == "completed"
        body = (await wire.got()).body
        assert (await followers[0].got()).body == body
        assert body.endswith((await followers[1].got()).body)
        await stage.agree(wire)


@pytest.mark.parametrize("mode", [B, BS])
async def test_nobody_sees_any_event_before_the_store_has_it(mode: dict[str, Any]) -> None:
    """Design section 6, issue 4 point 6: neither on the wire nor in `GET`, which tells of the progress."""
    async with staged() as stage:
        said = anyio.Event()

        async def talker(_request: CreateResponse, context: ResponseContext) -> AsyncIterator[ResponseStreamEvent]:
            stream = context.stream()
            yield stream.emit_created()
            yield stream.emit_in_progress()
            message = stream.add_output_item_message()
            yield message.emit_added()
            said.set()
            await stage.steps.passing("completed")
            yield stream.emit_failed()

        stage.server.response_handler(talker)
        append, last = stage.store.gates.hold("before append"), stage.steps.hold("completed")
        wire = stage.create(mode)
        await said.wait()
        seen, again = stage.get(), stage.get()
        await quiet()
        assert b"output_item.added" not in wire.pieces
        assert not seen.done.is_set()
        append.open()
        for client in (seen, again):
            assert [item["type"] for item in (await client.got()).json["output"]] == ["message"]
        last.open()
        await quiet()
        await stage.agree(wire if mode is BS else None, "failed")


async def test_of_two_followers_one_leaves_and_the_other_gets_all() -> None:
    """H5.17, decision 13: a follower that leaves stops nobody, nor does the creator."""
    async with staged() as stage:
        last = stage.steps.hold("completed")
        wire = stage.create(BS)
        await last.reached.wait()
        followers = [stage.get("stream=true") for _ in range(3)]
        await quiet()
        followers[0].scope.cancel()
        wire.scope.cancel()
        await quiet()
        last.open()
        bodies = [(await follower.got()).body for follower in followers[1:]]
        assert bodies[0] == bodies[1]
        await stage.agree(followers[1])


# Attach by Idempotency-Key against the end.


@pytest.mark.parametrize("held", ["completed", "before end", "after end", None])
@pytest.mark.parametrize("mode", [S, SS, B, BS])
async def test_who_attaches_at_the_end_gets_the_same_response(mode: dict[str, Any], held: str | None) -> None:
    """Decision 22: live, while its end is stored, and after it; and the handler runs once."""
    async with staged() as stage:
        gate = None
        if held is not None:
            gate = stage.store.gates.hold(held) if " " in held else stage.steps.hold(held)
        wire = stage.create(mode, headers={"idempotency-key": "k"})
        if gate is None:
            await wire.got()
            await quiet()
            assert stage.live == 0
        else:
            await gate.reached.wait()
        second = stage.create(mode, headers={"idempotency-key": "k"})
        await quiet()
        if gate is not None:
            gate.open()
        first_answer, second_answer = await wire.got(), await second.got()
        assert second_answer.status == 200
        if mode is B:
            assert second_answer.json["id"] == first_answer.json["id"] == ID
        else:
            assert second_answer.body == first_answer.body
        assert len(stage.contexts) == 1
        await stage.agree(wire)


async def test_who_attaches_while_the_last_reader_leaves_gets_the_cancelled_end() -> None:
    """Decision 22: a foreground run goes with its last reader; who comes then is told how it ended, and it does end."""
    async with staged() as stage:
        last, end = stage.steps.hold("completed"), stage.store.gates.hold("before end")
        first = stage.create(SS, headers={"idempotency-key": "k"})
        await last.reached.wait()
        await quiet()
        first.scope.cancel()
        await end.reached.wait()
        second = stage.create(SS, headers={"idempotency-key": "k"})
        await quiet()
        end.open()
        answer = await second.got()
        assert answer.events[-1]["response"]["status"] == "cancelled"
        await stage.agree(second, "cancelled")


async def test_two_creates_of_one_id_make_one_response() -> None:
    """H8.26: whichever is first; the other is a 409, also where both have passed the look into the store."""
    async with staged() as stage:
        look = stage.store.gates.hold("before get")
        clients = [stage.create(BS), stage.create(BS)]
        await look.reached.wait()
        await quiet()
        del stage.store.gates.held["before get"]
        look.open()
        answers = [await client.got() for client in clients]
        assert sorted(answer.status for answer in answers) == [200, 409]
        assert len(stage.contexts) == 1
        await stage.agree(clients[0] if answers[0].status == 200 else clients[1])
