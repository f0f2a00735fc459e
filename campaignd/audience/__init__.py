"""From rows of a file or a query to a frozen, numbered audience in MySQL.

`address` says what an address is, `rows` and `jsonl` read what people hand in, `prepare` makes
recipients of it, `load` brings them into the store. Reading is sans-IO: bytes in, rows out. A bad
row is rejected with its line and a reason; it never stops the rest.
"""
