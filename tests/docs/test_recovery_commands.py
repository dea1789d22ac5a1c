"""The lines of docs/recovery.md, "Trying it", typed into a shell: real servers, one of which is killed."""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

import pytest

from tests.services import free_port, missing

from .pages import DOCS

SECONDS: Final = 30.0
BASH: Final = shutil.which("bash")
PHASES: Final = ["Here is an outline. ", "Here is a draft. ", "Here is a polished text. "]


class Shell:
    """A shell that is typed into, and what it and its jobs have said, line by line."""

    def __init__(self, place: Path) -> None:
        (place / "docs").symlink_to(DOCS)
        script = place / "responses-stream"
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m responses_stream "$@"\n')
        script.chmod(0o755)
        assert BASH is not None
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            [BASH],
            cwd=place,
            env=os.environ | {"PATH": f"{place}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(DOCS.parent)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._keys: IO[str] = self._process.stdin
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def _read(self, said: IO[str]) -> None:
        with said:
            for line in said:
                self._lines.put(line)

    def type(self, line: str) -> None:
        """Type a line."""
        self._keys.write(f"{line}\n")
        self._keys.flush()

    def until(self, pattern: str) -> list[str]:
        """Return the lines up to the first with *pattern*."""
        lines: list[str] = []
        while not lines or not re.search(pattern, lines[-1]):
            lines.append(self._lines.get(timeout=SECONDS))
        return lines

    def close(self) -> None:
        """End it, and all that it has begun."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._keys.close()
        self._reader.join(SECONDS)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    if BASH is None or shutil.which("curl") is None:
        missing("bash and curl", "the page is for who has them; install them")
    shell = Shell(tmp_path)
    try:
        yield shell
    finally:
        shell.close()


def lines_of_the_page() -> list[str]:
    """Return the lines, with ports that are free."""
    _, _, section = (DOCS / "recovery.md").read_text().partition("## Trying it")
    found = re.search(r"```sh\n(.*?)```", section, re.S)
    assert found is not None
    block = found[1]
    for port in ("8001", "8002"):
        block = block.replace(port, str(free_port()))
    return block.splitlines()


def events_of(lines: list[str]) -> list[dict[str, object]]:
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]


def test_a_response_outlives_its_server(shell: Shell) -> None:
    first, second, ask, kill, read = lines_of_the_page()
    for server in (first, second):
        shell.type(server)
        shell.until("listening on")
    shell.type(ask)
    begun = shell.until(r'"type":"response.output_item.done"')
    shell.type(kill)
    shell.type("wait %3; echo broke off with $?")
    begun += shell.until("broke off")
    assert begun[-1] != "broke off with 0\n"
    found = re.search(r"resp_\w+", "".join(begun))
    assert found is not None
    shell.type(read.replace("resp_...", found[0]))
    replayed = events_of(shell.until(r"\[DONE\]"))
    types = [event["type"] for event in replayed]
    assert types.count("response.created") == 1
    assert types.count("response.in_progress") == 2
    assert types[-1] == "response.completed"
    assert replayed[: len(events_of(begun))] == events_of(begun), "what was read is what there is"
    [*_, last] = replayed
    response = last["response"]
    assert isinstance(response, dict)
    assert [item["content"][0]["text"] for item in response["output"]] == PHASES
