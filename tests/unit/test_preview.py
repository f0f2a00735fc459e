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
from campaignd.compose import CampaignSpec
from campaignd.compose.encoding import for_data
from campaignd.compose.links import Links
from campaignd.errors import UsageError
from campaignd.preview import UNFILED, Picked, compose, content, pick, readable
from campaignd.tokens import Purpose, TokenKeys

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


def make_rich(folder: Path) -> list[str]:
    (folder / "campaign.toml").write_text(
        CAMPAIGN + 'html = "text.html"\n[[inline]]\nfile = "logo.png"\ncid = "logo"\n'
        '[[attachments]]\nfile = "r.jsonl"\n'
    )
    (folder / "text.html").write_text(
        '<img src="cid:logo"><a href="{{ unsubscribe_url }}">{{ name }}</a>\n'
    )
    (folder / "logo.png").write_bytes(b"png")
    return ["preview", str(folder / "campaign.toml"), "--recipients", str(folder / "r.csv")]


def test_files_instead_of_output(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        *make_rich(folder),
        "--row",
        "3",
        "--eml",
        f"{folder}/a.eml",
        "--html",
        f"{folder}/a.html",
    ]
    assert main(words) == 0
    assert capsys.readouterr().out == ""
    message = message_from_bytes((folder / "a.eml").read_bytes(), policy=default)
    url = str(message["List-Unsubscribe"]).partition(",")[0].strip("<>")
    assert url.startswith("https://links.example.com/u/")
    assert (folder / "a.html").read_text("utf-8-sig") == (
        f'<img src="data:image/png;base64,cG5n"><a href="{url}">Chiará</a>\r\n'.replace("\r", "")
    )


def test_it_opens_in_a_browser(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: not seen.append(url))
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    assert main([*make_rich(folder), "--open"]) == 0
    assert main([*make_rich(folder), "--open", "--html", f"{folder}/a.html"]) == 0
    paths = [Path(url.removeprefix("file://")) for url in seen]
    assert paths[1] == folder / "a.html"
    assert all("Anna</a>" in path.read_text("utf-8-sig") for path in paths)


def test_without_a_browser_or_without_html(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("webbrowser.open", lambda url: False)
    assert main([*make_rich(folder), "--open", "--html", f"{folder}/a.html"]) == 1
    assert f"open {folder}/a.html yourself" in capsys.readouterr().err
    assert main([*make_rich(folder), "--html", f"{folder}/none/a.html"]) == 1
    assert "a.html: No such file" in capsys.readouterr().err
    words = make_rich(folder)
    (folder / "campaign.toml").write_text(CAMPAIGN)
    assert main([*words, "--open"]) == 1
    assert "error: the campaign has no HTML" in capsys.readouterr().err


def test_links_are_those_of_the_configuration(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = folder / "config.toml"
    config.write_text('[links]\nurl = "https://l.acme.example"\nkey_files = ["none.key"]\n')
    assert main(["--config", str(config), *make_rich(folder), "--readable"]) == 0
    shown = capsys.readouterr().out
    assert "\nList-Unsubscribe: <https://l.acme.example/u/" in shown
    assert "--- image/png\ninline logo.png, 3 octets\n" in shown
    assert "attachment r.jsonl, 60 octets" in shown
    config.write_text("")
    assert main(["--config", str(config), *make_rich(folder)]) == 1
    assert "unsubscribe_url needs key_files and url of [links]" in capsys.readouterr().err
    config.write_text("[liks]\n")
    assert main(["--config", str(config), *make_rich(folder)]) == 1
    assert "unknown field `liks`" in capsys.readouterr().err


def test_a_test_token_unsubscribes_nobody() -> None:
    keys = TokenKeys([b"k" * 32])
    picked = Picked(100_000, "a@b.example", (), ())
    spec = CampaignSpec(
        name="n", account="a", sender="a@b.example", subject="s", text="{{ message_token }}\n"
    )
    message = compose(spec, picked, links=Links(keys, "https://x.example"), run=1_900_000_000)
    token = message_from_bytes(message.wire, policy=default).get_content().split()[0]
    assert keys.open(Purpose.RETURN, token).campaign == UNFILED == 0


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
