"""Statements about campaigns."""

from typing import Final

_SELECT: Final = """
SELECT c.id, c.account, c.enqueue_key, c.name, c.state, c.reason,
    c.total, c.input_rows, c.invalid_rows, c.duplicate_rows,
    UNIX_TIMESTAMP(c.created_at), UNIX_TIMESTAMP(c.starts_at),
    UNIX_TIMESTAMP(c.started_at), UNIX_TIMESTAMP(c.finished_at)
"""

CREATE: Final = """
INSERT INTO campaigns
    (account, enqueue_key, name, state, spec, fields, fingerprint, created_at)
VALUES (%s, %s, %s, 'loading', %s, '[]', %s, FROM_UNIXTIME(%s))
"""

GET: Final = _SELECT + "FROM campaigns c WHERE c.id = %s"

BY_KEY: Final = (
    _SELECT
    + """, c.fingerprint, c.fields FROM campaigns c
WHERE c.account = %s AND c.enqueue_key = %s
"""
)

LIST: Final = (
    _SELECT
    + """FROM campaigns c
WHERE c.id < %s AND (%s IS NULL OR c.account = %s) AND (%s IS NULL OR c.state = %s)
ORDER BY c.id DESC
LIMIT %s
"""
)

SUMMARIES: Final = (
    _SELECT
    + """,
    COALESCE(SUM(s.deferred), 0), COALESCE(SUM(s.accepted), 0), COALESCE(SUM(s.rejected), 0),
    COALESCE(SUM(s.expired), 0), COALESCE(SUM(s.suppressed), 0), COALESCE(SUM(s.`unknown`), 0),
    COALESCE(SUM(s.maybe_duplicates), 0)
FROM campaigns c LEFT JOIN shards s ON s.campaign_id = c.id
WHERE c.id IN %s
GROUP BY c.id
"""
)

# Assignments run from left to right, so `total` and `enqueue_key` still see the old state: an
# audience that was not complete when its campaign is cancelled is about to be deleted.
CANCEL: Final = """
UPDATE campaigns SET
    total = IF(state = 'loading', 0, total),
    enqueue_key = IF(state = 'loading', NULL, enqueue_key),
    finished_at = FROM_UNIXTIME(%s), reason = %s, state = 'cancelled'
WHERE id = %s AND state IN %s
"""

START: Final = """
UPDATE campaigns SET started_at = FROM_UNIXTIME(%s), reason = %s, state = 'running'
WHERE id = %s AND state IN %s
"""

SET_STATE: Final = "UPDATE campaigns SET reason = %s, state = %s WHERE id = %s AND state IN %s"

DUE: Final = """
UPDATE campaigns SET started_at = FROM_UNIXTIME(%s), state = 'running'
WHERE state = 'scheduled' AND starts_at <= FROM_UNIXTIME(%s)
"""

NEXT_START: Final = """
SELECT UNIX_TIMESTAMP(MIN(starts_at)) FROM campaigns WHERE state = 'scheduled'
"""

DELETE: Final = "DELETE FROM campaigns WHERE id = %s AND state = 'cancelled' AND total = 0"
