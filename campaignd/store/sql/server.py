"""Statements about the server itself."""

from typing import Final

ABOUT: Final = "SELECT VERSION(), @@innodb_flush_log_at_trx_commit, @@read_only"
