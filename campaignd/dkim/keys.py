"""Private keys that sign, from PEM files.

A key is checked when it is read, so that none fails at its first message. It must never show the
private part of a key, or anything of its file, to anybody.
"""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from campaignd.config import Dkim
from campaignd.errors import ConfigError
from campaignd.keyfile import read_key_file

MIN_RSA_BITS: Final = 2_048
"""Signers should use no less (RFC 8301, 3.2); Gmail, Yahoo and Outlook ask for it."""

MAX_RSA_BITS: Final = 4_096
"""Verifiers need not know longer ones (RFC 8301, 3.2)."""

RSA_SHA256: Final = "rsa-sha256"
ED25519_SHA256: Final = "ed25519-sha256"

_PADDING: Final = PKCS1v15()
_HASH: Final = hashes.SHA256()
_PEM: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")
_HOW: Final = "make one with openssl genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:2048"
_WRONG: Final = {
    b"CERTIFICATE": "a certificate, not a private key",
    b"PUBLIC KEY": "a public key: name the file of the private one",
    b"RSA PUBLIC KEY": "a public key: name the file of the private one",
    b"OPENSSH PRIVATE KEY": f"a key for SSH: {_HOW}",
    b"ENCRYPTED PRIVATE KEY": "encrypted: decrypt it with openssl pkey",
}


class SigningKey:
    """A private key and the place of its public part, SELECTOR._domainkey.DOMAIN."""

    __slots__ = ("_private", "account", "algorithm", "bits", "domain", "public", "selector")

    def __init__(
        self,
        private: RSAPrivateKey | Ed25519PrivateKey,
        *,
        domain: str,
        selector: str,
        account: str | None = None,
    ) -> None:
        self._private = private
        self.domain = domain.lower()
        self.selector = selector.lower()
        self.account = account
        """Which alone signs with it; None for all."""
        if isinstance(private, RSAPrivateKey):
            self.algorithm = RSA_SHA256
            self.bits = private.key_size
            octets = private.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        else:
            self.algorithm = ED25519_SHA256
            self.bits = 256
            octets = private.public_key().public_bytes_raw()
        self.public = b64encode(octets).decode("ascii")
        """As the tag `p` has it (RFC 6376, 3.6.1; RFC 8463, 4.2)."""

    def __repr__(self) -> str:
        return f"<SigningKey {self.name} {self.algorithm}>"

    @property
    def name(self) -> str:
        """Where DNS has its public part."""
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def record(self) -> str:
        """What DNS has there, as one text."""
        kind = self.algorithm.partition("-")[0]
        return f"v=DKIM1; k={kind}; p={self.public}"

    def sign(self, data: bytes) -> bytes:
        """The signature of `data`, canonical header fields. Other threads run meanwhile."""
        if isinstance(self._private, RSAPrivateKey):
            return self._private.sign(data, _PADDING, _HASH)
        return self._private.sign(sha256(data).digest())  # RFC 8463, 3


def load_key(settings: Dkim, path: Path) -> SigningKey:
    """Reads the key file `path` of a [[dkim]] table. Raises ConfigError, one line that says what
    to change."""
    pem = read_key_file(path)
    where = f"key file {path}"
    private = _parse(pem, where)
    if isinstance(private, RSAPrivateKey):
        if private.key_size < MIN_RSA_BITS:
            raise ConfigError(
                f"{where}: an RSA key of {private.key_size} bits is too short: {_HOW}"
            )
        if private.key_size > MAX_RSA_BITS:
            raise ConfigError(
                f"{where}: receivers may not take an RSA key of {private.key_size} bits: {_HOW}"
            )
    elif not isinstance(private, Ed25519PrivateKey):
        raise ConfigError(f"{where}: neither an RSA nor an Ed25519 key: {_HOW}")
    return SigningKey(
        private, domain=settings.domain, selector=settings.selector, account=settings.account
    )


def _parse(pem: bytes, where: str) -> object:
    found = _PEM.search(pem)
    if found is None:
        raise ConfigError(f"{where}: not a PEM file: {_HOW}")
    if wrong := _WRONG.get(found[1]):
        raise ConfigError(f"{where}: {wrong}")
    try:
        return serialization.load_pem_private_key(pem, password=None)
    except TypeError:  # it has a password
        raise ConfigError(f"{where}: {_WRONG[b'ENCRYPTED PRIVATE KEY']}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError(f"{where}: damaged, or of a kind that is not known: {_HOW}") from None
