"""Providers' notices of bounces, complaints and unsubscribes.

A provider's module proves that a request is the provider's and says what it means, in `Notice`s;
it records nothing. Who is meant is told by a token of ours that came along with the message, never
by an address.
"""
