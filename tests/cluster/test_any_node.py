"""Any server answers anything (issue 7, point 2): what one makes, another one shows, goes on with, stops, deletes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest

from responses_stream import validate_events
from responses_stream.sse import DONE

from ..hosting.test_processes import BS, Nursery, Said, id_of, reached
from .serving import answer, asked, go, has_ended, path_of, same_answer, servers

pytestmark = pytest.mark.anyio


def tail(frames: bytes | bytearray, after: int) -> bytes:
    """Return what a stream says behind the event of this number."""
    return b"".join(frame + b"\n\n" for frame in bytes(frames).split(b"\n\n")[after + 1 : -1])


async def test_a_stream_is_read_at_another_server(nursery: Nursery, tmp_path: Path, engine: str) -> None:
    """From its beginning and from its middle, live: a follower has all that the creator's client has.

    The handler waits behind each batch, so that nothing but the batch itself can bring it to the follower.
    """
    async with servers(nursery, tmp_path, engine, look=60.0) as (_, [a, b]), anyio.create_task_group() as tasks:
        wire, follower, late = bytearray(), bytearray(), bytearray()
        tasks.start_soon(lambda: a.create(id_of(1), "step 4", wire, **BS))
        await reached(wire, b"content_part.added")
        tasks.start_soon(b.get, id_of(1), "?stream=true", follower)
        for step in range(4):
            await go(a)
            last = f"the end of {step}. ".encode()
            await reached(wire, last)
            await reached(follower, last)
            if step == 1:
                tasks.start_soon(b.get, id_of(1), "?stream=true&starting_after=4", late)
            elif step > 1:
                await reached(late, last)
            if step < 3:
                assert follower == wire
                progress = await same_answer([a, b], "GET", path_of(1))
                assert json.loads(progress.body)["output"][0]["status"] == "in_progress"
        for reader in (wire, follower, late):
            await reached(reader, DONE)
        assert follower == wire
        assert late == tail(wire, 4)
        for after in (-1, 0, 7, 100):
            query = f"?stream=true&starting_after={after}"
            assert (await same_answer([a, b], "GET", path_of(1, query))).body == (tail(wire, after) or DONE)
        ended = await same_answer([a, b], "GET", path_of(1))
        report = validate_events(bytes(wire), retrieved=json.loads(ended.body))
        assert report.ok, report


async def test_all_servers_say_the_same_of_everything(nursery: Nursery, tmp_path: Path, engine: str) -> None:
    """Responses of each mode, in the making and ended; and what there is not."""
    async with servers(nursery, tmp_path, engine) as (_, [a, b]), anyio.create_task_group() as tasks:
        await asked(a, 1, "say 1")
        await asked(a, 2, "say 1", store=False)
        polled = await asked(a, 3, "step 1", background=True)
        wires = {4: bytearray(), 5: bytearray()}
        tasks.start_soon(lambda: a.create(id_of(4), "step 1", wires[4], **BS))
        tasks.start_soon(lambda: a.create(id_of(5), "step 1", wires[5], stream=True))
        await reached(wires[4], b"content_part.added")
        await reached(wires[5], b"content_part.added")
        assert polled["status"] == "in_progress"
        for number in range(1, 7):
            await same_answer([a, b], "GET", path_of(number))
            if number != 4:
                await same_answer([a, b], "GET", path_of(number, "?stream=true"))
            if number not in (3, 4):
                await same_answer([a, b], "POST", path_of(number, "/cancel"))
            if number != 1:
                await same_answer([a, b], "DELETE", path_of(number))
            await same_answer([a, b], "GET", path_of(number, "/input_items"))
        for _ in range(3):
            await go(a)
        for wire in wires.values():
            await reached(wire, DONE)
        await has_ended(b, 3)
        for number in (3, 4, 5):
            found = await same_answer([a, b], "GET", path_of(number))
            assert json.loads(found.body)["status"] == "completed"
            await same_answer([b, a], "POST", path_of(number, "/cancel"))
            await same_answer([b, a], "GET", path_of(number, "?stream=true"))
        assert Said(200, bytes(wires[5])).events[-1]["response"] == (await b.get(id_of(5))).json


@pytest.mark.parametrize("stream", [False, True])
async def test_a_cancel_reaches_the_server_that_makes_it(
    nursery: Nursery, tmp_path: Path, engine: str, stream: bool
) -> None:
    """It is told, and does not have to look: nobody looks within the time that this test has (H4.7 to H4.12)."""
    async with (
        servers(nursery, tmp_path, engine, look=300.0, lease=900.0) as (
            shared,
            [a, b],
        ),
        anyio.create_task_group() as tasks,
    ):
        wire = bytearray()
        tasks.start_soon(lambda: a.create(id_of(1), "step 1", wire, background=True, stream=stream))
        while (await b.get(id_of(1))).status == 404 or not (await b.get(id_of(1))).json["output"]:
            await anyio.sleep(0.005)
        refused = await same_answer([a, b], "DELETE", path_of(1))
        assert refused.status == 400
        cancelled = await answer(b, "POST", path_of(1, "/cancel"))
        assert (cancelled.status, json.loads(cancelled.body)["status"]) == (200, "cancelled")
        assert shared.journal.read_text() == f"{id_of(1)} was stopped in {a.pid}\n"
        assert (await same_answer([a, b], "GET", path_of(1))).body == cancelled.body
        assert (await same_answer([a, b], "POST", path_of(1, "/cancel"))).body == cancelled.body
        if stream:
            await reached(wire, DONE)
            assert (await same_answer([a, b], "GET", path_of(1, "?stream=true"))).body == wire
            assert validate_events(bytes(wire), retrieved=json.loads(cancelled.body)).ok
        assert (await answer(b, "DELETE", path_of(1))).status == 200
        for more in ("", "?stream=true", "/input_items"):
            assert (await same_answer([a, b], "GET", path_of(1, more))).status == 404
        assert (await same_answer([a, b], "DELETE", path_of(1))).status == 404


async def test_the_inputs_are_listed_at_another_server(nursery: Nursery, tmp_path: Path, engine: str) -> None:
    async with servers(nursery, tmp_path, engine) as (_, [a, b]):
        await asked(a, 1, "recall this")
        await asked(b, 2, "recall that", previous_response_id=id_of(1))
        await asked(a, 3, "recall it all", previous_response_id=id_of(2), background=True)

        async def listed(query: str) -> list[str]:
            page = await same_answer([a, b], "GET", path_of(3, f"/input_items?{query}"))
            return [item["id"] for item in json.loads(page.body)["data"]]

        every = await listed("order=asc")
        assert len(set(every)) == 5
        assert await listed("") == every[::-1]
        assert await listed("limit=2") == every[:2:-1]
        assert await listed(f"order=asc&after={every[1]}&before={every[4]}") == every[2:4]


async def test_a_conversation_goes_on_at_another_server(nursery: Nursery, tmp_path: Path, engine: str) -> None:
    """By the response before it, and by a conversation: each turn is made where the one before it was not."""

    def said(response: dict[str, Any]) -> list[str]:
        remembered: list[str] = json.loads(response["output"][0]["content"][0]["text"])
        return remembered

    async with servers(nursery, tmp_path, engine) as (_, [a, b]):
        for by_conversation in (False, True):
            remembered: list[str] = []
            for turn in range(4):
                number = 10 * by_conversation + turn + 1
                how = {"conversation": "conv_shared"} if by_conversation else {}
                if turn and not by_conversation:
                    how = {"previous_response_id": id_of(number - 1)}
                server = (a, b)[turn % 2]
                mode = {"background": True} if turn == 2 else {}
                await asked(server, number, f"recall {turn}", **how, **mode)
                await has_ended(b, number)
                ended = (await b.get(id_of(number))).json
                remembered.append(f"recall {turn}")
                assert said(ended) == remembered
                remembered.append(ended["output"][0]["content"][0]["text"])
        assert (await answer(b, "DELETE", path_of(3))).status == 200
        body = {"model": "m", "input": "recall", "previous_response_id": id_of(3)}
        assert (await same_answer([a, b], "POST", "/v1/responses", body)).status == 404
