from __future__ import annotations

import hashlib

import pytest

from campaignd.errors import RowError
from campaignd.model import SuppressionReason
from campaignd.store.suppressions import Kind
from campaignd.suppress.target import Meaning, parse, shown

MANUAL = SuppressionReason.MANUAL
SHA = hashlib.sha256(b"a@b.de").hexdigest()
MD5 = hashlib.md5(b"a@b.de").hexdigest()


@pytest.mark.parametrize(
    ("meaning", "text", "kind", "address"),
    [
        ("email", " Anna@BÜCHER.example", Kind.ADDRESS, "Anna@xn--bcher-kva.example"),
        ("domain", "Example.COM", Kind.DOMAIN, "example.com"),
        ("domain", "bücher.example", Kind.DOMAIN, "xn--bcher-kva.example"),
        ("domain", "@example.com", Kind.DOMAIN, "example.com"),
        ("domain", ".example.com", Kind.DOMAIN_TREE, "example.com"),
        ("domain", "@.example.com", Kind.DOMAIN_TREE, "example.com"),
        ("domain", ".1.2.3.4.5.6.7.com", Kind.DOMAIN_TREE, "1.2.3.4.5.6.7.com"),
        ("sha256", SHA.upper(), Kind.SHA256, SHA),
        ("md5", f" {MD5} ", Kind.ADDRESS, ""),
    ],
)
def test_what_can_be_suppressed(meaning: Meaning, text: str, kind: Kind, address: str) -> None:
    entry = parse(meaning, text, MANUAL, "note", 7.0)
    assert (entry.kind, entry.address, entry.reason) == (kind, address, MANUAL)
    assert (entry.note, entry.at) == ("note", 7.0)
    assert entry.md5.hex() == (MD5 if meaning == "md5" else "")
    assert parse(*shown(entry), MANUAL, "note", 7.0) == entry


@pytest.mark.parametrize(
    ("meaning", "text", "reason"),
    [
        ("email", "anna", "an address needs an @"),
        ("email", "", "no address"),
        ("domain", "", "no domain"),
        ("domain", ".", "no domain"),
        ("domain", "com", "the domain has no dot"),
        ("domain", "a@example.com", "an address where a domain is wanted"),
        ("domain", "exa mple.com", "the domain holds a space"),
        ("domain", "<example.com>", "angle brackets"),
        ("domain", ".1.2.3.4.5.6.7.8.com", "a domain with all below it may have 8 parts at most"),
        ("md5", SHA, "not an MD5"),
        ("md5", "anna@example.com", "not an MD5"),
        ("sha256", MD5, "not a SHA-256"),
        ("sha256", "g" * 64, "not a SHA-256"),
    ],
)
def test_what_cannot(meaning: Meaning, text: str, reason: str) -> None:
    with pytest.raises(RowError, match=reason):
        parse(meaning, text, MANUAL)
