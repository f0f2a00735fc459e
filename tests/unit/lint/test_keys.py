"""The rules for DKIM keys."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from campaignd.config import Config, Dkim
from campaignd.lint.keys import keys
from tests.unit.lint.campaigns import campaign, configuration, ids

RSA = generate_private_key(public_exponent=65537, key_size=2048)
ED25519 = Ed25519PrivateKey.generate()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, key in (("rsa", RSA), ("ed", ED25519), ("short", generate_private_key(65537, 1024))):
        path = tmp_path / f"{name}.pem"
        path.touch(0o600)
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return tmp_path


def with_keys(folder: Path, *settings: Dkim) -> Config:
    config = configuration(dkim=list(settings))
    config.path = folder / "config.toml"
    return config


def key(file: str, domain: str = "acme.example", **more: Any) -> Dkim:
    return Dkim(domain=domain, selector=file, key_file=f"{file}.pem", **more)


def test_nothing_is_wrong(folder: Path) -> None:
    assert keys(campaign(), with_keys(folder, key("rsa"))) == []
    assert keys(campaign(), with_keys(folder, key("rsa"), key("ed"))) == []
    from_below = campaign(sender="news@spring.acme.example")
    assert keys(from_below, with_keys(folder, key("rsa"))) == []


def test_no_key() -> None:
    assert ids(keys(campaign(), configuration())) == ["unsigned"]


@pytest.mark.parametrize(
    "sender",
    ["news@other.example", "news@example", "news@notacme.example", "news@acme.example.org"],
)
def test_a_key_for_another_domain(folder: Path, sender: str) -> None:
    [finding] = keys(campaign(sender=sender), with_keys(folder, key("rsa")))
    assert finding.rule.id == "not-aligned"
    assert finding.where == "c.toml, line 3"
    assert "acme.example" in finding.text


def test_a_key_of_a_domain_below(folder: Path) -> None:
    """Relaxed alignment would take it; campaignd does not sign with it."""
    found = keys(campaign(), with_keys(folder, key("rsa", "spring.acme.example")))
    assert ids(found) == ["not-aligned"]


def test_a_key_of_another_account(folder: Path) -> None:
    config = with_keys(folder, key("rsa", account="other"))
    assert ids(keys(campaign(), config)) == ["not-aligned"]
    assert keys(campaign(account="other"), config) == []


def test_a_short_key(folder: Path) -> None:
    [finding] = keys(campaign(), with_keys(folder, key("short")))
    assert finding.rule.id == "key-unusable"
    assert "1024 bits" in finding.text


def test_a_key_that_others_can_read(folder: Path) -> None:
    (folder / "rsa.pem").chmod(0o644)
    [finding] = keys(campaign(), with_keys(folder, key("rsa")))
    assert finding.rule.id == "key-unusable"
    assert "chmod 600" in finding.text


def test_a_key_that_is_not_here(folder: Path) -> None:
    found = keys(campaign(), with_keys(folder, key("nowhere"), key("ed")))
    assert ids(found) == ["key-unseen"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_a_key_that_this_user_may_not_read(folder: Path) -> None:
    (folder / "rsa.pem").chmod(0)
    assert ids(keys(campaign(), with_keys(folder, key("rsa")))) == ["key-unseen"]


def test_ed25519_alone(folder: Path) -> None:
    assert ids(keys(campaign(), with_keys(folder, key("ed")))) == ["ed25519-only"]
