"""How a PostgreSQL is, for those who keep responses in it: its version, the tables, what it loses, and its room."""

from __future__ import annotations

from typing import Any, Final

from psycopg import AsyncConnection

from responses_stream.stores.examination import Findings, free_connections, time_of
from responses_stream.stores.postgres_schema import VERSION, version_of

OLDEST: Final = 120_000
"""PostgreSQL 12, as libpq counts."""

_MIGRATE: Final = "run `responses-stream migrate --store URL`"

_MAY_CREATE: Final = """
SELECT coalesce((SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = %s),
    has_database_privilege(current_database(), 'CREATE'))
"""

_TAKEN: Final = """
SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
    (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid())
"""


async def examine(connection: AsyncConnection, schema: str, connections: int, findings: Findings) -> None:
    """Look at a PostgreSQL that a server reaches with up to that many *connections*."""
    number = connection.info.server_version
    said = f"PostgreSQL {number // 10_000}.{number % 10_000}"
    if number < OLDEST:
        findings.fail("version", said, "PostgreSQL 12 or newer is needed")
    else:
        findings.ok("version", said)
    with findings.trying("role", "may this user ask for settings?"):
        [is_standby] = await _row(connection, "SELECT pg_is_in_recovery()")
        if is_standby:
            findings.fail("role", "it is a standby, which takes no writes", "name the primary in the URL", final=True)
        else:
            findings.ok("role", "primary")
    with findings.trying("migration", "may this user see the schema?", final=True):
        await _migration(connection, schema, findings)
    with findings.trying("persistence", "may this user ask for settings?"):
        await _persistence(connection, findings)
    with findings.trying("connections", "may this user see pg_stat_activity?"):
        most, taken = await _row(connection, _TAKEN)
        free_connections(findings, most - taken, most, connections)
    with findings.trying("clock", "does the database still answer?"):

        async def now() -> float:
            [seconds] = await _row(connection, "SELECT extract(epoch FROM clock_timestamp())::float8")
            return float(seconds)

        await time_of(findings, now)


async def _migration(connection: AsyncConnection, schema: str, findings: Findings) -> None:
    version = await version_of(connection, schema)
    said = f"the schema {schema} has version {version}, this package needs {VERSION}"
    if version > VERSION:
        findings.fail("migration", said, "update responses-stream", final=True)
    elif version == VERSION:
        findings.ok("migration", f"the schema {schema} has version {version}")
    elif version:
        findings.fail("migration", said, _MIGRATE, final=True)
    else:
        [may] = await _row(connection, _MAY_CREATE, schema)
        # Nothing can be tried without tables, and it is not for a doctor to make them.
        if may:
            findings.fail("migration", f"there are no tables yet in the schema {schema}", _MIGRATE, final=True)
        else:
            findings.fail(
                "migration",
                f"there are no tables yet in the schema {schema}, and this user may not make them",
                f"{_MIGRATE} as one who may CREATE in the database, or in that schema where there is one",
                final=True,
            )


async def _persistence(connection: AsyncConnection, findings: Findings) -> None:
    [fsync, commit] = await _row(connection, "SELECT current_setting('fsync'), current_setting('synchronous_commit')")
    said = f"fsync {fsync}, synchronous_commit {commit}"
    if fsync == "off":
        findings.warn("persistence", f"{said}: the loss of power may break the whole database", "set fsync on")
    elif commit == "off":
        findings.warn(
            "persistence", f"{said}: a crash may take the last moments", "set synchronous_commit on for this user"
        )
    else:
        findings.ok("persistence", said)


async def _row(connection: AsyncConnection, query: str, *values: str) -> tuple[Any, ...]:
    row = await (await connection.execute(query.encode(), values or None)).fetchone()
    assert row is not None
    return row
