"""Picking a row, and a message for people."""

from __future__ import annotations

import asyncio
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignd.audience.source import FileSource
from campaignd.cli.entry import main
from campaignd.compose.encoding import for_data
from campaignd.errors import UsageError
from campaignd.preview import content, pick, readable

CSV = "email,name\nanna@a.example,Anna\nbroken,Bruno\nchiara@c.example,Chiará\n"
CAMPAIGN = """
name = "Test"
account = "acme"
from = "Acme <news@acme.example>"
subject = "Hi {{ name }}"
text = "text.txt"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "campaign.toml").write_text(CAMPAIGN)
    (tmp_path / "text.txt").write_text("Dear {{ name }},\n.a dot\n")
    (tmp_path / "r.csv").write_text(CSV)
    (tmp_path / "r.jsonl").write_text(
        '{"email":"j@j.example","name":"J"}\n\n{"email":"k@k.example"}\n'
    )
    return tmp_path


def picked(path: Path, row: int) -> str:
    return asyncio.run(pick(FileSource(str(path)), row)).address


def test_a_row_of_each_format(folder: Path) -> None:
    assert picked(folder / "r.csv", 1) == "anna@a.example"
    assert picked(folder / "r.csv", 3) == "chiara@c.example"
    assert picked(folder / "r.jsonl", 2) == "k@k.example"


def test_a_row_that_would_be_rejected(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"row 2 \(line 3\) would be rejected: .* needs an @"):
        picked(folder / "r.csv", 2)


def test_a_row_that_is_not_there(folder: Path) -> None:
    with pytest.raises(UsageError, match="--row 4: there are only 3 rows"):
        picked(folder / "r.csv", 4)


def test_a_row_far_down(tmp_path: Path) -> None:
    rows = "".join(f"u{n}@a.example,{'x' * 50}\n" for n in range(20_000))
    (tmp_path / "r.csv").write_text("email,name\n" + rows)
    assert picked(tmp_path / "r.csv", 19_999) == "u19998@a.example"


def test_the_command_prints_the_message(
    folder: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    args = [str(folder / "campaign.toml"), "--recipients", str(folder / "r.csv"), "--row", "3"]
    assert main(["preview", *args]) == 0
    printed = capfdbinary.readouterr().out
    message = message_from_bytes(printed, policy=default)
    assert message["To"] == "chiara@c.example"
    assert message["Subject"] == "Hi Chiará"
    assert message.get_content() == "Dear Chiará,\r\n.a dot\r\n"
    assert printed.count(b"\n") == printed.count(b"\r\n")


def test_the_command_decodes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = [str(folder / "campaign.toml"), "--recipients", str(folder / "r.csv"), "--row", "3"]
    assert main(["preview", *args, "--readable"]) == 0
    printed = capsys.readouterr().out
    assert "Subject: Hi Chiará\n" in printed
    assert printed.endswith("--- text/plain\nDear Chiará,\n.a dot\n")


def test_a_recipient_who_lacks_a_field(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = [str(folder / "campaign.toml"), "--recipients", str(folder / "r.jsonl"), "--row", "2"]
    assert main(["preview", *args]) == 1
    assert capsys.readouterr().err.startswith("error: k@k.example would be rejected: ")


@given(st.lists(st.sampled_from([b".", b"..", b"", b"text", b".x"]), min_size=1))
def test_content_undoes_what_smtp_adds(lines: list[bytes]) -> None:
    message = b"Subject: x\r\n\r\n" + b"\r\n".join(lines) + b"\r\n"
    assert content(for_data(message)) == message


def test_readable_leaves_mime_headers_out() -> None:
    message = b"X-A: 1\r\nSubject: s\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nhi\r\n"
    assert readable(message) == "Subject: s\nX-A: 1\n\n--- text/plain\nhi\n"
