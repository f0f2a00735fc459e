"""Statements about runs of soft failures."""

from typing import Final

ADD: Final = """
INSERT INTO soft_failures (account, address_key, campaign_id, at) VALUES {rows}
ON DUPLICATE KEY UPDATE campaign_id = VALUES(campaign_id)
"""

# Addresses that have failed so often, for so long (seconds).
LONG_RUNS: Final = """
SELECT address_key FROM soft_failures
WHERE account = %s AND address_key IN %s
GROUP BY address_key
HAVING COUNT(*) >= %s AND TIMESTAMPDIFF(SECOND, MIN(at), MAX(at)) >= %s
"""

# When something was last accepted for the address since its run began. A campaign that failed in
# the end does not count, though a relay may have taken its message before.
ACCEPTED: Final = """
SELECT UNIX_TIMESTAMP(MAX(l.at))
FROM campaigns c
JOIN recipients r ON r.campaign_id = c.id AND r.address_key = UNHEX(MD5(%s))
JOIN ledger l
    ON l.campaign_id = r.campaign_id AND l.shard = r.shard AND l.seq = r.seq AND l.outcome = 2
JOIN (
    SELECT MIN(at) AS began FROM soft_failures WHERE account = %s AND address_key = %s
) run ON l.at >= run.began
WHERE c.account = %s AND (c.finished_at IS NULL OR c.finished_at >= run.began)
    AND NOT EXISTS (
        SELECT 1 FROM soft_failures f
        WHERE f.account = c.account AND f.address_key = %s AND f.campaign_id = c.id)
"""

# The run up to this moment is over.
FORGET: Final = """
DELETE FROM soft_failures WHERE account = %s AND address_key = %s AND at <= FROM_UNIXTIME(%s)
"""

END: Final = "DELETE FROM soft_failures WHERE account = %s AND address_key = %s"
