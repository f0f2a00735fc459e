"""Lists of suppressions as files: what is read, what is rejected, and what comes back."""

from __future__ import annotations

import csv
import hashlib
import io
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignd.errors import UsageError
from campaignd.model import SuppressionReason
from campaignd.store.suppressions import NOTE_CHARACTERS, Kind, Suppression
from campaignd.suppress.export import HEADER, to_csv
from campaignd.suppress.rows import Defaults, Read, SuppressionReader
from campaignd.suppress.target import Meaning

NOW = 1_800_000_000.0
IMPORTED = SuppressionReason.IMPORTED


def read(data: bytes, meaning: Meaning = "email", *, note: str = "", pieces: int = 1 << 20) -> Read:
    reader = SuppressionReader(Defaults(meaning, IMPORTED, note), now=NOW)
    parts = [reader.feed(data[at : at + pieces]) for at in range(0, len(data), pieces)]
    parts.append(reader.finish())
    return Read(
        [entry for part in parts for entry in part.entries],
        [reject for part in parts for reject in part.rejects],
    )


def addresses(found: Read) -> list[str]:
    return [entry.address for entry in found.entries]


@pytest.mark.parametrize("pieces", [1, 7, 1 << 20])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_one_on_each_line(pieces: int, end: bytes) -> None:
    data = b"\xef\xbb\xbf" + end.join([b"a@b.de", b"wrong", b"", b"C@D.de"])
    found = read(data, pieces=pieces)
    assert addresses(found) == ["a@b.de", "C@d.de"]
    assert found.rejects == [(2, "wrong", "an address needs an @")]
    assert {(entry.reason, entry.at) for entry in found.entries} == {(IMPORTED, None)}


@pytest.mark.parametrize("pieces", [1, 7, 1 << 20])
def test_csv_with_everything(pieces: int) -> None:
    data = (
        b"Source,Email,Reason,DATE,note\n"
        b"x,a@b.de,Complained,2026-01-02,asked twice\n"
        b"x,wrong,bounced,,\n"
        b"x,c@d.de,,2026-01-02T03:00:00+01:00,\n"
        b"x,e@f.de,hard bounce,02/01/2026,\n"
        b"x,g@h.de\n"
        b"x,i@j.de,,2099-01-01,\n"
    )
    found = read(data, note="list 7", pieces=pieces)
    reasons = SuppressionReason
    assert found.entries == [
        Suppression(Kind.ADDRESS, "a@b.de", reasons.COMPLAINED, "asked twice", 1_767_312_000.0),
        Suppression(Kind.ADDRESS, "c@d.de", IMPORTED, "list 7", 1_767_319_200.0),
        Suppression(Kind.ADDRESS, "e@f.de", IMPORTED, "list 7; hard bounce; 02/01/2026", None),
        Suppression(Kind.ADDRESS, "i@j.de", IMPORTED, "list 7; 2099-01-01", None),
    ]
    assert [(reject.line, reject.reason) for reject in sorted(found.rejects)] == [
        (3, "an address needs an @"),
        (6, "2 columns instead of 5"),
    ]


def test_hashes_and_domains() -> None:
    md5 = hashlib.md5(b"a@b.de").hexdigest()
    assert [entry.md5.hex() for entry in read(md5.encode(), "md5").entries] == [md5]
    found = read(b"email.example\n.b.example\na@b.de", "domain")
    assert [(entry.kind, entry.address) for entry in found.entries] == [
        (Kind.DOMAIN, "email.example"),
        (Kind.DOMAIN_TREE, "b.example"),
    ]
    assert [reject.line for reject in found.rejects] == [3]
    mixed = read(b"email,domain,md5\n,b.example,\na@b.de,,\n,c.example," + md5.encode() + b"\n,,\n")
    assert addresses(mixed) == ["b.example", "a@b.de"]
    assert [reject.reason for reject in mixed.rejects] == [
        "both domain and md5: one is enough",
        "no address",
    ]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "suppressions: the input is empty"),
        (b"address,reason\na@b.de,x\n", "suppressions: the header needs a column `email`"),
        (b"a@b.de,2026-01-01\n", "suppressions: the header needs a column `email`"),
        (b"email;reason\na@b.de;x\n", "separated by semicolons; they must be by commas"),
        ("email\na@b.de".encode("utf-16"), "looks like UTF-16"),
    ],
)
def test_what_is_no_list_at_all(data: bytes, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        read(data)


def test_bad_bytes_cost_one_row() -> None:
    found = read(b'a@b.de\n"open\n\xff@b.de\nc@d.de\n' + b"x" * 300_000 + b"\ne@f.de\n")
    assert addresses(found) == ["a@b.de", "c@d.de", "e@f.de"]
    assert [reject.line for reject in sorted(found.rejects)] == [2, 3, 5]


LOCAL = st.text("abXY019'=+-", min_size=1, max_size=9)
NOTE = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=9)


@st.composite
def entries(draw: st.DrawFn) -> Suppression:
    kind = draw(st.sampled_from(Kind))
    domain = draw(st.sampled_from(["b.de", "xn--bcher-kva.example"]))
    address, md5 = domain, b""
    if kind is Kind.SHA256:
        address = draw(st.text(string.hexdigits[:16], min_size=64, max_size=64))
    elif kind is Kind.ADDRESS and draw(st.booleans()):
        address, md5 = "", draw(st.binary(min_size=16, max_size=16))
    elif kind is Kind.ADDRESS:
        address = f"{draw(LOCAL)}@{domain}"
    note = draw(NOTE).strip()[:NOTE_CHARACTERS]
    at = draw(st.integers(1, int(NOW) * 1000)) / 1000
    return Suppression(kind, address, draw(st.sampled_from(SuppressionReason)), note, at, md5)


@given(st.lists(entries(), max_size=9))
def test_what_is_exported_is_read_back(given: list[Suppression]) -> None:
    data = HEADER + to_csv(given)
    assert read(data).entries == given
    for row in csv.reader(io.StringIO(data.decode())):
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row), "no formula"
