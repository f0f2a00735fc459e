"""Which text is taken for a single SELECT."""

from __future__ import annotations

import pytest

from campaignd.audience.query import single_select
from campaignd.errors import UsageError


@pytest.mark.parametrize(
    "text",
    [
        "SELECT email FROM people",
        "select email from people ;",
        "  WITH x AS (SELECT 1) SELECT * FROM x\n",
        "(SELECT 1) UNION (SELECT 2)",
        "/* all of them */ SELECT ';', \"a;b\", `c;d`, 'it''s', 'a\\';' FROM t",
        "SELECT 1 -- a comment; with a semicolon",
        "SELECT 1 # ) (\n",
        "SELECT 2--1",
        "SELECT '(' AS email",
    ],
)
def test_taken(text: str) -> None:
    assert single_select(text) == text.strip().removesuffix(";").strip()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "takes a SELECT"),
        ("DELETE FROM people", "takes a SELECT"),
        ("SELECTED", "takes a SELECT"),
        ("-- SELECT\nDROP TABLE people", "takes a SELECT"),
        ("SELECT 1; DROP TABLE people", "single SELECT"),
        ("SELECT 1; -- end", "leave out the semicolon"),
        ("SELECT 1) AS q; DROP TABLE people; --", "semicolon"),
        ("SELECT 1) AS q, (SELECT 2", "parentheses"),
        ("SELECT (1", "parentheses"),
        ("SELECT 'a", "quote"),
        ('SELECT "a\\"', "quote"),
        ("SELECT `a", "quote"),
        ("SELECT 1 /*!50000 ; DROP TABLE people */", "server runs"),
        ("SELECT 1 /*M! ; DROP TABLE people */", "server runs"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        single_select(text)
