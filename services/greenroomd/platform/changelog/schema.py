"""The SQL of a service's change log, run by the first migration of each service.

A revision is position in the log. It is given by an UPDATE of the one row of `log_head`, whose lock is held until
commit: writers of a service are serialised from there, so a reader that has seen revision 8 can never later find a 7.
A sequence would not do: its values commit out of order. Lock, revisions, hashes and rows are one function call, the
last statement before COMMIT, because a lock held across round trips costs most of the throughput.
"""

from __future__ import annotations

CREATE: tuple[str, ...] = (
    """
    CREATE TABLE log_head (
        only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
        log_id uuid NOT NULL DEFAULT gen_random_uuid(),
        revision bigint NOT NULL DEFAULT 0,
        hash bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex')
    )
    """,
    "INSERT INTO log_head DEFAULT VALUES",
    """
    CREATE TABLE log_published (
        only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
        revision bigint NOT NULL DEFAULT 0
    )
    """,
    "INSERT INTO log_published DEFAULT VALUES",
    """
    CREATE TABLE changes (
        revision bigint PRIMARY KEY,
        id uuid NOT NULL UNIQUE,
        type text NOT NULL,
        resource text NOT NULL,
        related text[] NOT NULL,
        namespace text NOT NULL,
        actor_id text NOT NULL,
        actor_kind text NOT NULL,
        time timestamptz NOT NULL,
        request_id text NOT NULL,
        request_hash bytea NOT NULL,
        method text NOT NULL,
        trace_parent text NOT NULL,
        before bytea,
        after bytea,
        first_of_transaction boolean NOT NULL,
        transaction_last_revision bigint NOT NULL,
        previous_hash bytea NOT NULL,
        hash bytea NOT NULL
    )
    """,
    # What makes a request_id count once: a repeated request fails here and is answered from the log.
    """
    CREATE UNIQUE INDEX changes_request_key ON changes (actor_id, method, request_id)
        WHERE request_id <> '' AND first_of_transaction
    """,
    "CREATE INDEX changes_resource ON changes (resource text_pattern_ops, revision)",
    # `related` comes as one text a change, names separated by newlines: arrays of arrays must not be ragged.
    # Length-prefixed, so that no two contents give the same bytes; -1 stands for an absent value.
    """
    CREATE FUNCTION log_part(value bytea) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE
        RETURN int4send(coalesce(octet_length(value), -1)) || coalesce(value, ''::bytea)
    """,
    """
    CREATE FUNCTION append_changes(
        ids uuid[], types text[], resources text[], related text[], namespaces text[], befores bytea[], afters bytea[],
        actor_id text, actor_kind text, request_id text, request_hash bytea, method text, trace_parent text
    ) RETURNS bigint LANGUAGE plpgsql AS $$
    DECLARE
        count bigint := cardinality(ids);
        last_revision bigint;
        current bigint;
        previous bytea;
        next bytea;
        moment timestamptz;
    BEGIN
        UPDATE log_head SET revision = revision + count RETURNING revision, hash INTO last_revision, previous;
        moment := clock_timestamp();
        FOR i IN 1..count LOOP
            current := last_revision - count + i;
            next := sha256(
                previous || int8send(current) || uuid_send(ids[i])
                || int8send((extract(epoch FROM moment) * 1000000)::bigint)
                || log_part(convert_to(types[i], 'UTF8')) || log_part(convert_to(resources[i], 'UTF8'))
                || log_part(convert_to(related[i], 'UTF8'))
                || log_part(convert_to(namespaces[i], 'UTF8'))
                || log_part(convert_to(actor_id, 'UTF8')) || log_part(convert_to(actor_kind, 'UTF8'))
                || log_part(convert_to(request_id, 'UTF8')) || log_part(request_hash)
                || log_part(convert_to(method, 'UTF8')) || log_part(convert_to(trace_parent, 'UTF8'))
                || log_part(befores[i]) || log_part(afters[i])
            );
            INSERT INTO changes VALUES (
                current, ids[i], types[i], resources[i], string_to_array(related[i], E'\\n'), namespaces[i],
                actor_id, actor_kind, moment,
                request_id, request_hash, method, trace_parent, befores[i], afters[i],
                i = 1, last_revision, previous, next
            );
            previous := next;
        END LOOP;
        UPDATE log_head SET hash = previous;
        RETURN last_revision;
    END
    $$
    """,
)

DROP: tuple[str, ...] = (
    "DROP FUNCTION append_changes",
    "DROP FUNCTION log_part",
    "DROP TABLE changes",
    "DROP TABLE log_published",
    "DROP TABLE log_head",
)

APPEND_ONLY_TABLES: tuple[str, ...] = ("changes",)
"""Tables that a service's role may insert into and read, and nothing else."""
