"""MySQL, the truth: campaigns, their audiences, shards and the ledger of facts.

Everything here speaks SQL that MySQL 8, Aurora and MariaDB 10.6+ accept, and all of that SQL
stands in `sql.py`. Nothing here decides when to send; it only makes decisions durable.
"""
