"""What arrives of a campaign with links and files, through the installed command."""

from __future__ import annotations

import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest

from campaignd.config import Bounces
from campaignd.tokens import Purpose, load_token_keys
from tests.e2e.site import CAMPAIGN, Site

DOMAIN = "bounces.acme.example"
RICH = (
    (CAMPAIGN % "resend").replace("[retry]", 'to_name = "{{ name }}"\npreheader = "Look"\n[retry]')
    + '[[inline]]\nfile = "logo.png"\ncid = "logo"\n'
    + '[[attachments]]\nfile = "terms.pdf"\n'
)
HTML = '<body><img alt="Acme" src="cid:logo">{{ name }} <a href="{{ unsubscribe_url }}">Leave</a>'
PDF = bytes(range(256)) * 400


@pytest.fixture
def rich(site: Site) -> Site:
    """A site with return paths, and a campaign with files."""
    site.resink(keep=100)
    site.config = site.configure(bounces=Bounces(domain=DOMAIN))
    (site.folder / "c.toml").write_text(RICH)
    (site.folder / "text.html").write_text(HTML)
    (site.folder / "logo.png").write_bytes(b"png")
    (site.folder / "terms.pdf").write_bytes(PDF)
    return site


def parsed(content: bytes) -> EmailMessage:
    message = message_from_bytes(content, _class=EmailMessage, policy=default)
    assert isinstance(message, EmailMessage)
    assert [defect for part in message.walk() for defect in part.defects] == []
    return message


def test_every_message_names_its_recipient_and_carries_its_files(rich: Site) -> None:
    campaign = int(rich.ok("enqueue", "c.toml", "--recipients", rich.audience(30)).stdout)
    rich.daemon()
    rich.until_state(campaign, "finished")
    keys = load_token_keys([rich.folder / "links.key"])
    senders = {took.recipient: took.sender for took in rich.sink.accepted()}
    by_number = {
        int(seq): address
        for seq, address in rich.query(
            f"SELECT seq, address FROM recipients WHERE campaign_id = {campaign}"
        )
    }
    assert len(rich.sink.kept()) == 30
    for content in rich.sink.kept():
        message = parsed(content)
        address = message["To"].addresses[0]
        to = address.addr_spec
        local, _, domain = senders[to].partition("@")
        found = keys.open(Purpose.RETURN, local.removeprefix("b-"))
        assert (domain, by_number[found.seq], found.campaign) == (DOMAIN, to, campaign)
        [url, mail] = re.findall("<(.*?)>", str(message["List-Unsubscribe"]))
        token = url.removeprefix("https://links.acme.example/u/")
        assert keys.open(Purpose.UNSUBSCRIBE, token) == found
        assert mail == f"mailto:u-{token}@{DOMAIN}?subject=unsubscribe"
        html = message.get_body(("html",))
        assert html is not None
        assert f'<a href="{url}">Leave</a>' in html.get_content()
        assert address.display_name == f"Name {to[1:].partition('@')[0]}"
        files = [part.get_content() for part in message.walk() if part.get_filename()]
        assert files == [b"png", PDF]


def test_a_test_is_what_a_recipient_gets(rich: Site) -> None:
    source = rich.audience(3)
    campaign = int(rich.ok("enqueue", "c.toml", "--recipients", source).stdout)
    rich.daemon()
    rich.until_state(campaign, "finished")
    rich.ok("send-test", "c.toml", "--to", "u1@me.example", "--recipients", source, "--row", "2")
    *all_real, test = rich.sink.kept()
    [real] = [one for one in all_real if b"<u1@" in one]
    keys = load_token_keys([rich.folder / "links.key"])
    for token in set(re.findall(rb"(?<=/u/)[0-9a-f]{50}", test)):
        assert keys.open(Purpose.UNSUBSCRIBE, token.decode()).campaign == 0
    changes = (
        (rb"(?<=[/-])[0-9a-f]{50}", b"TOKEN"),
        (rb"(?m)^(Date|Message-ID): .*", rb"\1: X"),
        (rb"=_\d{39}", b"BOUNDARY"),
        (rb"Feedback-ID: \d+", b"Feedback-ID: 0"),
        (rb"Subject: \[test\] ", b"Subject: "),
        (rb"@[a-z0-9]+\.example>", b"@X>"),
    )
    for pattern, text in changes:
        real, test = re.sub(pattern, text, real), re.sub(pattern, text, test)
    assert test == real


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[retry]", "transactional = true\n[retry]", "is not for a transactional campaign"),
        ("terms.pdf", "none.pdf", "attachments: none.pdf: No such file"),
        ('"logo"', '"lego"', "the image cid:logo is not there"),
    ],
)
def test_what_cannot_be_sent_is_not_enqueued(rich: Site, old: str, new: str, says: str) -> None:
    (rich.folder / "c.toml").write_text(RICH.replace(old, new))
    assert says in rich.refused("enqueue", "c.toml", "--recipients", rich.audience(3))
    assert rich.query("SELECT COUNT(*) FROM campaigns") == ((0,),)
