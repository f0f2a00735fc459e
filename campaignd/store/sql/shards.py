"""Statements about shards: taking, claiming, marking and releasing them."""

from typing import Final

OPEN_CAMPAIGNS: Final = """
SELECT c.id, c.account, UNIX_TIMESTAMP(c.started_at)
FROM campaigns c
WHERE c.state = 'running' AND c.id > %s AND EXISTS (
    SELECT 1 FROM shards s
    WHERE s.campaign_id = c.id AND s.finished = 0 AND s.due_at <= FROM_UNIXTIME(%s))
ORDER BY c.id
LIMIT %s
"""

STATES: Final = "SELECT id, state FROM campaigns WHERE id IN %s"

SPEC: Final = """
SELECT account, spec, fields, UNIX_TIMESTAMP(started_at) FROM campaigns WHERE id = %s
"""

OPEN_SHARDS: Final = """
(SELECT campaign_id, shard FROM shards
WHERE campaign_id = %s AND finished = 0 AND due_at <= FROM_UNIXTIME(%s)
ORDER BY due_at, shard
LIMIT %s)
"""

LOCK: Final = """
SELECT size, epoch, clean, finished, claimed, done, ambiguous
FROM shards WHERE campaign_id = %s AND shard = %s FOR UPDATE
"""

TAKE: Final = """
UPDATE shards SET epoch = %s, owner = %s, clean = 0, ambiguous = %s
WHERE campaign_id = %s AND shard = %s
"""

STATE: Final = "SELECT state FROM campaigns WHERE id = %s"

# A claim that is carried out late, after its connection broke and a later one was made, must not
# move the mark back below what has been sent since.
CLAIM: Final = """
UPDATE shards SET claimed = GREATEST(claimed, %s)
WHERE campaign_id = %s AND shard = %s AND epoch = %s
"""

MARKS: Final = """
UPDATE ({rows}) AS mark STRAIGHT_JOIN shards s
    ON s.campaign_id = mark.campaign_id AND s.shard = mark.shard AND s.epoch = mark.epoch
SET s.done = mark.done, s.deferred = s.deferred + mark.deferred,
    s.accepted = s.accepted + mark.accepted, s.rejected = s.rejected + mark.rejected,
    s.expired = s.expired + mark.expired, s.suppressed = s.suppressed + mark.suppressed,
    s.`unknown` = s.`unknown` + mark.unclear
"""

MARK: Final = """
SELECT %s AS campaign_id, %s AS shard, %s AS epoch, %s AS done, %s AS deferred, %s AS accepted,
    %s AS rejected, %s AS expired, %s AS suppressed, %s AS unclear
"""

EPOCHS: Final = (
    "SELECT campaign_id, shard, epoch FROM shards WHERE (campaign_id, shard) IN ({keys})"
)

DONE: Final = """
UPDATE shards SET done = %s WHERE campaign_id = %s AND shard = %s AND epoch = %s
"""

RESOLVED: Final = """
UPDATE shards SET ambiguous = 0 WHERE campaign_id = %s AND shard = %s AND epoch = %s
"""

# The claim is taken back to the last recipient with a fact: what is above was never attempted, and
# would look as if it might have been if the next holder dies before it comes to it.
RELEASE: Final = """
UPDATE shards SET clean = 1, owner = '', done = %s, due_at = FROM_UNIXTIME(%s),
    claimed = GREATEST(done, ambiguous, (SELECT COALESCE(MAX(seq), 0) FROM ledger
        WHERE campaign_id = %s AND shard = %s))
WHERE campaign_id = %s AND shard = %s AND epoch = %s
"""

FINISH: Final = """
UPDATE shards SET finished = 1
WHERE campaign_id = %s AND shard = %s AND epoch = %s AND done = size AND ambiguous = 0
    AND deferred = 0 AND accepted + rejected + expired + suppressed + `unknown` = size
    AND NOT EXISTS (SELECT 1 FROM retries r
        WHERE r.campaign_id = shards.campaign_id AND r.shard = shards.shard)
"""

UNFINISHED: Final = "SELECT 1 FROM shards WHERE campaign_id = %s AND finished = 0 LIMIT 1"

COMPLETE_CAMPAIGNS: Final = """
SELECT c.id FROM campaigns c
WHERE c.state = 'running' AND NOT EXISTS (
    SELECT 1 FROM shards s WHERE s.campaign_id = c.id AND s.finished = 0)
"""

FINISH_CAMPAIGN: Final = """
UPDATE campaigns SET state = 'finished', reason = '', finished_at = FROM_UNIXTIME(%s)
WHERE id = %s AND state = 'running'
    AND NOT EXISTS (SELECT 1 FROM shards s WHERE s.campaign_id = campaigns.id AND s.finished = 0)
    AND total = (SELECT COALESCE(SUM(accepted + rejected + expired + suppressed + `unknown`), 0)
        FROM shards s WHERE s.campaign_id = campaigns.id AND s.deferred = 0)
"""

RECOUNT: Final = """
UPDATE shards, (
    SELECT COALESCE(SUM(state = 1), 0) AS deferred, COALESCE(SUM(state = 2), 0) AS accepted,
        COALESCE(SUM(state = 3), 0) AS rejected, COALESCE(SUM(state = 4), 0) AS expired,
        COALESCE(SUM(state = 5), 0) AS suppressed, COALESCE(SUM(state = 6), 0) AS unclear,
        COALESCE(SUM(marked), 0) AS marked
    FROM (
        SELECT CASE WHEN MAX(l.outcome = 2) = 1 THEN 2 WHEN MAX(r.seq) IS NOT NULL THEN 1
            ELSE MAX(l.attempt * 8 + l.outcome) & 7 END AS state, SUM(l.maybe_duplicate) AS marked
        FROM ledger l LEFT JOIN retries r
            ON r.campaign_id = l.campaign_id AND r.shard = l.shard AND r.seq = l.seq
        WHERE l.campaign_id = %s AND l.shard = %s
        GROUP BY l.seq
    ) AS recipient
) AS counted
SET shards.deferred = counted.deferred, shards.accepted = counted.accepted,
    shards.rejected = counted.rejected, shards.expired = counted.expired,
    shards.suppressed = counted.suppressed, shards.`unknown` = counted.unclear,
    shards.maybe_duplicates = counted.marked
WHERE shards.campaign_id = %s AND shards.shard = %s
"""
