"""Captures on disk, and the command that judges them, as somebody has them at a shell."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from responses_stream.validation.examples import frame_of, stream_of

from .nursery import nursery

COMMAND: Final = [sys.executable, "-m", "responses_stream", "validate"]
PATIENCE: Final = 50
# Of an environment that has a proxy, colors or another encoding, the tests shall not know.
ENVIRONMENT: Final = {
    "PATH": os.environ.get("PATH", ""),
    "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
    "LANG": "C.UTF-8",
}


@attrs.frozen
class Ran:
    """What a command came to."""

    status: int
    out: str
    errors: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def validate(
    *arguments: str | Path,
    stdin: bytes = b"",
    cwd: Path | None = None,
    environment: Mapping[str, str] = ENVIRONMENT,
) -> Ran:
    """Run ``responses-stream validate`` to its end. It never ends in a traceback."""
    if environment is ENVIRONMENT:
        whole = ["validate", *map(str, arguments)]
        status, out, told = nursery(tuple(ENVIRONMENT.items())).run(whole, stdin, cwd)
    else:
        command = [*COMMAND, *map(str, arguments)]
        ran = subprocess.run(
            command, input=stdin, capture_output=True, cwd=cwd, env=dict(environment), timeout=PATIENCE, check=False
        )
        status, out, told = ran.returncode, ran.stdout, ran.stderr
    errors = told.decode()
    assert "Traceback" not in errors, errors
    assert "Exception ignored" not in errors, errors
    return Ran(status, out.decode(), errors)


def sse(notation: str) -> bytes:
    """A stream as Server-Sent Events."""
    return "".join(map(frame_of, stream_of(notation))).encode()


def lines(notation: str) -> bytes:
    """A stream as JSON lines."""
    return "".join(f"{json.dumps(event)}\n" for event in stream_of(notation)).encode()


def har(*bodies: bytes, request: Mapping[str, Any] | None = None) -> bytes:
    """A HAR file with event streams."""
    posted = {} if request is None else {"postData": {"text": json.dumps(request)}}
    return json.dumps(
        {
            "log": {
                "entries": [
                    {
                        "request": {"method": "POST", "url": "https://x/v1/responses", **posted},
                        "response": {
                            "status": 200,
                            "content": {"mimeType": "text/event-stream", "text": body.decode()},
                        },
                    }
                    for body in bodies
                ]
            }
        }
    ).encode()


def wrapped(notation: str) -> Mapping[str, bytes]:
    """A stream in each kind of capture, by the name of the file."""
    events = stream_of(notation)
    return {
        "capture.sse": sse(notation),
        "capture.jsonl": lines(notation),
        "capture.json": json.dumps(events).encode(),
        "pretty.json": json.dumps(events, indent=2).encode(),
        "capture.har": har(sse(notation)),
        "capture.sse.gz": gzip.compress(sse(notation)),
        "capture.har.gz": gzip.compress(har(sse(notation))),
        "curl.txt": b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + sse(notation),
    }


def write(place: Path, files: Mapping[str, bytes]) -> Sequence[Path]:
    """Write *files* into a directory."""
    for name, data in files.items():
        (place / name).write_bytes(data)
    return [place / name for name in files]
