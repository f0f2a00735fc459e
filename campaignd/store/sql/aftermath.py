"""Statements about bounces and complaints that came later, against what was accepted."""

from typing import Final

REACHED: Final = """
SELECT campaign_id, SUM(accepted) FROM shards WHERE campaign_id IN %s GROUP BY campaign_id
"""

COMPLAINED: Final = """
SELECT %s, COUNT(DISTINCT e.shard, e.seq)
FROM events e
JOIN ledger l
    ON l.campaign_id = e.campaign_id AND l.shard = e.shard AND l.seq = e.seq AND l.outcome = 2
WHERE e.campaign_id = %s AND e.event = 2 AND l.at >= FROM_UNIXTIME(%s)
"""

BOUNCED: Final = """
SELECT %s, SUM(by_domain.recipients), MAX(by_domain.recipients) FROM (
    SELECT COUNT(DISTINCT e.shard, e.seq) AS recipients
    FROM events e
    JOIN ledger l
        ON l.campaign_id = e.campaign_id AND l.shard = e.shard AND l.seq = e.seq
            AND l.outcome = 2 AND l.at >= FROM_UNIXTIME(%s)
    JOIN recipients r
        ON r.campaign_id = e.campaign_id AND r.shard = e.shard AND r.seq = e.seq
    WHERE e.campaign_id = %s AND e.event = 1 AND e.permanent = 1
        AND e.recorded_at >= FROM_UNIXTIME(%s)
    GROUP BY SUBSTRING_INDEX(r.address, '@', -1)
) by_domain
"""
