"""A campaign from `lint` to the suppressions that follow from it: every message is
signed and can be left, and what comes back about it is heeded while the next campaign runs."""

from __future__ import annotations

import re
import smtplib
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage, Message
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import default as reading
from urllib.parse import urlsplit

import dkim
import httpx
import pytest

from campaignd.config import Bounces, Links, Receive, load
from campaignd.demo.keys import DKIM, write_keys
from campaignd.dkim import load_keys
from tests.e2e.receiving import Receiving
from tests.e2e.site import Site
from tests.e2e.webserver import WebProcess
from tests.integration.dkim import opendkim

DOMAIN = "bounces.acme.example"
HEARD = 12
"""Recipients of the first campaign; all of their messages are looked at."""
COUNT = 320
RATE = 40.0
"""Messages a second: the second campaign takes 8 s, longer than the 5 s after which a suppression
must be heeded."""

CAMPAIGN = """\
name = "Frühling"
account = "acme"
from = "Käthe von Acme <news@spring.acme.example>"
subject = "Grüße, {{ name }}"
html = "letter.html"
"""
HTML = """\
<html lang="de">
<p>Hallo {{ name }},</p>
<p>.ein Punkt am Anfang; <a href="https://acme.example/">schöne Grüße</a></p>
<p><a href="{{ unsubscribe_url }}">Abmelden</a></p>
</html>
"""


class Sender:
    """A site with everything that a sender has: keys, `web` and `receive`."""

    def __init__(self, site: Site, web: WebProcess, receiving: Receiving) -> None:
        self.site, self.web, self.receiving = site, web, receiving

    def enqueue(self, rows: str) -> int:
        (self.site.folder / "r.csv").write_text(rows)
        words = ("enqueue", "c.toml", "--recipients", "r.csv")
        done = self.site.run(*words, config=self.web.config)
        assert done.returncode == 0, done.stderr
        assert "warning" not in done.stderr
        return int(done.stdout)

    def one_click(self, message: Message) -> int:
        """Follows a message's own List-Unsubscribe (RFC 8058) to where the proxy would lead."""
        assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        found = re.search(r"<(https://[^>]+)>", str(message["List-Unsubscribe"]))
        assert found is not None
        path = urlsplit(found[1]).path
        answer = httpx.post(self.web.url + path, data={"List-Unsubscribe": "One-Click"})
        return answer.status_code

    def mail(self, sender: str, to: str, message: Message) -> None:
        with self.receiving.client() as client:
            client.sendmail(sender, [to], message.as_bytes(policy=message.policy))

    def suppressed(self) -> set[str]:
        rows = self.site.query("SELECT address FROM suppressions WHERE account = 'acme'")
        return {str(address) for (address,) in rows}


@pytest.fixture
def sender(site: Site) -> Iterator[Sender]:
    site.resink(keep=HEARD)
    (site.folder / "links.key").unlink()
    write_keys(site.folder)
    (site.folder / "c.toml").write_text(CAMPAIGN)
    (site.folder / "letter.html").write_text(HTML)
    settings = {
        "links": Links(url="https://links.acme.example", key_files=["links.key"]),
        "bounces": Bounces(domain=DOMAIN),
        "dkim": list(DKIM),
        "receive": Receive(listen="127.0.0.1:0"),
        "rate": RATE,
    }
    with WebProcess(site, **settings) as web:
        receiving = Receiving(site, web.config)
        receiving.start()
        yield Sender(site, web, receiving)


def address(number: int) -> str:
    return f"u{number}@example.com"


def rows(numbers: range) -> str:
    return "email,name\n" + "".join(f"{address(n)},Jürgen {n}\n" for n in numbers)


def refused(sender: str, to: str) -> Message:
    """A DSN (RFC 3464)."""
    whole = MIMEMultipart("report", report_type="delivery-status")
    whole["From"], whole["To"] = "mailer-daemon@mx.example", sender
    whole["Subject"] = "Undelivered Mail Returned to Sender"
    whole.attach(MIMEText("no such mailbox"))
    host, recipient = EmailMessage(), EmailMessage()
    host["Reporting-MTA"] = "dns; mx.example"
    recipient["Final-Recipient"] = f"rfc822; {to}"
    recipient["Action"], recipient["Status"] = "failed", "5.1.1"
    status = Message()
    status["Content-Type"] = "message/delivery-status"
    status.set_payload([host, recipient])
    whole.attach(status)
    return whole


def complaint(about: Message) -> Message:
    """An ARF report (RFC 5965)."""
    whole = MIMEMultipart("report", report_type="feedback-report")
    whole["From"], whole["Subject"] = "feedback@arf.example", "FW: a complaint"
    whole.attach(MIMEText("somebody complains"))
    report = Message()
    report["Content-Type"] = "message/feedback-report"
    report.set_payload("Feedback-Type: abuse\r\nUser-Agent: Test/1\r\nVersion: 1\r\n")
    whole.attach(report)
    whole.attach(MIMEMessage(about))
    return whole


def check_signatures(site: Site, messages: list[bytes]) -> None:
    """By two verifiers that nobody here wrote, and all that RFC 8058 wants covered."""
    keys = load_keys(load(site.folder / "web.toml")).keys
    records = {key.name: key.record for key in keys}

    def dnsfunc(name: bytes, timeout: float = 0) -> bytes | None:
        return records.get(name.decode().rstrip("."), "").encode() or None

    for message in messages:
        assert all(dkim.DKIM(message).verify(number, dnsfunc=dnsfunc) for number in (0, 1))
        parsed = message_from_bytes(message, policy=reading)
        for signature in parsed.get_all("DKIM-Signature", []):
            covered = re.sub(r"\s", "", str(signature)).lower()
            assert ":list-unsubscribe:list-unsubscribe-post:" in covered
            assert "d=acme.example" in covered
    assert opendkim.verdicts(records, messages) == [""] * len(messages)


@pytest.mark.slow
def test_from_lint_to_suppressions(sender: Sender) -> None:
    site = sender.site
    (site.folder / "r.csv").write_text(rows(range(HEARD)))
    done = site.run("lint", "c.toml", "--recipients", "r.csv", config=sender.web.config)
    assert (done.returncode, done.stdout) == (0, "0 errors, 0 warnings\n")

    site.daemon(sender.web.config)
    first = sender.enqueue(rows(range(HEARD)))
    site.until_state(first, "finished")
    kept = site.sink.kept()
    assert len(kept) == HEARD
    check_signatures(site, kept)
    parsed = [message_from_bytes(message, policy=reading) for message in kept]
    by_address = {str(message["To"]): message for message in parsed}

    # All three are near the end of an audience that is being sent to by now.
    leaving, gone, angry = (address(n) for n in (0, 1, 2))
    others = range(HEARD, COUNT)
    people = rows(others) + rows(range(HEARD)).removeprefix("email,name\n")
    second = sender.enqueue(people)
    site.until_sent(HEARD + 1)
    assert sender.one_click(by_address[leaving]) == 200
    return_path = next(one.sender for one in site.sink.accepted() if one.recipient == gone)
    assert return_path.endswith(f"@{DOMAIN}")
    sender.mail("", return_path, refused(return_path, gone))
    complaints = f"complaints@{DOMAIN}"
    sender.mail("feedback@arf.example", complaints, complaint(by_address[angry]))
    assert sender.suppressed() == {leaving, gone, angry}

    status = site.status(first)
    assert status["events"] == {"bounced": 1, "complained": 1, "unsubscribed": 1}
    assert status["counts"]["accepted"] == HEARD
    events = {line["address"]: line["events"] for line in site.outcomes(first) if line["events"]}
    found = {who: event["event"] for who, [event] in events.items()}
    assert found == {leaving: "unsubscribed", gone: "bounced", angry: "complained"}

    counts = site.until_state(second, "finished")["counts"]
    assert (counts["accepted"], counts["suppressed"]) == (COUNT - 3, 3)
    took = [one.recipient for one in site.sink.accepted()]
    assert [took.count(who) for who in (leaving, gone, angry)] == [1, 1, 1]


def test_a_forged_or_foreign_token_changes_nothing(sender: Sender) -> None:
    token = "0" * 50
    assert httpx.post(f"{sender.web.url}/u/{token}").status_code == 404
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        sender.mail("", f"b-{token}@{DOMAIN}", refused("x@x.example", address(1)))
    assert sender.suppressed() == set()
