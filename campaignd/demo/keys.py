"""Keys for one demo: as an operator makes them with openssl, and gone with it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from campaignd.config import Dkim

DKIM: Final = (
    Dkim(domain="acme.example", selector="s1", key_file="s1.pem"),
    Dkim(domain="acme.example", selector="e1", key_file="e1.pem"),
)
LINKS: Final = "links.key"

_EXPONENT: Final = 65_537
_BITS: Final = 2_048


def write_keys(folder: Path) -> None:
    """An RSA and an Ed25519 key for DKIM, and one for links; for their owner only."""
    made: list[RSAPrivateKey | Ed25519PrivateKey] = [
        generate_private_key(_EXPONENT, _BITS),
        Ed25519PrivateKey.generate(),
    ]
    for settings, key in zip(DKIM, made, strict=True):
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _write(folder / settings.key_file, pem)
    _write(folder / LINKS, secrets.token_hex(32).encode())


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
