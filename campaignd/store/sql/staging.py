"""Statements that bring the rows of a user's query into an audience, on the server.

They use temporary tables, window functions and regular expressions as MariaDB 10.6 and MySQL 8
both have them; MySQL cannot name a temporary table twice in one statement.
"""

from typing import Final

COLUMNS: Final = "SELECT * FROM (\n{query}\n) AS q LIMIT 0"

DROP: Final = "DROP TEMPORARY TABLE staged"

DROP_DUPLICATES: Final = "DROP TEMPORARY TABLE duplicate"

# A key that is NULL marks an address that this server cannot judge.
CREATE: Final = """
CREATE TEMPORARY TABLE staged (
    n INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    address VARCHAR(400) NULL,
    address_key BINARY(16) NULL,
    fields MEDIUMTEXT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
"""

FILL: Final = """
INSERT INTO staged (address, address_key, fields)
SELECT IF(plain, mailbox, address), IF(plain, UNHEX(MD5(mailbox)), NULL), fields
FROM (
    SELECT address, fields,
        LENGTH(address) <= {octets} AND address REGEXP '{plain}'
            AND LOCATE('xn--', LOWER(address)) = 0 AS plain,
        CONCAT(SUBSTRING_INDEX(address, '@', 1), '@', LOWER(SUBSTRING_INDEX(address, '@', -1)))
            AS mailbox
    FROM (
        SELECT CONVERT(LEFT({email}, 400) USING utf8mb4) COLLATE utf8mb4_bin AS address,
            JSON_ARRAY({values}) AS fields
        FROM (
{query}
        ) AS q
    ) AS rows_read
) AS rows_judged
"""

# In pages: what the server cannot judge, and what is too long.
UNSETTLED: Final = """
SELECT n, address, LENGTH(fields) > %s FROM staged
WHERE n > %s AND (address_key IS NULL OR LENGTH(fields) > %s)
ORDER BY n LIMIT %s
"""

DROP_JUDGED: Final = "DROP TEMPORARY TABLE judged"

CREATE_JUDGED: Final = """
CREATE TEMPORARY TABLE judged (
    n INT UNSIGNED NOT NULL PRIMARY KEY,
    address VARCHAR(400) NOT NULL,
    address_key BINARY(16) NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
"""

ADD_JUDGED: Final = "INSERT INTO judged (n, address, address_key) VALUES "

TAKE_JUDGED: Final = """
UPDATE staged JOIN judged ON judged.n = staged.n
SET staged.address = judged.address, staged.address_key = judged.address_key
"""

REMOVE: Final = "DELETE FROM staged WHERE n IN %s"

FIND_DUPLICATES: Final = """
CREATE TEMPORARY TABLE duplicate (n INT UNSIGNED NOT NULL PRIMARY KEY) ENGINE=InnoDB
SELECT n FROM (
    SELECT n, ROW_NUMBER() OVER (PARTITION BY address_key ORDER BY n) AS place FROM staged
) AS places
WHERE place > 1
"""

DUPLICATES: Final = """
SELECT s.n, s.address FROM duplicate d JOIN staged s ON s.n = d.n
WHERE d.n > %s ORDER BY d.n LIMIT %s
"""

REMOVE_DUPLICATES: Final = "DELETE staged FROM staged JOIN duplicate ON duplicate.n = staged.n"

SAMPLE: Final = "SELECT n, address_key, address, fields FROM staged ORDER BY n LIMIT %s"

# The rows of the next shard, and whether their numbers have gaps.
NEXT: Final = """
SELECT COUNT(*), MAX(n) FROM (SELECT n FROM staged WHERE n > %s ORDER BY n LIMIT %s) AS next_rows
"""

NUMBER_BY_PLACE: Final = "ROW_NUMBER() OVER (ORDER BY n)"
NUMBER_BY_N: Final = "n - {above}"

MOVE: Final = """
INSERT INTO recipients (campaign_id, shard, seq, address, address_key, fields)
SELECT {campaign}, {shard}, {seq}, address, address_key, fields
FROM staged WHERE n > {above} AND n <= {upto}
"""
