"""Signing of messages (DKIM, RFC 6376), by RSA and by Ed25519 (RFC 8463).

`keys` reads private keys and makes signatures, `keyring` knows which keys sign for whom,
`canonical` is relaxed canonicalisation, and `signer` puts the header field together. A private
key never leaves `keys`: it is in no text form, log line or error. Nothing in here looks into DNS.
"""

from campaignd.dkim.keyring import KeyRing, load_keys
from campaignd.dkim.keys import SigningKey
from campaignd.dkim.signer import Signer

__all__ = ["KeyRing", "Signer", "SigningKey", "load_keys"]
