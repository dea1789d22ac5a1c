"""docs/validating.md shows what the command really says: each of its console blocks that needs no network is run."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Final

import pytest

from responses_stream.validation.examples import stream_of
from tests.cli.validating import lines, sse, validate, write

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = (ROOT / "docs" / "validating.md").read_text()
BLOCKS: Final = re.findall(r"^```console\n(.*?)^```", PAGE, re.M | re.S)
COMMANDS: Final = [
    (shown.partition("\n")[0], shown.partition("\n")[2])
    for block in BLOCKS
    for shown in re.split(r"^\$ ", block, flags=re.M)[1:]
]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with the captures of the page."""
    (tmp_path / "recordings").mkdir()
    write(
        tmp_path,
        {
            "capture.sse": sse("V1: drop 2"),
            "good.sse": sse("V1"),
            "recordings/one.jsonl": lines("V1"),
            "recordings/two.jsonl": lines("V2"),
            "response.json": json.dumps(stream_of("V1")[-1]["response"]).encode(),
        },
    )
    return tmp_path


@pytest.mark.parametrize("command", [line for line in COMMANDS if "https:" not in line[0]], ids=lambda line: line[0])
def test_what_the_page_shows_is_what_is_said(place: Path, command: tuple[str, str]) -> None:
    line, shown = command
    program, verb, *words = shlex.split(line)
    arguments = [name for word in words for name in as_a_shell_has_it(place, word)]
    assert (program, verb) == ("responses-stream", "validate")
    ran = validate(*arguments, cwd=place)
    assert ran.status in ((0, 1) if "unusable" not in shown else (2,))
    assert not shown.strip() or ran.out == shown


def as_a_shell_has_it(place: Path, word: str) -> list[str]:
    return sorted(str(path.relative_to(place)) for path in place.glob(word)) or [word]


def test_every_option_is_on_the_page() -> None:
    options = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
    assert set(options.findall(validate("--help").out)) - {"--help"} <= set(options.findall(PAGE))
