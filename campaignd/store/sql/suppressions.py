"""Statements about suppressions, and the parts of a window's that ask for them.

A recipient's row knows its address alone, so the server works out the keys of a window itself:
that costs 1 us a recipient. Each lookup names the whole primary key, with one account; asked for
two accounts at once, both servers would read all of an account's suppressions for each recipient.
"""

from typing import Final

LEAST_LABELS: Final = 2
MOST_LABELS: Final = 8
"""Of a domain that is suppressed with all below it: each number of labels is a lookup."""

_ADDRESS: Final = "UNHEX(MD5(LOWER({address})))"
_SHA256: Final = "UNHEX(LEFT(SHA2(LOWER({address}), 256), 32))"
_DOMAIN: Final = "SUBSTRING_INDEX(r.address, '@', -1)"

_LEVELS: Final = " UNION ALL ".join(
    f"SELECT {labels} AS labels" for labels in range(LEAST_LABELS, MOST_LABELS + 1)
)


def _of_recipient(account: str, kind: int, key: str) -> str:
    return (
        f"(SELECT s.reason FROM suppressions s WHERE s.account = {account} AND s.kind = {kind}"  # noqa: S608
        f" AND s.suppression_key = {key})"
    )


def _above_recipient(account: str) -> str:
    key = f"UNHEX(MD5(SUBSTRING_INDEX({_DOMAIN}, '.', -level.labels)))"
    return (
        f"(SELECT MAX(s.reason) FROM ({_LEVELS}) AS level STRAIGHT_JOIN suppressions s"  # noqa: S608
        f" ON s.account = {account} AND s.kind = 3 AND s.suppression_key = {key})"
    )


def _others(account: str) -> list[str]:
    """The lookups by domain and by hash; where there is nothing to be found they cost little,
    because the server asks once whether there is."""
    lookups = {
        2: _of_recipient(account, 2, f"UNHEX(MD5({_DOMAIN}))"),
        3: _above_recipient(account),
        4: _of_recipient(account, 4, _SHA256.format(address="r.address")),
    }
    return [
        f"IF(EXISTS (SELECT 1 FROM suppressions WHERE account = {account} AND kind = {kind}),"  # noqa: S608
        f" COALESCE({lookup}, 0), 0)"
        for kind, lookup in lookups.items()
    ]


REASON: Final = f"COALESCE({_of_recipient('%s', 1, _ADDRESS.format(address='r.address'))}, 0)"
"""Why the account, which is its one argument, suppresses the address of the recipient `r` as
such; 0 if it does not."""

OTHERS: Final = (
    "EXISTS (SELECT 1 FROM suppressions WHERE account = '')"
    " OR EXISTS (SELECT 1 FROM suppressions WHERE account = %s AND kind > 1)"
)
"""Whether there is any suppression that `REASON` does not know of."""

OTHER_REASON: Final = "GREATEST({})".format(
    ", ".join([REASON.replace("%s", "''"), *_others("''"), *_others("%s")])
)
"""The strongest reason among those; 0 for none."""

OTHER_ARGUMENTS: Final = OTHER_REASON.count("%s")
"""How often it wants the account."""

ADD: Final = """
INSERT INTO suppressions (account, kind, suppression_key, address, reason, note, created_at)
VALUES {rows}
"""

# Assignments run from left to right: `reason` is still the old one while the others are worked out.
STRENGTHEN: Final = """
ON DUPLICATE KEY UPDATE
    note = IF(reason < VALUES(reason), VALUES(note), note),
    created_at = IF(reason < VALUES(reason), VALUES(created_at), created_at),
    address = IF(address = '', VALUES(address), address),
    reason = GREATEST(reason, VALUES(reason))
"""

COUNT: Final = "SELECT COUNT(*) FROM suppressions WHERE account = '{account}' AND ({keys})"

REMOVE: Final = "DELETE FROM suppressions WHERE account = '{account}' AND ({keys})"

MATCHING: Final = """
SELECT account, kind, suppression_key, address, reason, note, UNIX_TIMESTAMP(created_at)
FROM suppressions WHERE account IN ('', '{account}') AND ({keys})
ORDER BY reason DESC, account DESC, kind
"""

PAGE: Final = """
SELECT suppression_key, address, reason, note, UNIX_TIMESTAMP(created_at)
FROM suppressions WHERE account = %s AND kind = %s AND suppression_key > %s
ORDER BY suppression_key LIMIT %s
"""

# The keys of an address whose letters only the server can fold as it folds those of `r.address`.
ADDRESS_KEY: Final = _ADDRESS.format(address="'{text}' COLLATE utf8mb4_bin")
SHA256_KEY: Final = _SHA256.format(address="'{text}' COLLATE utf8mb4_bin")
