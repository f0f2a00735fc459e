"""Statements that bring the rows of a user's query into an audience, on the server.

The patterns are the same in MariaDB's PCRE and MySQL's ICU: possessive, with every sign that
means something in a set of either escaped. `\\z` is the very end; `$` would let a line feed by.
"""

from typing import Final

_ATEXT: Final = r"[A-Za-z0-9!#\$%\&\'\*\+/=\?\^_`\{\|\}~\-]"

PLAIN: Final = (
    rf"(?-i)\A{_ATEXT}++(?:\.{_ATEXT}++)*+"
    r"@(?:[A-Za-z0-9]++(?:-++[A-Za-z0-9]++)*+\.)++[A-Za-z]{2,}+\z"
)
"""`audience.address` has the same pattern and the reasons for it."""

PLAIN_OCTETS: Final = 64

_EMAIL: Final = "CONVERT(LEFT({email}, 400) USING utf8mb4) COLLATE utf8mb4_bin"
_IS_PLAIN: Final = "LENGTH(address) <= {octets} AND address REGEXP '{plain}' AND LOCATE('xn--', LOWER(address)) = 0"
_STORED: Final = (
    "CONCAT(SUBSTRING_INDEX(address, '@', 1), '@', LOWER(SUBSTRING_INDEX(address, '@', -1)))"
)

COLUMNS: Final = "SELECT * FROM (\n{query}\n) AS q LIMIT 0"

# A key that is NULL marks an address that this server cannot judge.
CREATE: Final = """
CREATE TEMPORARY TABLE staged (
    n INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    address VARCHAR(400) NULL,
    address_key BINARY(16) NULL,
    fields MEDIUMTEXT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
"""
