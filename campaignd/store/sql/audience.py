"""Statements that load, number and delete audiences.

Rows are written as text, many to a statement: that is several times faster than placeholders.
`literal.escape` is the only way a value gets into them.
"""

from typing import Final

LOCK: Final = """
SELECT GET_LOCK(CONCAT('campaignd-', SHA1(CONCAT_WS('/', DATABASE(), %s, %s))), %s)
"""

UNLOCK: Final = """
SELECT RELEASE_LOCK(CONCAT('campaignd-', SHA1(CONCAT_WS('/', DATABASE(), %s, %s))))
"""

# Matches only if nobody else has moved the campaign on: neither another enqueue nor `cancel`.
# The row's lock keeps both waiting until the batch is in.
FENCE: Final = """
SELECT 1 FROM campaigns
WHERE id = %s AND state = 'loading'
    AND total = %s AND input_rows = %s AND invalid_rows = %s AND duplicate_rows = %s
FOR UPDATE
"""

ADVANCE: Final = """
UPDATE campaigns SET fields = %s,
    total = %s, input_rows = %s, invalid_rows = %s, duplicate_rows = %s
WHERE id = %s
"""

COMPLETE: Final = """
UPDATE campaigns SET state = %s, starts_at = FROM_UNIXTIME(%s), started_at = FROM_UNIXTIME(%s)
WHERE id = %s AND state = 'loading' AND total = %s AND input_rows = %s
"""

ADD_RECIPIENTS: Final = """
INSERT INTO recipients (campaign_id, shard, seq, address, address_key, fields) VALUES
"""

# For rows whose key, address and fields are one text of literals already.
ADD_TEXTS: Final = b"""
INSERT INTO recipients (campaign_id, shard, seq, address_key, address, fields) VALUES
"""

ADD_SHARD: Final = """
INSERT INTO shards (campaign_id, shard, size, due_at) VALUES (%s, %s, %s, FROM_UNIXTIME(%s))
"""

GROW_SHARD: Final = "UPDATE shards SET size = %s WHERE campaign_id = %s AND shard = %s"

KNOWN_KEYS: Final = """
SELECT address_key FROM recipients WHERE campaign_id = {campaign} AND address_key IN ({keys})
"""

SHARDS: Final = "SELECT shard FROM shards WHERE campaign_id = %s ORDER BY shard"

DELETE_RECIPIENTS: Final = "DELETE FROM recipients WHERE campaign_id = %s AND shard = %s"

DELETE_SHARD: Final = "DELETE FROM shards WHERE campaign_id = %s AND shard = %s"
