"""What the front door costs: importing the package and building one stream, against importing msgspec and attrs."""

from __future__ import annotations

import compileall
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import responses_stream
from tests.benchmarks.measuring import Promise

ROUNDS = 25
CODE = """
import time
start = time.perf_counter()
import msgspec, attrs
beneath = time.perf_counter()
import responses_stream
stream = responses_stream.ResponseEventStream("resp_1", {"model": "m", "input": "Say hello."})
events = [stream.emit_created(), stream.emit_in_progress(), *stream.output_item_message("Hello")]
events.append(stream.emit_completed())
print(beneath - start, time.perf_counter() - start)
"""


def promises() -> Iterator[Promise]:
    # pip compiles what it installs, and an editable install is left as it is: without this, parsing would be timed.
    compileall.compile_dir(str(Path(responses_stream.__file__).parent), quiet=1)
    beneath, whole = [], []
    for _ in range(ROUNDS):
        out = subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True, text=True).stdout
        first, second = map(float, out.split())
        beneath.append(first)
        whole.append(second)
    yield Promise("importing and building, against importing msgspec and attrs", min(whole) / min(beneath), 2.0)
