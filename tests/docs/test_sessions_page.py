"""The server of docs/sessions.md, as it stands there: it goes on where the process before it was stopped."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from ..hosting.asking import ask
from .pages import run


def test_the_server_remembers_after_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    async def serve(previous: str | None) -> tuple[str, str]:
        page = run.__wrapped__("sessions.md")  # each time anew, as a process does
        async with page["server"].lifespan():
            body = {"input": "Hi", "previous_response_id": previous}
            response = (await ask(page["server"], body)).json
        await page["store"].aclose()
        return response["id"], response["output"][0]["content"][0]["text"]

    previous: str | None = None
    for turn in range(1, 4):
        previous, said = anyio.run(serve, previous)
        assert said == f"This is turn {turn}."
