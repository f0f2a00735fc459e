"""Notices that come after a message was accepted: bounces, complaints, unsubscribes.

`campaignd receive` takes them from mail, `campaignd web` from links and providers. Both end in
`take`, which is all that they need of the store.
"""

from campaignd.store.feedback import Event, Feedback, Taken, take

__all__ = ["Event", "Feedback", "Taken", "take"]
