"""Redis: leases on shards, heartbeats of hosts and wake-ups between them.

Only what may be lost at any moment. A lease reduces contention and bounds how long a holder
sends; what makes a takeover safe is the epoch in MySQL.
"""
