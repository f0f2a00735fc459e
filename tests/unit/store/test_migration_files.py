"""The migration files, and how they are cut into statements."""

from __future__ import annotations

from campaignd.store import schema


def test_numbered_without_gaps_and_each_has_statements() -> None:
    known = schema.migrations()
    assert [migration.version for migration in known] == list(range(1, len(known) + 1))
    assert all(migration.statements for migration in known)


def test_split() -> None:
    text = (
        "-- a comment; with a semicolon\n"
        "CREATE TABLE a (\n  b INT -- kept\n);\n\nDROP TABLE c ; \nSELECT ';x'"
    )
    assert schema.split(text) == [
        "CREATE TABLE a (\n  b INT -- kept\n)",
        "DROP TABLE c",
        "SELECT ';x'",
    ]
