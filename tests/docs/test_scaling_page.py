"""docs/scaling.md and its compose file: what they name is there, and what they say of defaults is so.

The file is not started here, only read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import anyio
import attrs
import pytest
import yaml  # type: ignore[import-untyped]  # its types are a package of their own

from responses_stream import MemoryStore, ResponsesServer, ResponsesServerOptions
from responses_stream.cli import main
from responses_stream.cli.targets import load_target
from responses_stream.hosting.recording import STORE_SECONDS
from responses_stream.hosting.settings import load_options, settings
from responses_stream.stores.postgres import PostgresStore
from responses_stream.stores.redis import RedisStore
from tests.hosting.asking import ask

from .pages import DOCS

PAGE: Final = (DOCS / "scaling.md").read_text()
COMPOSE: Final = DOCS / "examples" / "compose"
OPTIONS: Final = ResponsesServerOptions()


@pytest.fixture(scope="module")
def composed() -> Mapping[str, Any]:
    found: Mapping[str, Any] = yaml.safe_load((COMPOSE / "compose.yaml").read_text())
    return found


@pytest.fixture(scope="module")
def nginx() -> str:
    """The configuration without its comments."""
    return re.sub(r"#.*", "", (COMPOSE / "nginx.conf").read_text())


def test_two_replicas_that_differ_in_nothing(composed: Mapping[str, Any]) -> None:
    services = composed["services"]
    assert services["app-1"] == services["app-2"]
    assert set(services) == {"postgres", "migrate", "app-1", "app-2", "proxy", "doctor"}
    for service in services.values():
        assert ("image" in service) != ("build" in service)
        for other, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[other], other
        for volume in service.get("volumes", ()):
            place = volume.partition(":")[0]
            assert place in composed["volumes"] or (COMPOSE / place).exists(), place
    assert (COMPOSE / services["app-1"]["build"] / "Dockerfile").exists()


def test_the_replicas_are_told_what_a_server_understands(composed: Mapping[str, Any]) -> None:
    app = composed["services"]["app-1"]
    environment = app["environment"]
    known = {variable for setting in settings() for variable in setting.variables}
    assert set(environment) <= known
    assert all(isinstance(value, str) for value in environment.values()), "YAML makes other things of bare words"
    options = load_options(environment=environment)
    assert (options.resilient_background, options.host, options.port) == (True, "0.0.0.0", 8088)
    grace = options.shutdown_grace_period_seconds + STORE_SECONDS
    assert float(app["stop_grace_period"].removesuffix("s")) > grace


def test_the_commands_are_ours(composed: Mapping[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    environment = composed["services"]["app-1"]["environment"]
    [served] = re.findall(r"^CMD (.*)$", (COMPOSE / "Dockerfile").read_text(), re.M)
    commands = [json.loads(served), *(composed["services"][name]["command"] for name in ("migrate", "doctor"))]
    for program, *arguments in commands:
        assert program == "responses-stream"
        with pytest.raises(SystemExit) as end:
            main([*arguments, "--help"])  # reads what stands before it, too
        assert end.value.code == 0
    capsys.readouterr()
    doctor = composed["services"]["doctor"]["command"]
    assert doctor[doctor.index("--store") + 1] == environment["RESPONSES_STORE"]


def blocks(text: str) -> Iterator[str]:
    """Give each directive of a configuration of nginx, with the blocks that it stands in."""
    place: list[str] = []
    for directive, mark in re.findall(r"([^{};]*)([{};])", text):
        if mark == "{":
            place.append(" ".join(directive.split()))
        elif mark == "}":
            assert not directive.strip(), f"{directive} has no ;"
            place.pop()
        else:
            yield " / ".join([*place, " ".join(directive.split())])
    assert place == []


def test_what_nginx_is_told(nginx: str, composed: Mapping[str, Any]) -> None:
    directives = list(blocks(nginx))
    location = [line.rpartition(" / ")[2] for line in directives if line.startswith("http / server / location / / ")]
    assert "proxy_pass http://replicas" in location
    assert "proxy_http_version 1.1" in location
    for header in ("x-agent-user-isolation-key", "x-agent-chat-isolation-key", "x-agent-user-id"):
        assert f'proxy_set_header {header} ""' in location
    said = dict(line.split(" ", 1) for line in location)
    assert OPTIONS.sse_keep_alive_interval_seconds is not None
    assert float(said["proxy_read_timeout"].removesuffix("s")) > OPTIONS.sse_keep_alive_interval_seconds
    assert int(said["client_max_body_size"].removesuffix("m")) * 1024**2 == OPTIONS.max_body_bytes
    assert "proxy_buffering" not in said, "streams say so themselves"
    upstream = [line.rpartition(" / ")[2] for line in directives if line.startswith("http / upstream replicas / ")]
    port = composed["services"]["app-1"]["environment"]["PORT"]
    assert [line for line in upstream if line.startswith("server ")] == [
        f"server {name}:{port} resolve" for name in ("app-1", "app-2")
    ]
    [idle] = [line.split()[1] for line in upstream if line.startswith("keepalive_timeout")]
    assert float(idle.removesuffix("s")) < OPTIONS.idle_seconds


def test_the_server_of_the_replicas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [])
    _, server = load_target(str(COMPOSE / "server.py"))
    assert isinstance(server, ResponsesServer)
    copy = ResponsesServer(store=MemoryStore(), options=server.options)
    copy.handler = server.handler

    async def asked() -> list[str]:
        async def at_once(_seconds: float) -> None:
            await anyio.lowlevel.checkpoint()

        monkeypatch.setattr(anyio, "sleep", at_once)
        async with copy.lifespan():
            answer = await ask(copy, {"input": "Write.", "store": False})
        return [item["content"][0]["text"].strip() for item in answer.json["output"]]

    assert anyio.run(asked) == ["Here is an outline.", "Here is a draft.", "Here is a polished text."]


def default(store: type[Any], name: str) -> object:
    return attrs.fields_dict(store)[name].default


def test_the_numbers_of_the_page() -> None:
    assert f"up to {default(RedisStore, 'connections')} to Redis" in PAGE
    assert f"up to {default(PostgresStore, 'connections')} to PostgreSQL" in PAGE
    for store in (RedisStore, PostgresStore):
        assert (default(store, "event_retention"), default(store, "response_retention")) == (86_400, 30 * 86_400)
    assert "(24 hours after its end)" in PAGE
    assert "(30 days)" in PAGE
    for name in ("lease_seconds", "idle_seconds", "shutdown_grace_period_seconds", "sse_keep_alive_interval_seconds"):
        assert re.search(rf"`{name}`[ ,(]+{getattr(OPTIONS, name):g}\b", PAGE), name
    assert "`?patience=` seconds (10)" in PAGE
    assert default(RedisStore, "patience") == default(PostgresStore, "patience") == 10
    assert f"the {STORE_SECONDS:g} seconds that the store may take" in PAGE


def test_the_commands_of_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [
        line.partition("  #")[0] for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S) for line in block.splitlines()
    ]
    ours = [line for line in lines if line.startswith("responses-stream ")]
    assert len(ours) >= 6
    for line in ours:
        flags = re.findall(r"--[a-z-]+", re.sub(r'"[^"]*"', "", line))
        command = line.split()[1]
        with pytest.raises(SystemExit):
            main([command, "--help"])
        shown = capsys.readouterr().out
        for flag in flags:
            assert flag in shown, f"{command} {flag}"
