"""The front door of `responses_stream.agents`: its names, and what they cost."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from responses_stream import agents
from tests.test_front_door import HEAVY, loaded_by

RENDER = """
import sys
from responses_stream.agents import Reasoning, ToolCall, ToolResult, Usage, render, render_stream, run_input
run = run_input({"input": "Hi"})
said = [Reasoning("Hm."), ToolCall("1", "look", "{}"), ToolResult("1", "seen"), "Hello", Usage(1, 1)]
assert render(said, response_id="resp_1", model="m").output_text == "Hello"
assert [*render_stream(said, response_id="resp_1", model="m")][-1].type == "response.completed"
print(*sys.modules)
"""


def test_rendering_loads_no_server_and_no_loop() -> None:
    assert not loaded_by(RENDER) & HEAVY


def test_importing_the_package_loads_none_of_its_modules() -> None:
    loaded = loaded_by("import sys, responses_stream.agents; print(*sys.modules)")
    assert {name for name in loaded if name.startswith("responses_stream.agents")} == {"responses_stream.agents"}


@pytest.mark.parametrize("name", agents.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(agents, name) is not None


def test_type_checkers_and_the_lazy_door_see_the_same_names() -> None:
    tree = ast.parse(Path(agents.__file__).read_text())
    typed = [
        alias.asname
        for block in tree.body
        if isinstance(block, ast.If)
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    ]
    assert sorted(typed, key=str) == sorted(agents.__all__)
    assert set(agents.__all__) <= set(dir(agents))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        agents.nothing  # noqa: B018
