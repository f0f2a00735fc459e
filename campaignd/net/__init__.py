"""Brings jobs to relays over the network.

`connect` makes a connection, `session` runs one over the sans-IO machine of `campaignd.smtp`,
`lane` is a relay with its sessions, health and rate, and `pool` decides over all of them.
Everything that may be decided without I/O is decided elsewhere; foreign exceptions stop here.
"""
