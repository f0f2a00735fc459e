"""Statements that find and delete what is old.

Rows go by ranges of their primary key, so that each range is read once: what was deleted and is
not yet gone from the index would be passed over again and again by `LIMIT`.
"""

from typing import Final

_ENDED: Final = """
FROM campaigns
WHERE state IN ('finished', 'cancelled') AND finished_at < FROM_UNIXTIME(%s)
    AND (%s IS NULL OR account = %s)
"""

DUE: Final = "SELECT COUNT(*), COALESCE(SUM(total), 0)" + _ENDED

PAGE: Final = (
    "SELECT id, account, name, total, UNIX_TIMESTAMP(finished_at)"
    + _ENDED
    + "AND id > %s ORDER BY id LIMIT %s"
)

MARK: Final = """
UPDATE campaigns SET reason = %s
WHERE id = %s AND state IN ('finished', 'cancelled') AND finished_at < FROM_UNIXTIME(%s)
"""

SHARDS: Final = "SELECT shard, size FROM shards WHERE campaign_id = %s ORDER BY shard"

_RANGE: Final = "WHERE campaign_id = %s AND shard = %s AND seq > %s AND seq <= %s"

DELETE_RECIPIENTS: Final = f"DELETE FROM recipients {_RANGE}"  # noqa: S608  # of ours

DELETE_ABOUT: Final = tuple(
    f"DELETE FROM {table} {_RANGE}"  # noqa: S608  # of ours
    for table in ("events", "ledger", "retries")
)
"""What is known about recipients. In the order in which a daemon writes: the last range of a
campaign locks the first row of the next one as well, and so the two wait and meet no deadlock."""

DELETE_SHARDS: Final = "DELETE FROM shards WHERE campaign_id = %s"

DELETE_CAMPAIGN: Final = "DELETE FROM campaigns WHERE id = %s"

OLD_FAILURES: Final = """
SELECT COUNT(*) FROM soft_failures
WHERE at < FROM_UNIXTIME(%s) AND (%s IS NULL OR account = %s)
"""

ACCOUNTS: Final = """
SELECT DISTINCT account FROM soft_failures WHERE %s IS NULL OR account = %s
"""

# The last address of the next page. Nothing is locked.
LAST_KEY: Final = """
SELECT MAX(address_key) FROM (
    SELECT address_key FROM soft_failures WHERE account = %s AND address_key > %s
    ORDER BY address_key LIMIT %s
) page
"""

DELETE_FAILURES: Final = """
DELETE FROM soft_failures
WHERE account = %s AND address_key > %s AND address_key <= %s AND at < FROM_UNIXTIME(%s)
"""
