"""Statements that read a user's query, so that its rows can be stored as they are.

Regular expressions as MariaDB 10.6 (PCRE) and MySQL 8 (ICU) both have them.
"""

from typing import Final

COLUMNS: Final = "SELECT * FROM (\n{query}\n) AS q LIMIT 0"

# The server waits for a reader that waits for the same server's disks.
PATIENCE: Final = "SET net_write_timeout = 3600"

# A row is one text: of an address that is stored as it is the key and the address, of any other the
# address alone; then the fields, quoted. What is cut off is longer than allowed.
ROWS: Final = """
SELECT CONCAT(
    CASE WHEN LENGTH(address) <= {octets} AND address REGEXP '{normal}'
        THEN CONCAT('x\\'', MD5(address), '\\',', QUOTE(address))
        ELSE QUOTE(LEFT(address, {address_most}))
    END, ',', LEFT(QUOTE(fields), {fields_most})
)
FROM (
    SELECT CONVERT({email} USING utf8mb4) COLLATE utf8mb4_bin AS address,
        JSON_ARRAY({values}) AS fields
    FROM (
{query}
    ) AS q
) AS rows_read
"""
