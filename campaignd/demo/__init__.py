"""The demo: a campaign from CSV to ledger between private servers, and the proof that the
ledger and the receiver agree.

`content` makes the campaign and its audience, `stage` runs the servers and the real commands,
`reconcile` compares what both sides say. It must never send to anything but its own sink.
"""
