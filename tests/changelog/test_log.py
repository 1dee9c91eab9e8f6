"""Revisions, hashes and idempotency: what one transaction leaves in the log."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from greenroomd.platform.changelog.chain import first_broken_link
from greenroomd.platform.changelog.log import ChangeLog, Recorded
from greenroomd.platform.context import Call, Principal, enter_call
from greenroomd.platform.database import Database
from support.notes import Note, encode, write

ADMIN = Principal("admin", "user", ("*",))


async def test_revisions_start_at_one_and_have_no_gaps_under_concurrent_writers(log: ChangeLog) -> None:
    await asyncio.gather(*(write(log, f"a{n}", f"b{n}") for n in range(40)))
    changes = await log.read_after(0, 1000)
    assert [change.revision for change in changes] == list(range(1, 81))
    assert [change.time for change in changes] == sorted(change.time for change in changes)
    assert await log.head() == 80


async def test_a_rolled_back_transaction_leaves_neither_rows_nor_a_gap(log: ChangeLog) -> None:
    await write(log, "first")
    with pytest.raises(RuntimeError, match="changed its mind"):
        async with log.write() as transaction:
            transaction.record(Recorded("namespace.created", "namespaces/x", "x", Note("namespaces/x", "")))
            await transaction.append()
            raise RuntimeError("changed its mind")
    assert await write(log, "second") == 2


async def test_a_transaction_without_changes_makes_no_revision(log: ChangeLog) -> None:
    async with log.write() as transaction:
        await transaction.connection.execute(text("SELECT 1"))
    assert transaction.revision == 0
    assert await log.head() == 0


async def test_pages_never_cut_a_transaction(log: ChangeLog) -> None:
    await write(log, "1")
    await write(log, "2", "3", "4")
    assert [change.revision for change in await log.read_after(0, limit=2)] == [1, 2, 3, 4]


async def test_the_chain_verifies_and_matches_what_sql_hashed(log: ChangeLog) -> None:
    enter_call(Call("/x/Y", request_id="r1", request_hash=b"\x01" * 32, trace_parent="00-ab-cd-01", principal=ADMIN))
    await write(log, "ä", "b")
    enter_call(Call("/x/Y", principal=ADMIN))
    async with log.write() as transaction:
        transaction.record(
            Recorded("model.deleted", "namespaces/a/models/b", "a", None, Note("b", "c"), ("namespaces/a", "other"))
        )
    assert first_broken_link(await log.read_after(0)) is None


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE changes SET actor_id = 'somebody' WHERE revision = 2",
        "UPDATE changes SET after = 'x' WHERE revision = 2",
        "UPDATE changes SET time = time + interval '1 microsecond' WHERE revision = 2",
        "UPDATE changes SET related = ARRAY['x'] WHERE revision = 2",
        "DELETE FROM changes WHERE revision = 2",
        "UPDATE changes SET revision = 2 + 3 - revision + 100 WHERE revision IN (2, 3)",
    ],
)
async def test_an_altered_removed_or_reordered_entry_breaks_the_chain(
    log: ChangeLog, database: Database, tampering: str
) -> None:
    for number in range(4):
        await write(log, str(number))
    async with database.engine.connect() as connection:
        await connection.execute(text("SET ROLE NONE"))
        await connection.execute(text(tampering))
        if "100" in tampering:
            await connection.execute(text("UPDATE changes SET revision = revision - 100 WHERE revision > 100"))
        await connection.commit()
    assert first_broken_link(await log.read_after(0)) in (2, 3)


@pytest.mark.parametrize("statement", ["UPDATE changes SET type = 'x'", "DELETE FROM changes", "DROP TABLE changes"])
async def test_the_services_own_role_cannot_rewrite_its_log(log: ChangeLog, database: Database, statement: str) -> None:
    await write(log, "one")
    with pytest.raises(DBAPIError, match=r"permission denied|must be owner"):
        async with database.transaction() as connection:
            await connection.execute(text(statement))


async def test_a_services_role_cannot_read_another_services_schema(database: Database) -> None:
    with pytest.raises(DBAPIError, match="permission denied for schema lifecycle"):
        async with database.read() as connection:
            await connection.execute(text("SELECT * FROM lifecycle.changes"))


async def test_a_repeated_request_id_is_refused_and_what_it_did_can_be_found(log: ChangeLog) -> None:
    enter_call(Call("/x/Create", request_id="r1", request_hash=b"h" * 32, principal=ADMIN))
    revision = await write(log, "first", "second")
    with pytest.raises(IntegrityError, match="changes_request_key"):
        await write(log, "again")
    found = await log.find_request("admin", "/x/Create", "r1")
    assert found is not None
    assert (found.revision, found.request_hash) == (revision, b"h" * 32)
    assert found.after == encode(Note("namespaces/demo", "first"))
    assert await log.find_request("somebody", "/x/Create", "r1") is None
    assert await log.head() == 2


async def test_of_twenty_racing_repeats_exactly_one_takes_effect(log: ChangeLog) -> None:
    enter_call(Call("/x/Create", request_id="race", request_hash=b"h" * 32, principal=ADMIN))
    outcomes = await asyncio.gather(*(write(log, str(n)) for n in range(20)), return_exceptions=True)
    assert sum(isinstance(outcome, int) for outcome in outcomes) == 1
    assert all(isinstance(outcome, int | IntegrityError) for outcome in outcomes)
    assert await log.head() == 1
