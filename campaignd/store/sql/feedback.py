"""Statements about what is learnt of a message after its outcome."""

from typing import Final

# The recipient's lock makes notices about one take turns: without it, those that find the event
# there would wait for each other in order to change it. No row of campaigns is locked.
RECIPIENT: Final = """
SELECT (SELECT account FROM campaigns c WHERE c.id = r.campaign_id), r.address
FROM recipients r
WHERE r.campaign_id = %s AND r.shard = %s AND r.seq = %s
FOR UPDATE
"""

CAMPAIGN: Final = "SELECT 1 FROM campaigns WHERE id = %s"

ADD: Final = """
INSERT INTO events
    (campaign_id, shard, seq, event, permanent, at, recorded_at, source, enhanced, detail)
VALUES (%s, %s, %s, %s, %s, FROM_UNIXTIME(%s), FROM_UNIXTIME(%s), %s, %s, %s)
"""

# A failure for good replaces one that was not.
WORSEN: Final = """
UPDATE events
SET permanent = 1, at = FROM_UNIXTIME(%s), recorded_at = FROM_UNIXTIME(%s),
    source = %s, enhanced = %s, detail = %s
WHERE campaign_id = %s AND shard = %s AND seq = %s AND event = %s AND permanent = 0
"""

COUNTS: Final = """
SELECT campaign_id, event, COUNT(*) FROM events WHERE campaign_id IN %s
GROUP BY campaign_id, event
"""

WINDOW: Final = """
SELECT seq, event, UNIX_TIMESTAMP(at), source, enhanced, detail FROM events
WHERE campaign_id = %s AND shard = %s AND seq > %s AND seq <= %s
ORDER BY seq, event
"""
