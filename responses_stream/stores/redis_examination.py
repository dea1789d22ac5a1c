"""How a Redis is, for those who keep responses in it: what it loses, what it throws away, and whether it has room."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from responses_stream.stores.examination import Findings, free_connections, time_of

OLDEST: Final = (6, 2)
_FULL: Final = 0.8
"""From which part of its memory on a Redis counts as almost full."""


async def examine(client: Redis, connections: int, findings: Findings) -> None:
    """Look at a Redis that a server reaches with up to that many *connections*."""
    with findings.trying("reachable", "is it running, and are host, port, user and password right?", final=True):
        await cast("Any", client.ping())
        findings.ok("reachable", "it answers")
    if findings.is_final:
        return
    told: Mapping[str, Any] = {}
    with findings.trying("version", "this user has to be allowed INFO, or look at version and memory yourself"):
        told = await client.info()
        _version(told, findings)
    chosen = await _chosen(client)
    if told:
        _role(told, findings)
        _persistence(told, chosen, findings)
        _memory(told, findings)
        most = chosen.get("maxclients") or told.get("maxclients")
        if most is not None:
            free_connections(findings, int(most) - int(told["connected_clients"]), int(most), connections)
    with findings.trying("clock", "this user has to be allowed TIME, which leases go by"):

        async def now() -> float:
            seconds, microseconds = await client.time()
            return float(seconds) + microseconds / 1e6

        await time_of(findings, now)


async def _chosen(client: Redis) -> Mapping[str, str]:
    """Return its settings; nothing where they are not for this user, as where somebody else runs it."""
    found: dict[str, str] = {}
    try:
        for name in ("save", "appendfsync", "maxclients"):
            found |= {str(key): str(value) for key, value in (await client.config_get(name)).items()}
    except RedisError:
        return {}
    return found


def _version(told: Mapping[str, Any], findings: Findings) -> None:
    valkey = told.get("valkey_version")
    said = f"Valkey {valkey}" if valkey else f"Redis {told['redis_version']}"
    # A Valkey says as its redis_version which Redis it stands in for.
    number = tuple(int(part) for part in str(told["redis_version"]).split(".")[:2])
    if number < OLDEST:
        findings.fail("version", said, "Redis 6.2 or newer, or Valkey, is needed")
    else:
        findings.ok("version", said)


def _role(told: Mapping[str, Any], findings: Findings) -> None:
    if told.get("role") == "slave":
        findings.fail("role", "it is a replica, which takes no writes", "name the primary in the URL", final=True)
    elif told.get("cluster_enabled"):
        findings.warn(
            "role",
            "it is a node of a cluster",
            "all keys of a store are on one node, which the URL has to name; a node of its own does as well",
        )
    else:
        findings.ok("role", f"primary with {told.get('connected_slaves', 0)} replicas")


def _persistence(told: Mapping[str, Any], chosen: Mapping[str, str], findings: Findings) -> None:
    remedy = "set appendonly yes"
    if told.get("aof_enabled"):
        if told.get("aof_last_write_status", "ok") != "ok":
            findings.fail("persistence", "the append-only file cannot be written", "is its disk full?")
            return
        fsync = chosen.get("appendfsync")
        lost = {"always": "nothing is lost", "no": "what the system has not written yet is lost"}
        rest = lost.get(fsync, "up to a second is lost") if fsync else "how often it is synced is not to be seen"
        findings.ok("persistence", f"append-only file, appendfsync {fsync or '?'}: when the machine goes down, {rest}")
    elif chosen.get("save") == "":
        findings.warn("persistence", "neither appendonly nor save: what is written is lost at a restart", remedy)
    elif "save" in chosen:
        findings.warn(
            "persistence",
            f"snapshots only (save {chosen['save']}): what was written since the last is lost at a restart",
            remedy,
        )
    else:
        findings.warn(
            "persistence",
            "no append-only file, and this user may not see whether there are snapshots: what is written may be lost",
            f"ask whoever runs it, or {remedy}",
        )


def _memory(told: Mapping[str, Any], findings: Findings) -> None:
    policy = str(told.get("maxmemory_policy", "?"))
    most, used = int(told.get("maxmemory", 0)), int(told["used_memory"])
    said = f"{_size(used)} used of {_size(most) if most else 'what the machine has'}, maxmemory-policy {policy}"
    remedy = "set maxmemory-policy noeviction"
    if policy != "noeviction" and most:
        findings.fail("memory", f"{said}: it throws responses away when it is full", remedy)
    elif policy != "noeviction":
        findings.warn("memory", f"{said}: it would throw responses away if it had a maxmemory", remedy)
    elif most and used > _FULL * most:
        findings.warn(
            "memory", f"{said}: once it is full it takes no writes", "give it more, or keep responses shorter"
        )
    else:
        findings.ok("memory", said)


def _size(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
