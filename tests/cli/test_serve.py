"""``responses-stream serve``: what is served, where, and what is said when it cannot be."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from responses_stream import ResponsesServer, ResponsesServerOptions
from responses_stream.cli import main
from responses_stream.cli.failure import CommandError
from responses_stream.cli.serve import load_server
from responses_stream.hosting import transports
from responses_stream.hosting.http import Engine
from responses_stream.hosting.transports import UnknownTransport, find_transport

PROGRAM = """
from responses_stream import ResponsesServer
import beside_{name}
server = ResponsesServer()
other = ResponsesServer()
nothing = 3
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory to be in; what is imported from it is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return tmp_path


def write(place: Path, name: str) -> None:
    (place / f"{name}.py").write_text(PROGRAM.format(name=name))
    (place / f"beside_{name}.py").write_text("")


@pytest.mark.parametrize(
    "target", ["some_app", "some_app:server", "some_app.py", "some_app.py:server", "./some_app.py"]
)
def test_a_server_is_found_in_a_module_or_a_file(place: Path, target: str) -> None:
    write(place, "some_app")
    found = load_server(target)
    assert found is sys.modules["some_app"].server


def test_another_name_can_be_given(place: Path) -> None:
    write(place, "some_app")
    assert load_server("some_app:other") is sys.modules["some_app"].other
    assert load_server(f"{place}/some_app.py:other") is not load_server(f"{place}/some_app.py")


def test_a_file_is_not_taken_for_a_module_of_its_name(place: Path) -> None:
    write(place, "json")
    assert isinstance(load_server("json.py"), ResponsesServer)
    assert not hasattr(sys.modules["json"], "other")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nowhere.py", "there is no file nowhere.py"),
        ("nowhere", "there is no module 'nowhere'"),
        ("nowhere.deeper:server", "there is no module 'nowhere.deeper'"),
        ("some_app:missing", "some_app has no 'missing'"),
        ("some_app.py:nothing", "some_app.py:nothing is a int, not a ResponsesServer"),
    ],
)
def test_what_cannot_be_found_is_said(
    place: Path, target: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(place, "some_app")
    with pytest.raises(CommandError, match=message):
        load_server(target)
    assert main(["serve", target]) == 2
    assert capsys.readouterr().err.startswith(f"responses-stream: {message}")


def test_what_the_module_itself_misses_is_told_as_python_tells_it(place: Path) -> None:
    write(place, "some_app")
    (place / "beside_some_app.py").write_text("import not_installed_at_all")
    with pytest.raises(ModuleNotFoundError, match="not_installed_at_all"):
        load_server("some_app")


Call = tuple[object, str, int]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Call]]:
    """Transports that only note their calls: ``one``, ``two`` and ``h11``."""
    noted: dict[str, list[Call]] = {"one": [], "two": [], "h11": []}

    def noting(name: str) -> Callable[[Engine, str, int], None]:
        return lambda engine, host, port: noted[name].append((engine, host, port))

    class Found(EntryPoint):
        def load(self) -> Callable[[Engine, str, int], None]:
            return noting(self.name)

    monkeypatch.setattr(
        transports,
        "entry_points",
        lambda *, group: EntryPoints([Found(name=name, value="x:y", group=group) for name in noted]),
    )
    monkeypatch.delenv("RESPONSES_TRANSPORT", raising=False)
    return noted


def test_the_command_line_reaches_the_transport(place: Path, calls: dict[str, list[Call]]) -> None:
    write(place, "some_app")
    assert main(["serve", "some_app", "--host", "::1", "--port", "99", "--transport", "two"]) == 0
    assert calls["two"] == [(sys.modules["some_app"].server, "::1", 99)]
    assert main(["serve", "some_app"]) == 0
    assert calls["h11"] == [(sys.modules["some_app"].server, "127.0.0.1", 8088)]


def test_an_argument_wins_over_the_options_and_they_over_the_environment(
    calls: dict[str, list[Call]], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, chosen = ResponsesServer(), ResponsesServer(options=ResponsesServerOptions(transport="two"))
    plain.run()
    assert [len(noted) for noted in calls.values()] == [0, 0, 1]
    monkeypatch.setenv("RESPONSES_TRANSPORT", "one")
    plain.run()
    assert [len(noted) for noted in calls.values()] == [1, 0, 1]
    chosen.run()
    assert [len(noted) for noted in calls.values()] == [1, 1, 1]
    chosen.run("h11", host="h", port=1)
    assert calls["h11"][-1] == (chosen, "h", 1)


def test_an_unknown_transport_is_told_with_the_known_ones(
    place: Path, calls: dict[str, list[Call]], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UnknownTransport) as unknown:
        find_transport("carrier_pigeon")
    assert (unknown.value.name, unknown.value.known) == ("carrier_pigeon", ("h11", "one", "two"))
    write(place, "some_app")
    assert main(["serve", "some_app", "--transport", "carrier_pigeon"]) == 2
    assert "no transport is called 'carrier_pigeon'; there is h11, one, two" in capsys.readouterr().err
    assert calls == {"one": [], "two": [], "h11": []}


def test_the_installed_transport_is_the_h11_server() -> None:
    assert find_transport("h11").__module__ == "responses_transports.h11_server"


def test_an_address_that_is_taken_is_told(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(place, "some_app")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "some_app", "--port", str(port)]) == 1
    assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err
