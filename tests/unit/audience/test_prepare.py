"""Rows become recipients: checked, distinct, encoded."""

from __future__ import annotations

import orjson

from campaignd.audience.prepare import DUPLICATE, FIELDS_TOO_LONG, prepare
from campaignd.audience.rows import Reject, Rows


def test_prepare() -> None:
    earlier = Reject(3, "", "not valid UTF-8")
    rows = Rows(
        [2, 4, 5, 6, 7],
        ["a@B.de", "nonsense", "a@b.de", "A@b.de", "c@b.de"],
        [["x", 1], [], ["y"], [None], ["z" * 40_000]],
        [earlier],
    )
    prepared = prepare(rows)
    found = [
        (line, mailbox, orjson.loads(v)) for line, _, mailbox, v in prepared.recipients.values()
    ]
    assert found == [(2, "a@b.de", ["x", 1]), (6, "A@b.de", [None])]
    assert all(key == recipient[1] for key, recipient in prepared.recipients.items())
    assert prepared.duplicates == [Reject(5, "a@b.de", DUPLICATE)]
    assert prepared.rejects == [
        earlier,
        Reject(4, "nonsense", "an address needs an @"),
        Reject(7, "c@b.de", FIELDS_TOO_LONG),
    ]
    assert prepared.rows == 6


def test_rows_after() -> None:
    rows = Rows(
        range(2, 5), ["a", "b", "c"], [[1], [2], [3]], [Reject(6, "", "bad"), Reject(9, "", "bad")]
    )
    assert rows.size == 5
    assert rows.line_of(0) == 2
    assert rows.line_of(3) == 6
    assert rows.after(0) == rows
    assert rows.after(2) == Rows(range(4, 5), ["c"], [[3]], rows.rejects)
    assert rows.after(4).rejects == [Reject(9, "", "bad")]
    assert rows.after(4).size == 1
    assert rows.after(5).size == 0


def test_rows_after_with_rejects_in_between() -> None:
    rows = Rows([2, 5], ["a", "d"], [[], []], [Reject(3, "", "bad"), Reject(4, "", "bad")])
    rest = rows.after(2)
    assert (list(rest.lines), rest.emails, rest.rejects) == ([5], ["d"], [Reject(4, "", "bad")])
