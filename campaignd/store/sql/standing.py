"""Statements that say how much work campaigns have left."""

from typing import Final

# due_at of a shard that a host holds stays what it was when the host took it: not later than now.
LEFT: Final = """
SELECT campaign_id, COUNT(*), SUM(due_at <= FROM_UNIXTIME(%s)), UNIX_TIMESTAMP(MIN(due_at))
FROM shards
WHERE campaign_id IN %s AND finished = 0
GROUP BY campaign_id
"""
