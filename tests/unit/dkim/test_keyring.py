"""Which keys sign for whom."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from campaignd.config import load
from campaignd.dkim import KeyRing, SigningKey, load_keys
from campaignd.dkim.keyring import nearest
from campaignd.errors import ConfigError


def key(domain: str, selector: str, account: str | None = None) -> SigningKey:
    private = Ed25519PrivateKey.generate()
    return SigningKey(private, domain=domain, selector=selector, account=account)


KEYS = [
    key("acme.example", "all"),
    key("acme.example", "mine", "acme"),
    key("news.acme.example", "news", "acme"),
    key("other.example", "other"),
]


@pytest.mark.parametrize(
    ("domain", "account", "selectors"),
    [
        ("acme.example", "acme", ["all", "mine"]),
        ("ACME.example", "beta", ["all"]),
        ("news.acme.example", "acme", ["news"]),
        ("a.b.news.acme.example", "acme", ["news"]),
        ("news.acme.example", "beta", ["all"]),
        ("xacme.example", "acme", []),
        ("example", "acme", []),
        ("acme.example", None, ["all", "mine"]),
        ("news.acme.example", None, ["news"]),
    ],
)
def test_the_nearest_domain_signs(domain: str, account: str | None, selectors: list[str]) -> None:
    assert [found.selector for found in nearest(KEYS, domain, account)] == selectors


def test_signers() -> None:
    ring = KeyRing(KEYS)
    assert ring.signer("nobody.example", "acme") is None
    one = ring.signer("acme.example", "acme")
    assert one is not None
    assert one is not ring.signer("acme.example", "acme"), "it keeps what its campaign has"
    assert ring.find("mail.acme.example", "acme") == tuple(KEYS[:2])


def test_rsa_comes_first(rsa: SigningKey, ed25519: SigningKey) -> None:
    assert KeyRing([ed25519, rsa]).keys == (rsa, ed25519)


def test_from_the_configuration(tmp_path: Path) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    path = tmp_path / "key.pem"
    path.write_bytes(pem)
    path.chmod(0o600)
    file = tmp_path / "config.toml"
    file.write_text(
        '[[dkim]]\ndomain = "Acme.example"\nselector = "s1"\nkey_file = "key.pem"\naccount = "a"\n'
    )
    [found] = load_keys(load(file)).keys
    assert (found.name, found.account) == ("s1._domainkey.acme.example", "a")
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_keys(load(file))
