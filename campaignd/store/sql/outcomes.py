"""Statements that read the ledger with the recipients' addresses."""

from typing import Final

PACK: Final = 64
"""Recipients whose attempts are packed into one row: see sql.ledger.WINDOW_PACK."""

SHARDS: Final = "SELECT shard, size FROM shards WHERE campaign_id = %s ORDER BY shard"

ATTEMPTS: Final = f"""
SELECT CONCAT('[', GROUP_CONCAT(
    '[', l.seq, ',', JSON_QUOTE(r.address), ',', l.attempt, ',', l.outcome, ',',
    l.maybe_duplicate, ',', l.code, ',', JSON_QUOTE(l.enhanced), ',',
    UNIX_TIMESTAMP(l.at), ',', JSON_QUOTE(l.host), ',', JSON_QUOTE(l.relay), ',',
    JSON_QUOTE(l.response), ']'
    ORDER BY l.seq, l.attempt SEPARATOR ','), ']')
FROM ledger l
JOIN recipients r
    ON r.campaign_id = l.campaign_id AND r.shard = l.shard AND r.seq = l.seq
WHERE l.campaign_id = %s AND l.shard = %s AND l.seq > %s AND l.seq <= %s
    AND (%s IS NULL OR l.outcome = %s)
GROUP BY l.seq DIV {PACK}
"""  # noqa: S608  # a number of ours

PLACE: Final = """
SELECT shard, seq FROM recipients WHERE campaign_id = %s AND address_key = %s
"""
