"""``responses-stream serve``: what is served, where, and what is said when it cannot be."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import anyio
import pytest

from responses_stream import InvalidValue, ResponsesServer, ResponsesServerOptions
from responses_stream.cli import main
from responses_stream.cli.failure import CommandError
from responses_stream.cli.serve import DEFAULT_STORE, load_server
from responses_stream.hosting import transports
from responses_stream.hosting.http import Engine
from responses_stream.hosting.listening import Listen
from responses_stream.hosting.settings import CONFIG_VARIABLE, settings
from responses_stream.hosting.storing import open_store
from responses_stream.hosting.transports import UnknownTransport, find_transport, missing_server
from responses_stream.stores.base import Key, NewResponse
from tests.services import postgres_url

PROGRAM = """
from responses_stream import ResponsesServer
import beside_{name}
server = ResponsesServer()
other = ResponsesServer()
nothing = 3
"""
# The options that `serve` arrives at, noted by a server that then serves nothing.
NOTING = """
from responses_stream import ResponsesServer, ResponsesServerOptions
class Noting(ResponsesServer):
    has_store = False
    noted = None
    def configure(self, options):
        self.noted = options
    def run(self, transport=None, *, host=None, port=None):
        assert (transport, host, port) == (None, None, None)
        self.ran_with = self.noted
server = Noting()
chosen = Noting(options=ResponsesServerOptions(max_json_depth=5, host="of-the-program"))
stored = Noting()
stored.has_store = True
"""
VARIABLES = [variable for setting in settings() for variable in setting.variables]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an environment that sets options, the tests shall not know."""
    for variable in (*VARIABLES, CONFIG_VARIABLE):
        monkeypatch.delenv(variable, raising=False)


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


Call = tuple[Engine, Listen]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Call]]:
    """Transports that only note their calls: ``one``, ``two`` and ``h11``."""
    noted: dict[str, list[Call]] = {"one": [], "two": [], "h11": []}

    def noting(name: str) -> Callable[[Engine, Listen], None]:
        return lambda engine, listen: noted[name].append((engine, listen))

    class Found(EntryPoint):
        def load(self) -> Callable[[Engine, Listen], None]:
            return noting(self.name)

    monkeypatch.setattr(
        transports,
        "entry_points",
        lambda *, group: EntryPoints([Found(name=name, value="x:y", group=group) for name in noted]),
    )
    return noted


def test_the_command_line_reaches_the_transport(place: Path, calls: dict[str, list[Call]]) -> None:
    write(place, "some_app")
    assert main(["serve", "some_app", "--host", "::1", "--port", "99", "--transport", "two"]) == 0
    assert calls["two"] == [(sys.modules["some_app"].server, Listen(host="::1", port=99))]
    assert main(["serve", "some_app:other"]) == 0
    assert calls["h11"] == [(sys.modules["some_app"].other, Listen(host="127.0.0.1", port=8088))]


def test_the_transport_gets_all_that_is_said_of_listening(place: Path, calls: dict[str, list[Call]]) -> None:
    write(place, "some_app")
    words = "--certfile c.pem --keyfile k.pem --server s --workers 3 --threads 5 --max-connections 7 --access-log yes"
    assert main(["serve", "some_app", "--unix-socket", "a.sock", *words.split()]) == 0
    expected = Listen(
        unix_socket="a.sock",
        certfile="c.pem",
        keyfile="k.pem",
        server="s",
        workers=3,
        threads=5,
        max_connections=7,
        access_log=True,
    )
    assert calls["h11"] == [(sys.modules["some_app"].server, expected)]
    assert main(["serve", "some_app:other", "--fd", "0"]) == 0
    assert calls["h11"][-1][1] == Listen(fd=0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--fd 3 --unix-socket a.sock", "listen: unix_socket, fd and sockets each replace host and port; give one"),
        ("--keyfile k.pem", "keyfile: a key is of no use without certfile"),
        ("--workers 2 --store memory:", "workers: each worker would know only its own responses; give the server a"),
    ],
)
def test_what_contradicts_itself_is_told(
    place: Path, calls: dict[str, list[Call]], words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(place, "some_app")
    assert main(["serve", "some_app", *words.split()]) == 2
    assert capsys.readouterr().err.startswith(f"responses-stream: {message}")
    assert calls == {"one": [], "two": [], "h11": []}


@pytest.mark.parametrize(
    ("store", "status", "message"),
    [
        ("redis://:hush@127.0.0.1:1/0?patience=0.1", 1, "redis://:***@127.0.0.1:1/0?patience=0.1: "),
        ("redis://:p/hush@127.0.0.1:1/0", 2, "url: is no URL of Redis: 'redis://:***@127.0.0.1:1/0'; "),
        ("redis://:hush@127.0.0.1:1/0?nonsense=1", 2, "url: is no URL of Redis: 'redis://:***@127.0.0.1:1/0?nonsense="),
        ("postgresql://me:hush@127.0.0.1:1/d?patience=0.1", 1, "postgresql://me:***@127.0.0.1:1/d?patience=0.1: "),
        ("DATABASE/no_such_database?patience=1", 1, 'database "no_such_database" does not exist'),
        ("sqlite:///no/such/folder/r.sqlite3", 1, "sqlite:///no/such/folder/r.sqlite3: "),
    ],
)
def test_a_store_that_cannot_be_used_is_one_line(
    place: Path,
    calls: dict[str, list[Call]],
    store: str,
    status: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of an engine that is away, of one that refuses, and of a URL that is none."""
    if store.startswith("DATABASE"):
        store = store.replace("DATABASE", postgres_url().rpartition("/")[0])
    write(place, "some_app")
    assert main(["serve", "some_app", "--store", store]) == status
    told = capsys.readouterr()
    assert message in told.err
    assert told.err.count("\n") == 1
    assert told.err.startswith("responses-stream: ")
    assert "hush" not in told.err + told.out
    assert calls == {"one": [], "two": [], "h11": []}


def test_a_store_is_left_as_it_was_when_it_is_looked_at(place: Path, calls: dict[str, list[Call]]) -> None:
    """Its orphans are for the server that then attends it."""
    key = Key("somebody", "resp_1")
    new = NewResponse(key=key, owner="dead", response=b"{}", status="in_progress", background=True, stream=False)

    async def leave() -> None:
        store = open_store(DEFAULT_STORE)
        await store.create(new)
        await store.release("dead")
        await store.aclose()

    async def left() -> list[Key]:
        store = open_store(DEFAULT_STORE)
        found = list((await store.attend("heir", 10, 0)).orphans)
        await store.aclose()
        return found

    write(place, "some_app")
    anyio.run(leave)
    assert main(["serve", "some_app"]) == 0
    assert len(calls["h11"]) == 1
    assert anyio.run(left) == [key]


def test_what_a_transport_cannot_do_is_told(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def serve(_engine: Engine, listen: Listen) -> None:
        raise missing_server(str(listen.server), "carrier-pigeon")

    class Found(EntryPoint):
        def load(self) -> Callable[[Engine, Listen], None]:
            return serve

    found = EntryPoints([Found(name="h11", value="x:y", group=transports.GROUP)])
    monkeypatch.setattr(transports, "entry_points", lambda *, group: found.select(group=group))
    write(place, "some_app")
    assert main(["serve", "some_app", "--server", "pigeon"]) == 2
    message = "responses-stream: carrier-pigeon is not installed: pip install 'responses-stream[pigeon]'\n"
    assert capsys.readouterr().err == message


def served(*arguments: str, name: str = "server") -> ResponsesServerOptions:
    """The options with which ``serve`` runs a server of `NOTING`."""
    # Each call is a process of its own to whom it matters.
    sys.modules.pop("noting", None)
    Path("noting.py").write_text(NOTING)
    assert main(["serve", f"noting.py:{name}", *arguments]) == 0
    options = getattr(sys.modules["noting"], name).ran_with
    assert isinstance(options, ResponsesServerOptions)
    return options


@pytest.mark.usefixtures("place")
def test_every_option_has_a_flag() -> None:
    flags = {
        "models": "a,b",
        "id_prefix": "mine",
        "keep_alive": "off",
        "on_failure": "drop",
        "sse_done_marker": "no",
        "open_responses_reasoning": "yes",
        "store": "memory:",
        "websocket": "no",
        "resilient_background": "yes",
        "access_log": "yes",
    }
    given = {setting.flag: flags.get(setting.name, "7") for setting in settings()}
    options = served(*(word for flag in given.items() for word in flag))
    for setting in settings():
        assert getattr(options, setting.name) != setting.default, setting.name
    assert (options.port, options.models, options.store, options.sse_done_marker) == (7, ("a", "b"), "memory:", False)
    assert served("--default-fetch-history-count", "-1").default_fetch_history_count == -1


@pytest.mark.usefixtures("place")
def test_a_flag_wins_over_the_program_and_it_over_the_environment_and_that_over_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("mine.toml").write_text(
        "[responses-stream]\nmax_json_depth = 9\nport = 9\nidle_seconds = 9\nid_prefix = 'file'"
    )
    monkeypatch.setenv("RESPONSES_MAX_JSON_DEPTH", "8")
    monkeypatch.setenv("PORT", "8")
    monkeypatch.setenv("RESPONSES_HOST", "of-the-environment")
    monkeypatch.setenv("RESPONSES_IDLE_SECONDS", "8")
    assert served("--config", "mine.toml", "--port", "6", name="chosen") == ResponsesServerOptions(
        port=6, max_json_depth=5, host="of-the-program", idle_seconds=8, id_prefix="file", store=DEFAULT_STORE
    )
    monkeypatch.setenv("RESPONSES_CONFIG", "mine.toml")
    assert served("--max-json-depth", "7", name="chosen").max_json_depth == 7
    assert served().id_prefix == "file"


@pytest.mark.usefixtures("place")
def test_responses_are_kept_in_a_file_where_nobody_chose_a_store(monkeypatch: pytest.MonkeyPatch) -> None:
    assert served().store == DEFAULT_STORE == "sqlite:///responses.sqlite3"
    assert served(name="stored").store is None
    assert served("--store", "memory:").store == "memory:"
    monkeypatch.setenv("RESPONSES_STORE", "sqlite:///other.sqlite3")
    assert served().store == "sqlite:///other.sqlite3"


@pytest.mark.parametrize(
    ("flag", "text", "reason"),
    [
        ("--port", "high", "expected a whole number, got 'high'"),
        ("--port", "65536", "has to be between 0 and 65535, got 65536"),
        ("--keep-alive", "loud", "expected comment, event, auto or off, got 'loud'"),
        (
            "--sse-done-marker",
            "perhaps",
            "expected true or false, got 'perhaps'; a flag without a value stands behind TARGET",
        ),
    ],
)
def test_a_bad_flag_is_told_before_the_target_is_looked_for(
    flag: str, text: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", "nowhere.py", flag, text])
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith(f"responses-stream serve: error: argument {flag}: {reason}\n")


@pytest.mark.usefixtures("place")
def test_a_flag_of_true_or_false_may_stand_alone() -> None:
    for setting in settings():
        if setting.type is bool:
            for said, meant in {(): True, ("true",): True, ("false",): False}.items():
                options = served(setting.flag, *said, "--port", "7")
                assert (getattr(options, setting.name), options.port) == (meant, 7)
            assert getattr(served(setting.flag), setting.name) is True


def test_a_target_behind_a_flag_that_stands_alone_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--resilient-background", "writer.py"])
    assert ended.value.code == 2
    assert "got 'writer.py'; a flag without a value stands behind TARGET" in capsys.readouterr().err


def test_a_flag_is_not_guessed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "nowhere.py", "--model", "tutor"])
    assert "unrecognized arguments: --model" in capsys.readouterr().err


@pytest.mark.usefixtures("place")
def test_a_bad_variable_or_file_ends_the_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """H14.23, with the option and its source."""
    Path("noting.py").write_text(NOTING)
    Path("mine.toml").write_text("[responses-stream]\nprot = 9")
    assert main(["serve", "noting.py", "--config", "mine.toml"]) == 2
    assert re.fullmatch(
        r"responses-stream: prot: there is no such option; closest: port\b.* \(key prot of mine.toml\)\n",
        capsys.readouterr().err,
    )
    assert main(["serve", "noting.py", "--config", "missing.toml"]) == 2
    assert capsys.readouterr().err.startswith("responses-stream: missing.toml: cannot be read: ")
    monkeypatch.setenv("PORT", "high")
    assert main(["serve", "noting.py"]) == 2
    assert capsys.readouterr().err == (
        "responses-stream: port: expected a whole number, got 'high' (environment variable PORT)\n"
    )


def test_the_help_tells_every_option_with_its_variable_and_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    out = " ".join(capsys.readouterr().out.split())
    for setting in settings():
        assert f"{setting.flag} {'[true|false]' if setting.type is bool else 'VALUE'}" in out
        assert f"${setting.variables[0]}" in out
    assert "the port to listen on; 0 is a free one (H14.11) (default: $PORT or 8088)" in out


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
    chosen.run("h11", host="h", port=1, server="s")
    assert calls["h11"][-1] == (chosen, Listen(host="h", port=1, server="s"))
    of_options = ResponsesServer(options=ResponsesServerOptions(unix_socket="a.sock", workers=1))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        of_options.run("h11", sockets=[listening])
        assert calls["h11"][-1] == (of_options, Listen(sockets=[listening]))
    with pytest.raises(InvalidValue, match="workers"):
        plain.run(workers=2)


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
    assert f"cannot listen on http://127.0.0.1:{port}: " in capsys.readouterr().err
