"""The servers of these tests: processes forked from this one, which has imported all they need.

It reads from its input what to do, as the nursery of `tests.hosting.test_processes` does. What a server works with
stands in a file, as JSON: see `Settings`.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import anyio._backends._asyncio
import anyio.lowlevel
import attrs
import msgspec

from responses_stream import CreateResponse, ResponseContext, ResponsesServer, ResponsesServerOptions
from responses_stream.hosting import attendance
from responses_stream.stores import news, postgres, redis
from responses_transports.h11_server import serve_async


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a server works with.

    Attributes:
        store: the URL of its store.
        journal: the file that its handlers write down in when they were stopped.
        resilient: whether it makes again what another one has left.
        lease: how many seconds it may be silent.
        look: how many seconds a store waits between two looks of its own; large where it is to be told.
    """

    store: str
    journal: str
    resilient: bool = False
    lease: float = 15.0
    look: float = 1.0


@attrs.frozen
class Teller:
    """The handler of a server: the first word of the input decides what it does.

    Attributes:
        journal: where it notes that it was stopped.
        go: let one that waits go one step further, each.
    """

    journal: Path
    go: anyio.Semaphore

    async def __call__(self, request: CreateResponse, context: ResponseContext) -> AsyncGenerator[Any, None]:
        assert isinstance(request.input, str)
        word, _, count = request.input.partition(" ")
        if word == "go":
            self.go.release()
        steps = int(count) if count.isdigit() else 1
        if word == "recall":
            events = self._recall(context)
        elif word in ("phases", "items"):
            events = self._phases(context, 4 if word == "phases" else steps, is_held=word == "phases")
        else:
            events = self._steps(context, steps, is_held=word == "step")
        try:
            async for event in events:
                yield event
        except anyio.get_cancelled_exc_class():
            with self.journal.open("a") as journal:
                journal.write(f"{context.response_id} was stopped in {os.getpid()}\n")
            raise
        finally:
            with anyio.CancelScope(shield=True):
                await events.aclose()

    async def _steps(self, context: ResponseContext, steps: int, is_held: bool) -> AsyncGenerator[Any, None]:
        stream = context.stream()
        yield stream.emit_created()
        yield stream.emit_in_progress()
        message = stream.add_output_item_message()
        yield message.emit_added()
        text = message.add_text_content()
        yield text.emit_added()
        for step in range(steps):
            if is_held:
                await self.go.acquire()
            yield text.emit_delta(f"step {step} of {context.response_id}, ")
            await anyio.lowlevel.checkpoint()
            yield text.emit_delta(f"the end of {step}. ")
        yield text.emit_text_done()
        yield text.emit_done()
        yield message.emit_done()
        yield stream.emit_completed()

    async def _phases(self, context: ResponseContext, phases: int, is_held: bool) -> AsyncGenerator[Any, None]:
        """Say one item after the other, each noted before; where it is held, stay behind the first of each server."""
        stream = context.resumed_stream()
        if not context.is_recovery:
            yield stream.emit_created()
        yield stream.emit_in_progress()
        begun = len(stream.response.output)
        for phase in range(begun, phases):
            noted = context.metadata.setdefault("phases", [])
            noted.append([phase, context.recovery_attempt])
            await context.flush()
            yield stream.output_item_message(
                f"phase {phase} of attempt {context.recovery_attempt}, {json.dumps(noted)}"
            )
            if is_held and phase == begun and phase < 2:
                await self.go.acquire()
        yield stream.emit_completed()

    async def _recall(self, context: ResponseContext) -> AsyncGenerator[Any, None]:
        """Say what is remembered of the turns before this one."""
        items = [*await context.get_history(), *await context.get_input_items()]
        stream = context.stream()
        yield stream.emit_created()
        yield stream.emit_in_progress()
        yield stream.output_item_message(json.dumps([_text_of(msgspec.to_builtins(item)) for item in items]))
        yield stream.emit_completed()


def _text_of(item: dict[str, Any]) -> str:
    content = item["content"]
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


async def serve(path: str) -> None:
    settings = msgspec.json.decode(Path(path).read_bytes(), type=Settings)
    for module in (news, redis, postgres):
        vars(module)["LOOK"] = settings.look
    vars(attendance)["_RETRY_SECONDS"] = 0.1
    options = ResponsesServerOptions(
        store=settings.store,
        resilient_background=settings.resilient,
        lease_seconds=settings.lease,
        cancel_grace_seconds=0.3,
        shutdown_grace_period_seconds=0.2,
        sse_keep_alive_interval_seconds=None,
    )
    server = ResponsesServer(options=options)
    server.response_handler(Teller(Path(settings.journal), anyio.Semaphore(0)).__call__)

    async def stopped() -> None:
        with anyio.open_signal_receiver(signal.SIGTERM) as signals:
            async for _ in signals:
                return

    async with anyio.create_task_group() as tasks:
        port = await tasks.start(functools.partial(serve_async, server, port=0, stop=stopped))
        print(os.getpid(), port, flush=True)


def main() -> None:
    for line in sys.stdin:
        verb, _, argument = line.strip().partition(" ")
        if verb == "start" and os.fork() == 0:
            backend, _, path = argument.partition(" ")
            anyio.run(serve, path, backend=backend)
            os._exit(0)
        if verb == "reap":
            print(os.waitstatus_to_exitcode(os.waitpid(int(argument), 0)[1]), flush=True)


if __name__ == "__main__":
    main()
