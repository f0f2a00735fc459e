"""The HTTP endpoint for people and providers: one-click unsubscribes and notices of mail's fate.

Everybody may speak to it, so nothing it reads is believed before a key says so, and everything it
keeps has a bound. It never shows an address, and never logs a link.
"""
