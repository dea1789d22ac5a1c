"""The command line as a whole."""

from __future__ import annotations

import subprocess
import sys

import pytest

from responses_stream import __version__
from responses_stream.cli import main


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"responses-stream {__version__}\n"


def test_it_is_a_module_too() -> None:
    command = [sys.executable, "-m", "responses_stream", "--version"]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip().endswith(__version__)


@pytest.mark.parametrize("arguments", [[], ["juggle"], ["serve"], ["serve", "x", "--port", "high"]])
def test_a_wrong_call_is_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: responses-stream")


def test_help_names_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    assert "serve" in out
    assert "demo" in out
