"""What fuzzing has found, each in its smallest form, so that it stays mended."""

from __future__ import annotations

from pathlib import Path

import pytest

from campaignd.audience.address import parse_address
from campaignd.audience.csv_rows import CsvReader
from campaignd.audience.jsonl_rows import JsonlReader
from campaignd.compose import CampaignSpec, Composer, load_campaign
from campaignd.config import parse
from campaignd.errors import CampaignError, ConfigError, RowError, UsageError

DEEP = "x = " + "[" * 5_000
LONG = "x = " + "1" * 5_000


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        (DEEP, "nested too deep"),
        (LONG, "4300 digits"),
        ("[mysql]\nurl = 'mysql://[::1/d'", "[mysql] url"),
        ("[mysql]\nurl = 'mysql://u:secret@h:99999/d'", "[mysql] url"),
        ("[mysql]\nurl = 'mysql://u:secret@h:٣/d'", "[mysql] url"),
        ("[mysql]\nurl = 'mysql://u:secret@h℀/d'", "[mysql] url"),
        ("[redis]\nurl = 'redis://[::1/0'", "[redis] url"),
        ("[redis]\nurl = 'redis://h:99999/0'", "[redis] url"),
        ("[redis]\nurl = 'redis://h/0?password=secret'", "[redis] url"),
        ("[http]\nlisten = '127.0.0.1:99999'", "[http] listen"),
        ("[http]\nlisten = '127.0.0.1:-1'", "[http] listen"),
        ('[daemon]\nname = "a\\n"', "daemon.name"),
        ('["a\\nb"]', "unknown field"),
        ('[[relay]]\nname = "r"\nhost = "h"\nhelo = "x\\r\\nMAIL FROM:<>"', "helo"),
    ],
)
def test_a_broken_configuration_is_told_in_one_line(toml: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(toml)
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["\\u0000", "a\\nb", "~nobody-has-this-name/x"])
def test_a_secret_file_that_cannot_be_named_is_told_in_one_line(name: str) -> None:
    config = parse(f'[mysql]\npassword_file = "{name}"')
    with pytest.raises(ConfigError) as caught:
        config.mysql_target()
    assert len(str(caught.value).splitlines()) == 1


BROKEN_NAME = """
name = "n"
account = "a"
from = "a@b.example"
subject = "x"
text = "x\\r\\nBcc: e@e"
"""


@pytest.mark.parametrize(
    "toml", [DEEP, LONG, BROKEN_NAME, 'name = "n"\naccount = "a\\n"', '"a\\nb" = 1']
)
def test_a_broken_campaign_file_is_told_in_one_line(tmp_path: Path, toml: str) -> None:
    path = tmp_path / "c.toml"
    path.write_text(toml)
    with pytest.raises(CampaignError) as caught:
        load_campaign(path)
    assert len(str(caught.value).splitlines()) == 1


def test_a_header_of_several_lines_is_told_in_one() -> None:
    with pytest.raises(UsageError) as caught:
        CsvReader().feed(b'"a\nb\x1b[31m",c\nx,y\n')
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("reader", [CsvReader, JsonlReader])
def test_whether_an_input_is_binary_does_not_depend_on_its_pieces(
    reader: type[CsvReader | JsonlReader],
) -> None:
    data = b"email\r\0\n"
    whole, pieces = reader(), reader()
    rejected = whole.feed(data).size
    assert rejected == sum(pieces.feed(data[at : at + 1]).size for at in range(len(data)))


@pytest.mark.parametrize("address", ['""@x.example', '"ü"@x.example', '"a b"@x.example'])
def test_an_address_is_refused_when_loaded_or_it_can_be_sent(address: str) -> None:
    spec = CampaignSpec(
        name="n",
        account="a",
        sender="news@acme.example",
        envelope_sender="news@acme.example",
        subject="x",
        text="x",
    )
    try:
        mailbox = parse_address(address).mailbox
    except RowError:
        return
    composed = Composer(spec, 1, []).compose(0, 1, mailbox, [], date=b"x", eight_bit=True)
    assert f"\r\nTo: {mailbox}\r\n".encode() in composed.message
