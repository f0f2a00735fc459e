"""Statements about the version of the schema."""

from typing import Final

LOCK: Final = "SELECT GET_LOCK(CONCAT('campaignd-migrate-', SHA1(DATABASE())), %s)"

UNLOCK: Final = "SELECT RELEASE_LOCK(CONCAT('campaignd-migrate-', SHA1(DATABASE())))"

EXISTS: Final = """
SELECT COUNT(*) FROM information_schema.tables
WHERE table_schema = DATABASE() AND table_name = 'schema_version'
"""

# `statements` counts those of the file that have been applied; `complete` says that all have.
CREATE: Final = """
CREATE TABLE schema_version (
    version INT UNSIGNED NOT NULL PRIMARY KEY,
    statements INT UNSIGNED NOT NULL,
    complete TINYINT UNSIGNED NOT NULL
) ENGINE=InnoDB
"""

APPLIED: Final = "SELECT version, statements, complete FROM schema_version ORDER BY version"

BEGIN: Final = "INSERT INTO schema_version (version, statements, complete) VALUES (%s, 0, 0)"

ADVANCE: Final = "UPDATE schema_version SET statements = %s WHERE version = %s"

COMPLETE: Final = "UPDATE schema_version SET complete = 1 WHERE version = %s"
