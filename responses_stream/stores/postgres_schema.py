"""The tables and functions of a `PostgresStore`, and how they come into a database: versioned migrations.

Everything stands in one schema of PostgreSQL. What is written is written by functions, each in one round trip and one
transaction; each looks before it writes, and says in a word why it refuses. Times are those of the database, so that
the clocks of the servers do not have to agree.
"""

from __future__ import annotations

from typing import Final

from psycopg import AsyncConnection, errors, sql

from responses_stream.errors import InvalidValue
from responses_stream.stores.base import StoreError

VERSION: Final = 1
"""The version of the schema that this package works with."""

_LOCK: Final = 0x7265_7370  # any number that all of us take and nobody else is likely to

_TABLES: Final = """
CREATE TABLE $s.version (number int NOT NULL);
-- cancelling: 0 is not asked for, 1 is asked for, 2 is told to the owner. parent is the row that this one continues,
-- continuations is how many rows continue this one.
CREATE TABLE $s.responses (
    row bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, partition text NOT NULL, id text NOT NULL, owner text NOT NULL,
    status text NOT NULL, background boolean NOT NULL, stream boolean NOT NULL, last_number int NOT NULL,
    cancelling smallint NOT NULL DEFAULT 0, ended_at double precision, deleted boolean NOT NULL DEFAULT false,
    log_dropped boolean NOT NULL DEFAULT false, parent bigint, continuations int NOT NULL DEFAULT 0,
    conversation text, inputs int NOT NULL, outputs int NOT NULL DEFAULT 0) WITH (fillfactor = 70);
CREATE UNIQUE INDEX response_keys ON $s.responses (partition, id) WHERE NOT deleted;
CREATE INDEX live_responses ON $s.responses (owner) WHERE ended_at IS NULL AND NOT deleted;
CREATE INDEX asked_to_cancel ON $s.responses (owner) WHERE cancelling = 1 AND NOT deleted;
CREATE INDEX ended_responses ON $s.responses (ended_at) WHERE ended_at IS NOT NULL AND NOT deleted;
CREATE INDEX ended_logs ON $s.responses (ended_at) WHERE ended_at IS NOT NULL AND NOT deleted AND NOT log_dropped;
CREATE INDEX conversations ON $s.responses (partition, conversation, row)
    WHERE conversation IS NOT NULL AND NOT deleted;
CREATE TABLE $s.snapshots (row bigint PRIMARY KEY, response bytea NOT NULL);
CREATE TABLE $s.recoveries (row bigint PRIMARY KEY, request bytea, notes bytea);
CREATE TABLE $s.events (
    row bigint NOT NULL, first int NOT NULL, count int NOT NULL, frames bytea NOT NULL, PRIMARY KEY (row, first));
CREATE TABLE $s.items (
    row bigint NOT NULL, position int NOT NULL, partition text NOT NULL, id text NOT NULL, data bytea NOT NULL,
    PRIMARY KEY (row, position));
CREATE INDEX item_ids ON $s.items (partition, id, row);
CREATE TABLE $s.claims (
    partition text NOT NULL, idempotency_key text NOT NULL, response_id text NOT NULL, digest bytea NOT NULL,
    owner text NOT NULL, PRIMARY KEY (partition, idempotency_key));
CREATE INDEX claims_of_responses ON $s.claims (partition, response_id);
CREATE INDEX claims_of_owners ON $s.claims (owner);
CREATE TABLE $s.owners (
    name text PRIMARY KEY, expires double precision NOT NULL, machine text NOT NULL, pid int NOT NULL,
    started text NOT NULL);
"""

_FUNCTIONS: Final = """
CREATE FUNCTION $s.register(who text, at double precision, lease double precision, machine text, pid int, started text)
RETURNS void LANGUAGE sql AS $f$
    INSERT INTO $s.owners VALUES (who, at + lease, machine, pid, started) ON CONFLICT DO NOTHING
$f$;

CREATE FUNCTION $s.add(of bigint, part text, firsts int[], counts int[], joined bytea[],
    item_from int, item_ids text[], item_data bytea[])
RETURNS void LANGUAGE plpgsql AS $f$ BEGIN
    IF cardinality(firsts) > 0 THEN
        INSERT INTO $s.events SELECT of, * FROM unnest(firsts, counts, joined);
    END IF;
    IF cardinality(item_ids) > 0 THEN
        INSERT INTO $s.items SELECT of, item_from + (at - 1), part, name, said
            FROM unnest(item_ids, item_data) WITH ORDINALITY AS given (name, said, at);
    END IF;
END $f$;

CREATE FUNCTION $s.create_response(part text, name text, who text, status text, background boolean, stream boolean,
    previous text, conversation text, response bytea, recovery bytea, last_number int,
    firsts int[], counts int[], joined bytea[],
    item_ids text[], item_data bytea[], at double precision, lease double precision, machine text, pid int,
    started text)
RETURNS boolean LANGUAGE plpgsql AS $f$ DECLARE before bigint; made bigint; BEGIN
    PERFORM $s.register(who, at, lease, machine, pid, started);
    INSERT INTO $s.responses (partition, id, owner, status, background, stream, last_number, conversation, inputs)
        VALUES (part, name, who, status, background, stream, last_number, conversation, cardinality(item_ids))
        ON CONFLICT (partition, id) WHERE NOT deleted DO NOTHING RETURNING row INTO made;
    IF made IS NULL THEN
        RETURN false;
    END IF;
    IF previous IS NOT NULL THEN
        UPDATE $s.responses SET continuations = continuations + 1
            WHERE partition = part AND id = previous AND NOT deleted AND row <> made RETURNING row INTO before;
        UPDATE $s.responses SET parent = before WHERE row = made AND before IS NOT NULL;
    END IF;
    INSERT INTO $s.snapshots VALUES (made, response);
    IF recovery IS NOT NULL THEN
        INSERT INTO $s.recoveries VALUES (made, recovery);
    END IF;
    PERFORM $s.add(made, part, firsts, counts, joined, 0, item_ids, item_data);
    RETURN true;
END $f$;

-- Null where it was written; else why not: a word, and what it is about.
CREATE FUNCTION $s.append_events(part text, name text, who text, first int, many int,
    firsts int[], counts int[], joined bytea[], ended boolean, new_status text, new_response bytea,
    item_ids text[], item_data bytea[], at double precision, topic text)
RETURNS text[] LANGUAGE plpgsql AS $f$ DECLARE one $s.responses; BEGIN
    SELECT * INTO one FROM $s.responses WHERE partition = part AND id = name AND NOT deleted FOR NO KEY UPDATE;
    IF NOT FOUND THEN RETURN ARRAY['missing', '']; END IF;
    IF one.ended_at IS NOT NULL THEN RETURN ARRAY['ended', '']; END IF;
    IF one.owner <> who THEN RETURN ARRAY['owner', one.owner]; END IF;
    IF many > 0 AND first <> one.last_number + 1 THEN
        RETURN ARRAY['number', (one.last_number + 1)::text];
    END IF;
    IF ended THEN
        UPDATE $s.responses SET last_number = last_number + many, status = new_status, ended_at = at, cancelling = 0,
            outputs = cardinality(item_ids) WHERE row = one.row;
        UPDATE $s.snapshots SET response = new_response WHERE row = one.row;
        DELETE FROM $s.recoveries WHERE row = one.row;
    ELSE
        UPDATE $s.responses SET last_number = last_number + many WHERE row = one.row;
    END IF;
    PERFORM $s.add(one.row, part, firsts, counts, joined, one.inputs, item_ids, item_data);
    PERFORM pg_notify('$channel', topic);
    RETURN NULL;
END $f$;

CREATE FUNCTION $s.note(part text, name text, who text, noted bytea)
RETURNS text[] LANGUAGE plpgsql AS $f$ DECLARE one $s.responses; BEGIN
    SELECT * INTO one FROM $s.responses WHERE partition = part AND id = name AND NOT deleted FOR NO KEY UPDATE;
    IF NOT FOUND THEN RETURN ARRAY['missing', '']; END IF;
    IF one.ended_at IS NOT NULL THEN RETURN ARRAY['ended', '']; END IF;
    IF one.owner <> who THEN RETURN ARRAY['owner', one.owner]; END IF;
    INSERT INTO $s.recoveries VALUES (one.row, NULL, noted) ON CONFLICT (row) DO UPDATE SET notes = noted;
    RETURN NULL;
END $f$;

-- The owner who has to be told; empty where nobody has, null where there is no such response.
CREATE FUNCTION $s.cancel_response(part text, name text)
RETURNS text LANGUAGE plpgsql AS $f$ DECLARE one $s.responses; BEGIN
    SELECT * INTO one FROM $s.responses WHERE partition = part AND id = name AND NOT deleted FOR NO KEY UPDATE;
    IF NOT FOUND THEN RETURN NULL; END IF;
    IF one.ended_at IS NOT NULL OR one.cancelling <> 0 THEN RETURN ''; END IF;
    UPDATE $s.responses SET cancelling = 1 WHERE row = one.row;
    RETURN one.owner;
END $f$;

CREATE FUNCTION $s.drop_response(of bigint)
RETURNS void LANGUAGE plpgsql AS $f$ DECLARE gone $s.responses; before bigint; BEGIN
    UPDATE $s.responses SET deleted = true WHERE row = of RETURNING * INTO gone;
    DELETE FROM $s.events WHERE row = of;
    DELETE FROM $s.snapshots WHERE row = of;
    DELETE FROM $s.recoveries WHERE row = of;
    DELETE FROM $s.claims WHERE partition = gone.partition AND response_id = gone.id;
    before := of;
    WHILE before IS NOT NULL LOOP
        DELETE FROM $s.responses WHERE row = before AND deleted AND continuations = 0 RETURNING * INTO gone;
        EXIT WHEN NOT FOUND;
        DELETE FROM $s.items WHERE row = gone.row;
        before := gone.parent;
        UPDATE $s.responses SET continuations = continuations - 1 WHERE row = before;
    END LOOP;
END $f$;

CREATE FUNCTION $s.delete_response(part text, name text, topic text)
RETURNS text LANGUAGE plpgsql AS $f$ DECLARE one $s.responses; BEGIN
    SELECT * INTO one FROM $s.responses WHERE partition = part AND id = name AND NOT deleted FOR UPDATE;
    IF NOT FOUND THEN RETURN 'missing'; END IF;
    IF one.ended_at IS NULL AND one.cancelling = 0 THEN RETURN 'live'; END IF;
    PERFORM $s.drop_response(one.row);
    PERFORM pg_notify('$channel', topic);
    RETURN NULL;
END $f$;

CREATE FUNCTION $s.sweep(logs_before double precision, responses_before double precision, many int)
RETURNS boolean LANGUAGE plpgsql AS $f$ DECLARE rows bigint[]; logs int; one bigint; BEGIN
    rows := ARRAY(SELECT row FROM $s.responses WHERE ended_at <= logs_before AND NOT deleted AND NOT log_dropped
        ORDER BY ended_at LIMIT many FOR UPDATE SKIP LOCKED);
    DELETE FROM $s.events WHERE row = ANY (rows);
    UPDATE $s.responses SET log_dropped = true WHERE row = ANY (rows);
    logs := cardinality(rows);
    rows := ARRAY(SELECT row FROM $s.responses WHERE ended_at <= responses_before AND NOT deleted
        ORDER BY ended_at LIMIT many FOR UPDATE SKIP LOCKED);
    FOREACH one IN ARRAY rows LOOP
        -- The histories of its continuations end behind it: they point at a row that is no more.
        UPDATE $s.responses SET continuations = 0 WHERE row = one;
        PERFORM $s.drop_response(one);
    END LOOP;
    RETURN greatest(logs, cardinality(rows)) = many;
END $f$;

-- Where the claim is somebody else's, theirs; else the digest is null.
CREATE FUNCTION $s.claim(part text, key text, name text, dig bytea, who text, at double precision,
    lease double precision, machine text, pid int, started text)
RETURNS TABLE (held_id text, held_digest bytea) LANGUAGE plpgsql AS $f$ DECLARE held $s.claims; BEGIN
    PERFORM $s.register(who, at, lease, machine, pid, started);
    INSERT INTO $s.claims VALUES (part, key, name, dig, who) ON CONFLICT DO NOTHING;
    IF FOUND THEN RETURN QUERY SELECT name, NULL::bytea; RETURN; END IF;
    SELECT * INTO held FROM $s.claims WHERE partition = part AND idempotency_key = key FOR UPDATE;
    IF FOUND AND (EXISTS (SELECT 1 FROM $s.responses WHERE partition = part AND id = held.response_id AND NOT deleted)
        OR EXISTS (SELECT 1 FROM $s.owners WHERE owners.name = held.owner AND expires > at)) THEN
        RETURN QUERY SELECT held.response_id, held.digest;
        RETURN;
    END IF;
    INSERT INTO $s.claims VALUES (part, key, name, dig, who) ON CONFLICT (partition, idempotency_key)
        DO UPDATE SET response_id = name, digest = dig, owner = who;
    RETURN QUERY SELECT name, NULL::bytea;
END $f$;

-- Renews the lease where one is given, and takes what is to be looked after: cancelled responses, and orphans of the
-- owners whose lease is over or who are named as dead.
CREATE FUNCTION $s.attend(who text, at double precision, lease double precision, machine text, pid int, started text,
    dead text[], grace double precision)
RETURNS TABLE (is_orphan boolean, part text, name text) LANGUAGE plpgsql AS $f$ DECLARE gone text[]; BEGIN
    IF lease IS NOT NULL THEN
        INSERT INTO $s.owners VALUES (who, at + lease, machine, pid, started)
            ON CONFLICT ON CONSTRAINT owners_pkey DO UPDATE SET expires = at + lease;
    ELSIF NOT EXISTS (SELECT 1 FROM $s.owners AS mine WHERE mine.name = who AND mine.expires > at) THEN
        RETURN;  -- who has no lease any more must not take what nobody would take from him
    END IF;
    RETURN QUERY WITH told AS (
        UPDATE $s.responses SET cancelling = 2 WHERE owner = who AND cancelling = 1 AND NOT deleted
        RETURNING row, partition, id)
        SELECT false, partition, id FROM told ORDER BY row;
    WITH found AS (
        DELETE FROM $s.owners WHERE owners.name IN (
            SELECT one.name FROM $s.owners AS one
            WHERE one.name <> who AND (one.expires <= at - grace OR one.name = ANY (dead)) FOR UPDATE SKIP LOCKED)
        RETURNING owners.name)
        SELECT coalesce(array_agg(found.name), '{}') INTO gone FROM found;
    IF cardinality(gone) > 0 THEN
        RETURN QUERY WITH taken AS (
            UPDATE $s.responses SET owner = who, cancelling = 2 * (cancelling > 0)::int
            WHERE owner = ANY (gone) AND ended_at IS NULL AND NOT deleted RETURNING row, partition, id)
            SELECT true, partition, id FROM taken ORDER BY row;
        DELETE FROM $s.claims WHERE owner = ANY (gone) AND NOT EXISTS (SELECT 1 FROM $s.responses
            WHERE partition = claims.partition AND id = claims.response_id AND NOT deleted);
    END IF;
END $f$;

CREATE FUNCTION $s.release_owner(who text)
RETURNS void LANGUAGE plpgsql AS $f$ BEGIN
    UPDATE $s.owners SET expires = '-infinity' WHERE name = who;
    PERFORM pg_notify('$channel', '*');
END $f$;

-- The newest items before a turn, newest first, each id once: a walk up the chain that stops when it has enough.
CREATE FUNCTION $s.newest_items(part text, previous bigint, of_conversation text, many int)
RETURNS TABLE (name text, said bytea) LANGUAGE plpgsql STABLE AS $f$
DECLARE one $s.responses; item $s.items; seen text[] := '{}'; BEGIN
    IF of_conversation IS NOT NULL THEN
        FOR one IN SELECT * FROM $s.responses WHERE partition = part AND conversation = of_conversation AND NOT deleted
            ORDER BY row DESC LOOP
            FOR item IN SELECT * FROM $s.items WHERE row = one.row ORDER BY position DESC LOOP
                IF NOT item.id = ANY (seen) THEN
                    seen := seen || item.id; name := item.id; said := item.data; RETURN NEXT;
                    IF cardinality(seen) >= many THEN RETURN; END IF;
                END IF;
            END LOOP;
        END LOOP;
    END IF;
    WHILE previous IS NOT NULL LOOP
        FOR item IN SELECT * FROM $s.items WHERE row = previous ORDER BY position DESC LOOP
            IF NOT item.id = ANY (seen) THEN
                seen := seen || item.id; name := item.id; said := item.data; RETURN NEXT;
                IF cardinality(seen) >= many THEN RETURN; END IF;
            END IF;
        END LOOP;
        SELECT parent INTO previous FROM $s.responses WHERE row = previous;
    END LOOP;
END $f$;
"""

_MIGRATIONS: Final = (_TABLES + _FUNCTIONS,)
"""What makes each version of the one before, from nothing on."""


def channel_of(schema: str) -> str:
    """Return the channel on which changes of *schema* are told."""
    return f"{schema}_news"


def check_schema(schema: str) -> str:
    """Return *schema*, which has to be a plain name.

    Raises:
        InvalidValue: it is not.
    """
    if not (schema.isidentifier() and schema.isascii() and schema == schema.lower() and len(schema) <= 48):
        raise InvalidValue("schema", f"is {schema!r}; it takes small letters, digits and _, at most 48 of them")
    return schema


async def version_of(connection: AsyncConnection, schema: str) -> int:
    """Return the version of the schema in the database; 0 where there is none."""
    try:
        async with connection.transaction():
            found = await connection.execute(sql.SQL("SELECT number FROM {}.version").format(sql.Identifier(schema)))
            row = await found.fetchone()
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        return 0
    return 0 if row is None else int(row[0])


async def migrate(connection: AsyncConnection, schema: str) -> tuple[int, int]:
    """Bring the schema to `VERSION`, in one transaction; return the versions before and after.

    Whoever comes at the same time waits.

    Raises:
        StoreError: it was written by a newer version of this package.
        psycopg.Error: the database is not reachable, or this user may not make tables there.
    """
    name = sql.Identifier(schema).as_string(connection)
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        before = await version_of(connection, schema)
        if before > VERSION:
            raise StoreError(
                f"the schema {schema} has version {before}, this package knows up to {VERSION}; update responses-stream"
            )
        if before == VERSION:
            return before, before
        if before == 0:
            # IF NOT EXISTS takes the right to create schemas even where there is one, of this user.
            found = await connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,))
            if await found.fetchone() is None:
                await connection.execute(f"CREATE SCHEMA {name}".encode())
        for script in _MIGRATIONS[before:]:
            await connection.execute(script.replace("$s", name).replace("$channel", channel_of(schema)).encode())
        if before == 0:
            await connection.execute(f"INSERT INTO {name}.version VALUES ({VERSION})".encode())
        else:
            await connection.execute(f"UPDATE {name}.version SET number = {VERSION}".encode())
    return before, VERSION
