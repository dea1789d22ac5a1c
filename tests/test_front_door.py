"""The front door: the names that the world sees, and what they cost (design.md section 3, style.md section 6)."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import responses_stream

HEAVY = {"asyncio", "anyio", "cattrs", "h11", "sqlite3", "trio", "responses_stream.hosting", "responses_transports"}
BUILD = """
import sys, responses_stream
stream = responses_stream.ResponseEventStream("resp_1", {"model": "m", "input": "hi"})
events = [stream.emit_created(), stream.emit_in_progress(), *stream.output_item_message("Hello")]
events.append(stream.emit_completed(usage={"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}))
from responses_stream.sse import encode_event
assert b"".join(map(encode_event, events)).endswith(b"}\\n\\n")
assert responses_stream.accumulate(events).output_text == "Hello"
assert responses_stream.validate_events(events).ok
print(*sys.modules)
"""


def loaded_by(code: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_building_reading_and_judging_load_no_server_and_no_loop() -> None:
    assert not loaded_by(BUILD) & HEAVY


def test_importing_the_package_loads_nothing_of_it_but_the_version() -> None:
    loaded = loaded_by("import sys, responses_stream; print(*sys.modules)")
    assert {name for name in loaded if name.startswith("responses_stream")} == {
        "responses_stream",
        "responses_stream._version",
    }


@pytest.mark.parametrize("name", responses_stream.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(responses_stream, name) is not None


def test_the_list_of_names_is_sorted_and_each_stands_once() -> None:
    names = [name for name in responses_stream.__all__ if name != "__version__"]
    assert names == sorted(set(names))


def test_type_checkers_and_the_lazy_door_see_the_same_names() -> None:
    tree = ast.parse(Path(responses_stream.__file__).read_text())
    typed = {
        alias.asname
        for block in tree.body
        if isinstance(block, ast.If)
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert typed | {"__version__"} == set(responses_stream.__all__)


def test_dir_shows_every_public_name() -> None:
    assert set(responses_stream.__all__) <= set(dir(responses_stream))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        responses_stream.nothing  # noqa: B018
