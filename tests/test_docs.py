"""What README.md and docs/serving.md show as a server is one: it is served as they say, and read by the real client."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openai
import pytest

ROOT = Path(__file__).resolve().parent.parent
PYTHON_BLOCK = re.compile(r"```python\n(.*?)```", re.S)
ADDRESS = re.compile(r"listening on (http://\S+)")


@contextmanager
def served(page: str, place: Path) -> Iterator[openai.OpenAI]:
    program, *_ = PYTHON_BLOCK.findall((ROOT / page).read_text())
    (place / "server.py").write_text(program)
    command = [sys.executable, "-m", "responses_stream", "serve", "server.py", "--port", "0"]
    with subprocess.Popen(command, cwd=place, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            said = ADDRESS.search(process.stderr.readline())
            assert said is not None, process.stderr.read()
            with openai.OpenAI(base_url=f"{said[1]}/v1", api_key="-", max_retries=0, timeout=30) as client:
                yield client
        finally:
            process.terminate()
            _, rest = process.communicate(timeout=30)
    assert process.returncode == 0, rest


def test_the_readme_shows_a_server_in_fifteen_lines(tmp_path: Path) -> None:
    [program] = PYTHON_BLOCK.findall((ROOT / "README.md").read_text())
    assert len([line for line in program.splitlines() if line.strip()]) <= 15
    with served("README.md", tmp_path) as client:
        answer = client.responses.create(model="tutor", input="Hi")
        assert [item.type for item in answer.output] == ["reasoning", "message"]
        assert answer.output_text == "Hello!"
        with client.responses.stream(model="tutor", input="Hi") as events:
            assert events.get_final_response().output_text == "Hello!"


def test_the_guide_shows_a_server(tmp_path: Path) -> None:
    with served("docs/serving.md", tmp_path) as client:
        assert client.responses.create(model="echo", input="Hi").output_text == "You said: Hi"


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs").glob("*.md")))
def test_links_between_the_pages_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / "docs" / page).read_text()):
        assert (ROOT / "docs" / target).exists(), target


def test_links_of_the_readme_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / "README.md").read_text()):
        assert (ROOT / target).exists(), target
