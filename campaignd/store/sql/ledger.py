"""Statements about facts, retries and the reading of windows."""

from typing import Final

from campaignd.store.sql import suppressions

WINDOW_PACK: Final = 64
"""Recipients packed into one row of a window. Read a row each, a recipient costs 4.0 us of our
time; packed 1.7 us at 128 recipients a window, 1.0 us at 256 (10,000 rows, local socket)."""

# The second column is the same in every row: the server works it out once.
_RECIPIENTS: Final = f"""
SELECT CONCAT('[', GROUP_CONCAT(
        '[', r.seq, ',', JSON_QUOTE(r.address), ',', r.fields, ',', {suppressions.REASON}, ']'
        ORDER BY r.seq SEPARATOR ','), ']'),
    {suppressions.OTHERS}
FROM recipients r
WHERE {{which}}
GROUP BY r.seq DIV {WINDOW_PACK}
"""  # noqa: S608  # of ours

_SUPPRESSED: Final = f"""
SELECT r.seq, {suppressions.OTHER_REASON} AS reason
FROM recipients r
WHERE {{which}}
HAVING reason > 0
"""  # noqa: S608  # of ours

_WINDOW: Final = "r.campaign_id = %s AND r.shard = %s AND r.seq > %s AND r.seq <= %s"
_PICKED: Final = "r.campaign_id = %s AND r.shard = %s AND r.seq IN %s"

WINDOW: Final = _RECIPIENTS.format(which=_WINDOW)
PICKED: Final = _RECIPIENTS.format(which=_PICKED)

SUPPRESSED_IN_WINDOW: Final = _SUPPRESSED.format(which=_WINDOW)
SUPPRESSED_OF_PICKED: Final = _SUPPRESSED.format(which=_PICKED)

FACTS_ABOVE: Final = """
SELECT DISTINCT seq FROM ledger
WHERE campaign_id = %s AND shard = %s AND seq > %s AND seq <= %s
"""

ADD_FACTS: Final = """
INSERT INTO ledger (campaign_id, shard, seq, attempt, outcome, maybe_duplicate, code, enhanced,
    at, host, relay, response)
VALUES {rows}
ON DUPLICATE KEY UPDATE
    code = IF(outcome = 6, VALUES(code), code),
    enhanced = IF(outcome = 6, VALUES(enhanced), enhanced),
    at = IF(outcome = 6, VALUES(at), at),
    host = IF(outcome = 6, VALUES(host), host),
    relay = IF(outcome = 6, VALUES(relay), relay),
    response = IF(outcome = 6, VALUES(response), response),
    outcome = IF(outcome = 6, VALUES(outcome), outcome)
"""

PUT_RETRIES: Final = """
INSERT INTO retries (campaign_id, shard, seq, attempt, maybe_duplicate, due_at)
VALUES {rows}
ON DUPLICATE KEY UPDATE
    due_at = IF(attempt < VALUES(attempt), VALUES(due_at), due_at),
    claimed_epoch = IF(attempt < VALUES(attempt), 0, claimed_epoch),
    maybe_duplicate = GREATEST(maybe_duplicate, VALUES(maybe_duplicate)),
    attempt = GREATEST(attempt, VALUES(attempt))
"""

LATEST: Final = """
SELECT seq, MAX(attempt), MAX(outcome = 2) FROM ledger
WHERE campaign_id = %s AND shard = %s AND seq IN %s
GROUP BY seq
"""

# Attempts that have a fact.
DROP_MADE: Final = """
DELETE FROM retries
WHERE campaign_id = %s AND shard = %s AND seq IN %s AND EXISTS (
    SELECT 1 FROM ledger l WHERE l.campaign_id = retries.campaign_id AND l.shard = retries.shard
        AND l.seq = retries.seq AND l.attempt >= retries.attempt)
"""

DROP_UNCLAIMED: Final = """
DELETE FROM retries WHERE campaign_id = %s AND shard = %s AND seq IN %s AND claimed_epoch = 0
"""

# Claimed attempts of recipients that an earlier attempt has reached, as came out since.
DROP_NEEDLESS: Final = """
DELETE FROM retries
WHERE campaign_id = %s AND shard = %s AND claimed_epoch = %s AND EXISTS (
    SELECT 1 FROM ledger l WHERE l.campaign_id = retries.campaign_id AND l.shard = retries.shard
        AND l.seq = retries.seq AND l.outcome = 2)
"""

DROP_RETRIES: Final = """
DELETE FROM retries WHERE campaign_id = %s AND shard = %s AND seq IN %s
"""

DUE_RETRIES: Final = """
SELECT seq, attempt, maybe_duplicate FROM retries
WHERE campaign_id = %s AND shard = %s AND claimed_epoch = 0 AND due_at <= FROM_UNIXTIME(%s)
ORDER BY due_at, seq
LIMIT %s
FOR UPDATE
"""

NEXT_RETRY: Final = """
SELECT UNIX_TIMESTAMP(MIN(due_at)) FROM retries
WHERE campaign_id = %s AND shard = %s AND claimed_epoch = 0
"""

FENCE: Final = """
SELECT 1 FROM shards WHERE campaign_id = %s AND shard = %s AND epoch = %s FOR UPDATE
"""

CLAIM_RETRIES: Final = """
UPDATE retries SET claimed_epoch = %s WHERE campaign_id = %s AND shard = %s AND seq IN %s
"""

UNCLAIM_RETRIES: Final = """
UPDATE retries SET claimed_epoch = 0
WHERE campaign_id = %s AND shard = %s AND claimed_epoch = %s
"""

AMBIGUOUS_RETRIES: Final = """
SELECT seq, attempt, maybe_duplicate FROM retries
WHERE campaign_id = %s AND shard = %s AND claimed_epoch NOT IN (0, %s)
"""
