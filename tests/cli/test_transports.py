"""``responses-stream transports``: what is installed, and what would bring the rest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import EntryPoint, EntryPoints, distribution, version
from typing import Final

import pytest

from responses_stream.cli import main
from responses_stream.hosting import transports
from responses_stream.hosting.http import Engine
from responses_stream.hosting.listening import Listen
from responses_stream.hosting.transports import GROUP, VARIABLE

OWN: Final = version("responses-stream")


class Choosing:
    """A transport that can use two programs; the one that it prefers is not installed."""

    servers: Mapping[str, str] = {"pigeon": "carrier-pigeon", "starling": "msgspec", "robin": "attrs"}

    def __call__(self, _engine: Engine, _listen: Listen) -> None:
        raise AssertionError("it is listed only")


class Found(EntryPoint):
    """An entry point of a package that is not there."""

    def load(self) -> object:
        if self.name == "broken":
            raise ImportError("no module named 'feathers'")
        return Choosing() if self.name == "birds" else print


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transports of one package that is ours, one that is another's, and one that is nobody's."""
    points = []
    for name, owner in (("h11", "responses-stream"), ("birds", "responses-stream"), ("broken", None)):
        point = Found(name=name, value="x:y", group=GROUP)
        vars(point).update(dist=None if owner is None else distribution(owner))
        points.append(point)
    monkeypatch.setattr(transports, "entry_points", lambda *, group: EntryPoints(points).select(group=group))
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.mark.usefixtures("registered")
def test_transports_are_listed_with_their_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["transports"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"birds       responses-stream {OWN}",
        "  pigeon    not installed: pip install 'responses-stream[pigeon]'",
        f"  starling  {version('msgspec')} (default)",
        f"  robin     {version('attrs')}",
        "broken      of an unknown package",
        "  cannot be loaded: ImportError: no module named 'feathers'",
        f"h11         responses-stream {OWN} (default)",
    ]


@pytest.mark.usefixtures("registered")
def test_the_environment_may_name_the_default(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "birds")
    assert main(["transports"]) == 0
    marked = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.endswith("(default)")]
    assert marked == ["birds", "starling"]


@pytest.mark.usefixtures("registered")
def test_programs_read_the_same_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["transports", "--format", "json"]) == 0
    birds, broken, h11 = json.loads(capsys.readouterr().out)
    assert h11 == {
        "name": "h11",
        "distribution": "responses-stream",
        "version": OWN,
        "servers": [],
        "trouble": None,
        "default": True,
    }
    assert (broken["trouble"], broken["default"]) == ("ImportError: no module named 'feathers'", False)
    assert birds["servers"][0] == {
        "name": "pigeon",
        "distribution": "carrier-pigeon",
        "version": None,
        "install": "pip install 'responses-stream[pigeon]'",
        "default": False,
    }
    assert [server["default"] for server in birds["servers"]] == [False, True, False]


def test_of_a_package_of_others_the_program_is_named_as_it_is_called(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    point = Found(name="birds", value="x:y", group=GROUP)
    vars(point).update(dist=distribution("pytest"))
    monkeypatch.setattr(transports, "entry_points", lambda *, group: EntryPoints([point]).select(group=group))
    assert main(["transports"]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"birds       pytest {version('pytest')}\n")
    assert "  pigeon    not installed: pip install carrier-pigeon\n" in told


def test_without_any_that_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transports, "entry_points", lambda *, group: EntryPoints([]).select(group=group))
    assert main(["transports"]) == 0
    assert capsys.readouterr().out == "no transport is installed\n"


def test_what_is_really_installed_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["transports", "--format", "json"]) == 0
    listed = {transport["name"]: transport for transport in json.loads(capsys.readouterr().out)}
    assert {"h11", "asgi", "wsgi"} <= set(listed)
    assert listed["h11"]["distribution"] == "responses-stream"
    assert listed["h11"]["trouble"] is None
