"""SMTP as a client speaks it, without I/O: bytes and jobs go in, bytes and verdicts come out.

`reply` reads what a server says, `command` builds what we say, `machine` pairs the two,
`classify` decides what an answer means for the message, the session and the relay. Nothing in
here may import asyncio, socket or ssl, or look at a clock: `campaignd.net` does that.
"""
