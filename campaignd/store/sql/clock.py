"""The statement that asks the server for the time."""

from typing import Final

NOW: Final = "SELECT UNIX_TIMESTAMP(NOW(6))"
