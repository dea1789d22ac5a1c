"""Real engines for the tests: those that `REDIS_URL` and `DATABASE_URL` name, those of this machine, or private ones.

A private one is started from the programs that are found here, in a folder of its own, and ends with the tests. Where
there are none the tests of that engine are skipped, loudly; with ``REQUIRE_SERVICES=1`` they fail.
"""

from __future__ import annotations

import atexit
import functools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

_REDIS: Final = "redis://127.0.0.1:6379/0"
_POSTGRES: Final = "postgresql://postgres@127.0.0.1:5432/test"
_SECONDS: Final = 30.0


@functools.cache
def redis_url() -> str:
    """Return the URL of a Redis, started where there is none."""
    for url in filter(None, (os.environ.get("REDIS_URL"), _REDIS)):
        if _answers(lambda url=url: redis.Redis.from_url(url, socket_connect_timeout=5).ping()):  # type: ignore[misc]  # mypy does not infer lambdas with defaults
            return url
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        missing("Redis", "apt-get install redis-server, or set REDIS_URL")
    return private_redis(program).url


@functools.cache
def postgres_url() -> str:
    """Return the URL of a PostgreSQL database, started where there is none."""
    for url in filter(None, (os.environ.get("DATABASE_URL"), _POSTGRES)):
        if _answers(lambda url=url: psycopg.connect(url, connect_timeout=5).close()):  # type: ignore[misc]  # see above
            return url
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    found = shutil.which("initdb")
    if found is None and not folders:
        missing("PostgreSQL", "apt-get install postgresql, or set DATABASE_URL")
    return _private_postgres(Path(found).parent if found is not None else folders[-1])


class PrivateRedis:
    """A Redis of one's own, which a test may stop, cut off and start again.

    Attributes:
        url: where it listens.
    """

    def __init__(self, program: str) -> None:
        self._program = program
        self._place = tempfile.mkdtemp(prefix="redis-")
        self._port = free_port()
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()
        atexit.register(self.close)

    def start(self) -> None:
        """Start it, with what it had."""
        options = {"port": str(self._port), "bind": "127.0.0.1", "dir": self._place, "appendonly": "yes", "save": ""}
        command = [self._program, *(word for name, value in options.items() for word in (f"--{name}", value))]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _wait(lambda: redis.Redis.from_url(self.url, socket_connect_timeout=1).ping())

    def stop(self) -> None:
        """End it at once; what it had written is there when it starts again."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """End it, and leave nothing behind."""
        self.stop()
        shutil.rmtree(self._place, ignore_errors=True)


def private_redis(program: str | None = None) -> PrivateRedis:
    """Start a Redis of one's own."""
    program = program or shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        missing("redis-server", "apt-get install redis-server")
    return PrivateRedis(program)


def _private_postgres(programs: Path) -> str:
    place, port = tempfile.mkdtemp(prefix="postgres-"), free_port()
    user: str | None = None
    if os.getuid() == 0:  # PostgreSQL does not run as root
        user = next(name for name in ("postgres", "nobody") if _has_user(name))
        shutil.chown(place, user)
    data = f"{place}/data"

    def run(command: list[Path | str]) -> None:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=place, user=user)

    run([programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync"])
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={place} -c fsync=off"
    run([programs / "pg_ctl", "-D", data, "-w", "-l", f"{place}/log", "-o", options, "start"])

    def end() -> None:
        run([programs / "pg_ctl", "-D", data, "-m", "immediate", "stop"])
        shutil.rmtree(place, ignore_errors=True)

    atexit.register(end)
    return f"postgresql://postgres@127.0.0.1:{port}/postgres"


def _has_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _answers(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except (OSError, redis.RedisError, psycopg.Error):
        return False
    return True


def _wait(ask: Callable[[], object]) -> None:
    """Wait for a program that tells nobody when it listens."""
    give_up = time.monotonic() + _SECONDS
    while not _answers(ask):
        assert time.monotonic() < give_up, "the engine does not answer"
        time.sleep(0.02)


def free_port() -> int:
    """Return a port of this machine on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def missing(engine: str, remedy: str) -> NoReturn:
    """Say loudly that something cannot be had; with ``REQUIRE_SERVICES=1`` that is a failure."""
    reason = f"NO {engine.upper()}: {remedy}"
    if os.environ.get("REQUIRE_SERVICES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def host_of(url: str) -> tuple[str, int]:
    """Return the address that a URL of an engine names."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port
