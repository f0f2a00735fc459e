"""The demo: a campaign from CSV to ledger between private servers, the proof that the ledger and
the receiver agree, and what follows when recipients answer.

`content` makes the campaign and its audience, `keys` its keys, `stage` runs the servers and the
real commands, `reconcile` compares what both sides say, `answers` plays the recipients' part. It
must never send to anything but its own servers.
"""
