"""Lists of addresses not to write to, as people hand them in and get them back.

`target` says what can be suppressed, `rows` reads a file of it, `load` brings that into the store,
`export` writes it out again. A row that cannot be read is rejected with its line and a reason; it
never stops the rest.
"""
