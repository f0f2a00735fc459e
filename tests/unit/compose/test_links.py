from __future__ import annotations

from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import pytest

from campaignd.compose import CampaignSpec, Composed, Composer, date_header
from campaignd.compose.links import Links, feedback_id, list_id, load_links, trial_links
from campaignd.compose.spec import ascii_address
from campaignd.config import MAX_BOUNCE_DOMAIN, MAX_URL, Bounces, Config, parse
from campaignd.config import Links as Section
from campaignd.errors import CampaignError, ConfigError
from campaignd.tokens import Purpose, RecipientId, TokenKeys

Read = Callable[[bytes], EmailMessage]
MakeSpec = Callable[..., CampaignSpec]

KEYS = TokenKeys([b"k" * 32])
URL = "https://links.acme.example/mail"
DOMAIN = "bounces.acme.example"
LINKS = Links(KEYS, URL, DOMAIN)
CAMPAIGN, SHARD, SEQ = 7_000_000_000, 3, 10_000
OURS = (
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Id",
    "Feedback-ID",
    "Precedence",
)


def composed(spec: CampaignSpec, links: Links | None = LINKS, *values: object) -> Composed:
    composer = Composer(spec, CAMPAIGN, ["a"], links)
    return composer.compose(
        SHARD, SEQ, "ada@example.com", values or ("x",), date=date_header(0.0), eight_bit=False
    )


def token_of(text: str, start: str, end: str, purpose: Purpose) -> RecipientId:
    assert text.startswith(start), text
    assert text.endswith(end), text
    return KEYS.open(purpose, text.removeprefix(start).removesuffix(end))


def test_every_message_says_how_to_leave(read: Read, make_spec: MakeSpec) -> None:
    message = read(composed(make_spec()).message)
    web, mail = str(message["List-Unsubscribe"]).split(", ")
    me = RecipientId(CAMPAIGN, SHARD, SEQ)
    assert token_of(web, f"<{URL}/u/", ">", Purpose.UNSUBSCRIBE) == me
    end = f"@{DOMAIN}?subject=unsubscribe>"
    assert token_of(mail, "<mailto:u-", end, Purpose.UNSUBSCRIBE) == me
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["List-Id"] == "<acme.acme.example>"
    assert message["Feedback-ID"] == f"{CAMPAIGN}:acme:bulk:acme.example"
    assert message["Precedence"] == "bulk"
    assert sorted(set(message.keys()) & set(OURS)) == sorted(OURS)


@pytest.mark.parametrize(
    ("links", "ways", "one_click"),
    [
        (Links(KEYS, URL), ["https"], True),
        (Links(KEYS, None, DOMAIN), ["mailto"], False),
        (Links(KEYS), [], False),
    ],
)
def test_with_a_part_of_the_configuration(
    read: Read, make_spec: MakeSpec, links: Links, ways: list[str], one_click: bool
) -> None:
    message = read(composed(make_spec(), links).message)
    given = str(message["List-Unsubscribe"]).split(", ") if message["List-Unsubscribe"] else []
    assert [way.strip("<").partition(":")[0] for way in given] == ways
    assert ("List-Unsubscribe-Post" in message) == one_click
    assert message["Precedence"] == "bulk"


@pytest.mark.parametrize(
    ("changes", "links"),
    [({}, None), ({"transactional": True}, LINKS)],
    ids=["off", "transactional"],
)
def test_no_links(
    read: Read, make_spec: MakeSpec, changes: dict[str, object], links: Links | None
) -> None:
    message = read(composed(make_spec(**changes), links).message)
    assert not set(OURS) & set(message.keys())


def test_what_the_campaign_says_itself_stays(read: Read, make_spec: MakeSpec) -> None:
    own = {
        "list-unsubscribe": "<https://own.example/{{ a }}>",
        "LIST-ID": "<own.acme.example>",
        "Feedback-Id": "a:b:c:ours1",
        "precedence": "list",
    }
    message = read(composed(make_spec(headers=own)).message)
    assert message["List-Unsubscribe"] == "<https://own.example/x>"
    assert "List-Unsubscribe-Post" not in message
    assert message.get_all("List-Id") == ["<own.acme.example>"]
    assert message.get_all("Feedback-ID") == ["a:b:c:ours1"]
    assert message.get_all("Precedence") == ["list"]


def test_links_in_the_bodies(read: Read, make_spec: MakeSpec) -> None:
    html = '<p><a href="{{ unsubscribe_url }}">Leave &amp; go</a> {{ a }}</p>'
    for value in ("x", "<x>"):
        message = read(composed(make_spec(html=html, text=None), LINKS, value).message)
        url = str(message["List-Unsubscribe"]).partition(",")[0].strip("<>")
        content = {part.get_content_subtype(): part for part in message.walk()}
        assert f'<a href="{url}">' in content["html"].get_content()
        assert f"Leave & go ({url})" in content["plain"].get_content()


def test_a_link_by_mail_where_there_is_no_endpoint(read: Read, make_spec: MakeSpec) -> None:
    message = read(
        composed(make_spec(text="{{ unsubscribe_url }}\n"), Links(KEYS, None, DOMAIN)).message
    )
    url = message.get_content().strip()
    end = f"@{DOMAIN}?subject=unsubscribe"
    me = RecipientId(CAMPAIGN, SHARD, SEQ)
    assert token_of(url, "mailto:u-", end, Purpose.UNSUBSCRIBE) == me


@pytest.mark.parametrize("transactional", [False, True])
@pytest.mark.parametrize("links", [LINKS, Links(KEYS)], ids=["all", "keys only"])
def test_a_token_for_providers(
    read: Read, make_spec: MakeSpec, transactional: bool, links: Links
) -> None:
    headers = {"X-SES-MESSAGE-TAGS": "campaignd={{ message_token }}"}
    message = read(composed(make_spec(headers=headers, transactional=transactional), links).message)
    value = str(message["X-SES-MESSAGE-TAGS"])
    assert token_of(value, "campaignd=", "", Purpose.RETURN) == (CAMPAIGN, SHARD, SEQ)


@pytest.mark.parametrize("transactional", [False, True])
def test_each_message_has_a_return_path_of_its_own(
    make_spec: MakeSpec, transactional: bool
) -> None:
    spec = make_spec(envelope_sender=None, transactional=transactional)
    sender = composed(spec).sender.decode()
    assert token_of(sender, "b-", f"@{DOMAIN}", Purpose.RETURN) == (CAMPAIGN, SHARD, SEQ)
    assert ascii_address(sender) == sender


@pytest.mark.parametrize(
    ("own", "links", "sender"),
    [
        ("own@acme.example", LINKS, b"own@acme.example"),
        (None, Links(KEYS, URL), b"news@acme.example"),
        (None, None, b"news@acme.example"),
    ],
)
def test_other_return_paths(
    make_spec: MakeSpec, own: str | None, links: Links | None, sender: bytes
) -> None:
    assert composed(make_spec(envelope_sender=own), links).sender == sender


@pytest.mark.parametrize(
    ("changes", "links", "says"),
    [
        ({}, None, "unsubscribe_url needs key_files and url of [links]"),
        ({}, Links(KEYS), "unsubscribe_url needs key_files and url of [links]"),
        ({"transactional": True}, LINKS, "unsubscribe_url is not for a transactional campaign"),
        ({"transactional": True}, None, "unsubscribe_url is not for a transactional campaign"),
        ({"text": "\n{{ message_token }}"}, None, "message_token needs key_files of [links]"),
    ],
)
def test_links_that_cannot_be_are_said_so(
    make_spec: MakeSpec, changes: dict[str, object], links: Links | None, says: str
) -> None:
    spec = make_spec(**({"text": "\n{{ unsubscribe_url }}"} | changes))
    with pytest.raises(CampaignError) as caught:
        composed(spec, links)
    assert f"campaign, line 2, text: {says}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_template_can_be_for_both(read: Read, make_spec: MakeSpec) -> None:
    text = "{% if unsubscribe_url is defined %}{{ unsubscribe_url }}{% else %}none{% endif %}\n"
    assert read(composed(make_spec(text=text), None).message).get_content().strip() == "none"
    assert URL in read(composed(make_spec(text=text)).message).get_content()


def test_a_column_of_the_same_name_is_reached_as_a_field(read: Read, make_spec: MakeSpec) -> None:
    spec = make_spec(text='{{ unsubscribe_url }} {{ fields["unsubscribe_url"] }} {{ email }}\n')
    composer = Composer(spec, 1, ["unsubscribe_url"], LINKS)
    made = composer.compose(0, 1, "a@b.example", ["mine"], date=b"x", eight_bit=False)
    first, second, third = read(made.message).get_content().split()
    assert first.startswith(URL)
    assert (second, third) == ("mine", "a@b.example")


def test_a_slip_of_the_pen_is_recognised(make_spec: MakeSpec) -> None:
    with pytest.raises(CampaignError, match=r"did you mean unsubscribe_url\?"):
        composed(make_spec(text="{{ unsubscribe_uri }}"))


@pytest.mark.parametrize(
    ("account", "result"),
    [
        ("acme", "<acme.d.example>"),
        ("a@b..c.", "<a.b.c.d.example>"),
        ("x" * 64, f"<{'x' * 64}.d.example>"),
    ],
)
def test_list_ids(account: str, result: str) -> None:
    assert list_id(account, "d.example") == result
    assert len(list_id(account, "d." * 120 + "example")) <= 257


def test_feedback_ids_end_in_what_google_takes() -> None:
    assert feedback_id(1, "a", "d.example") == "1:a:bulk:d.example"
    for domain in ("a.b", "news.acme.example", "x" * 63 + ".example"):
        last = feedback_id(1, "a", domain).split(":")[3]
        assert 5 <= len(last) <= 15
        assert last == feedback_id(2, "b", domain).split(":")[3]


def config(tmp_path: Path) -> Config:
    (tmp_path / "one.key").write_text("ab" * 32 + "\n")
    (tmp_path / "one.key").chmod(0o600)
    section = Section(url=URL + "/", key_files=["one.key"])
    return Config(links=section, bounces=Bounces(domain=DOMAIN), path=tmp_path / "config.toml")


def test_the_longest_names_still_fit(read: Read, make_spec: MakeSpec) -> None:
    url = "https://" + "x" * (MAX_URL - len("https://"))
    domain = ".".join(["d" * 49] * 4)
    assert len(domain) == MAX_BOUNCE_DOMAIN - 1
    text = '[links]\nurl = "{}"\nkey_files = ["k"]\n[bounces]\ndomain = "{}"\n'
    parse(text.format(url, domain))
    made = composed(make_spec(envelope_sender=None), Links(KEYS, url, domain))
    assert len(made.sender) <= 254
    assert str(read(made.message)["List-Unsubscribe"]).startswith(f"<{url}/u/")
    with pytest.raises(ConfigError, match=r"\[links\] url: longer than 500 characters"):
        parse(text.format(url + "x", domain))
    with pytest.raises(ConfigError, match=r"\[bounces\] domain: longer than 200 characters"):
        parse(text.format(url, "d." + domain))


def test_links_come_from_the_configuration(tmp_path: Path) -> None:
    links = load_links(config(tmp_path))
    assert links is not None
    assert (links.url, links.domain) == (URL, DOMAIN)
    token = links.keys.signer(Purpose.RETURN, 1)(2, 3).decode()
    assert TokenKeys([bytes.fromhex("ab" * 32)]).open(Purpose.RETURN, token) == (1, 2, 3)
    assert load_links(Config()) is None
    assert trial_links(Config()) is None


def test_a_trial_needs_no_key(tmp_path: Path) -> None:
    settings = config(tmp_path)
    (tmp_path / "one.key").unlink()
    links = trial_links(settings)
    assert links is not None
    assert (links.url, links.domain) == (URL, DOMAIN)
    with pytest.raises(ConfigError, match=r"one\.key: No such file"):
        load_links(settings)
