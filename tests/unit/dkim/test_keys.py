"""Key files: each that cannot be used gets one line that says what to change."""

from __future__ import annotations

import hashlib
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from campaignd.config import Dkim, parse
from campaignd.dkim import SigningKey, keys
from campaignd.dkim.keys import load_key
from campaignd.errors import ConfigError
from tests.fakes.certificates import Authority

Write = Callable[[bytes], Path]
SETTINGS = Dkim(domain="Acme.Example", selector="S1", key_file="key.pem")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Puts a key file where only its owner can read it."""

    def write(data: bytes) -> Path:
        path = tmp_path / "key.pem"
        path.write_bytes(data)
        path.chmod(0o600)
        return path

    return write


def pem(
    key: RSAPrivateKey | ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | dsa.DSAPrivateKey,
    form: PrivateFormat = PrivateFormat.PKCS8,
    password: bytes | None = None,
) -> bytes:
    hidden = NoEncryption() if password is None else BestAvailableEncryption(password)
    return key.private_bytes(Encoding.PEM, form, hidden)


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_an_rsa_key(rsa_private: RSAPrivateKey, write: Write, form: PrivateFormat) -> None:
    key = load_key(SETTINGS, write(pem(rsa_private, form)))
    assert (key.name, key.algorithm, key.bits) == (
        "s1._domainkey.acme.example", "rsa-sha256", 2_048,
    )  # fmt: skip
    assert key.record.startswith("v=DKIM1; k=rsa; p=MIIB")
    public = serialization.load_der_public_key(b64decode(key.public))
    assert isinstance(public, RSAPublicKey)
    public.verify(key.sign(b"data"), b"data", PKCS1v15(), SHA256())


def test_an_ed25519_key(write: Write) -> None:
    key = load_key(SETTINGS, write(pem(ed25519.Ed25519PrivateKey.generate())))
    assert key.record == f"v=DKIM1; k=ed25519; p={key.public}"
    public = Ed25519PublicKey.from_public_bytes(b64decode(key.public))
    public.verify(key.sign(b"data"), hashlib.sha256(b"data").digest())


def test_the_published_key_of_rfc_8463(write: Write) -> None:
    """Appendix A.2 has the pair."""
    seed = b64decode("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
    private = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
    key = load_key(SETTINGS, write(pem(private)))
    assert key.public == "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_key(SETTINGS, path)
    text = str(caught.value)
    assert text.startswith(f"key file {path}: ")
    assert text.isprintable(), "one line"
    return text.removeprefix(f"key file {path}: ")


def test_a_key_of_another_kind(write: Write) -> None:
    assert refusal(write(pem(ec.generate_private_key(ec.SECP256R1())))).startswith("neither an RSA")
    assert refusal(write(pem(dsa.generate_private_key(1_024)))).startswith("neither an RSA")


@pytest.mark.parametrize("bits", [1_024, 2_040])
def test_an_rsa_key_that_is_too_short(write: Write, bits: int) -> None:
    text = refusal(write(pem(rsa.generate_private_key(65_537, bits))))
    assert f"of {bits} bits is too short" in text


def test_an_rsa_key_that_is_too_long(
    rsa_private: RSAPrivateKey, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Really long ones take seconds to make."""
    monkeypatch.setattr(keys, "MAX_RSA_BITS", 2_047)
    assert "may not take an RSA key of 2048 bits" in refusal(write(pem(rsa_private)))


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_an_encrypted_key(rsa_private: RSAPrivateKey, write: Write, form: PrivateFormat) -> None:
    assert refusal(write(pem(rsa_private, form, b"x"))).startswith("encrypted: decrypt it")


def test_what_is_no_private_key(rsa_private: RSAPrivateKey, write: Write) -> None:
    public = rsa_private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert refusal(write(public)).startswith("a public key")
    ssh = pem(rsa_private, PrivateFormat.OpenSSH)
    assert refusal(write(ssh)).startswith("a key for SSH")
    der = rsa_private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    assert refusal(write(der)).startswith("not a PEM file")
    assert refusal(write(b"hello")).startswith("not a PEM file")
    whole = pem(rsa_private)
    assert refusal(write(whole[:400])).startswith("damaged")
    assert refusal(write(whole.replace(b"A", b"B"))).startswith("damaged")


def test_a_certificate(tmp_path: Path, write: Write) -> None:
    certificate = Authority(tmp_path).file
    assert refusal(write(certificate.read_bytes())).startswith("a certificate")


def test_a_file_that_cannot_be_read(rsa_private: RSAPrivateKey, write: Write) -> None:
    path = write(pem(rsa_private))
    path.chmod(0o644)
    assert "chmod 600" in refusal(path)
    path.unlink()
    assert refusal(path) == "No such file or directory"
    path.mkdir()
    assert refusal(path) == "Is a directory"


def test_the_private_part_is_shown_nowhere(rsa_private: RSAPrivateKey, rsa: SigningKey) -> None:
    secret = rsa_private.private_numbers().d
    shown = repr(rsa) + str(rsa) + repr(rsa._private)
    assert f"{secret:x}" not in shown
    assert str(secret) not in shown
    assert repr(rsa) == "<SigningKey r1._domainkey.acme.example rsa-sha256>"


def test_two_keys_with_one_selector() -> None:
    table = '[[dkim]]\ndomain = "%s"\nselector = "%s"\nkey_file = "x"\n'
    with pytest.raises(ConfigError, match="the selector S1 of ACME"):
        parse(table % ("acme.example", "s1") + table % ("ACME.example", "S1"))
    assert len(parse(table % ("acme.example", "s1") + table % ("other.example", "s1")).dkim) == 2
