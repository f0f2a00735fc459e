"""Keys that all tests of this folder share: making one takes a while."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from campaignd.dkim import SigningKey

DOMAIN = "acme.example"


@pytest.fixture(scope="session")
def rsa_private() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65_537, key_size=2_048)


@pytest.fixture(scope="session")
def rsa(rsa_private: RSAPrivateKey) -> SigningKey:
    return SigningKey(rsa_private, domain=DOMAIN, selector="r1")


@pytest.fixture(scope="session")
def ed25519() -> SigningKey:
    return SigningKey(Ed25519PrivateKey.generate(), domain=DOMAIN, selector="e1")
