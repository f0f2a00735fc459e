"""`campaignd receive` as a process: it answers mail only with what is committed."""

from __future__ import annotations

import signal
import smtplib
import socket
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from campaignd.config import Bounces, Http, Receive
from campaignd.sandbox.box import Sandbox
from campaignd.sandbox.supervisor import unused_port
from campaignd.tokens import Purpose, RecipientId
from tests.e2e.receiving import DOMAIN, Receiving, address, configure
from tests.e2e.site import PATIENCE, Site
from tests.unit.receive import messages


@pytest.fixture
def recipients(site: Site) -> list[RecipientId]:
    """A campaign that has been sent to five people."""
    configure(site)
    daemon = site.daemon()
    campaign = site.enqueue(5)
    site.until_state(campaign, "finished")
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0
    return [RecipientId(campaign, 0, seq) for seq in range(1, 6)]


def receiving(site: Site, *options: str) -> Receiving:
    process = Receiving(site, site.config, *options)
    process.start()
    return process


def mail(site: Site, name: str, recipient: RecipientId) -> bytes:
    """A message of the corpus, about a message of this site."""
    data = messages.message(name)
    for purpose in Purpose:
        ours = address(site, purpose, recipient).partition("@")[0][2:]
        data = data.replace(messages.token(purpose).encode(), ours.encode())
    return data


def test_events_beside_the_outcomes(site: Site, recipients: list[RecipientId]) -> None:
    process = receiving(site)
    complaints = f"complaints@{DOMAIN}"
    with process.client() as client:
        for name, sender, to, recipient in (
            ("gmail-unknown", "", address(site, Purpose.RETURN, recipients[0]), recipients[0]),
            ("arf-yahoo", "fbl@yahoo.example", complaints, recipients[1]),
            (
                "unsubscribe-gmail",
                "anna@customer.example",
                address(site, Purpose.UNSUBSCRIBE, recipients[2]),
                recipients[2],
            ),
            ("vacation-unix", "", address(site, Purpose.RETURN, recipients[3]), recipients[3]),
        ):
            for _ in range(2):  # whoever brings it may have missed our answer
                client.sendmail(sender, [to], mail(site, name, recipient))
    campaign = recipients[0].campaign
    status = site.status(campaign)
    assert status["events"] == {"bounced": 1, "complained": 1, "unsubscribed": 1}
    assert status["counts"]["accepted"] == 5
    lines = site.outcomes(campaign)
    assert [[event["event"] for event in line["events"]] for line in lines] == [
        ["bounced"],
        ["complained"],
        ["unsubscribed"],
        [],
        [],
    ]
    assert set(lines[0]["events"][0]) == {"event", "at", "source", "enhanced", "detail"}
    csv = site.ok("outcomes", str(campaign)).stdout.splitlines()
    assert csv[0].endswith(",events")
    assert "complained" in csv[2]
    assert "abuse, Yahoo!-Mail-Feedback/2.0" in csv[2]
    assert "complained" in site.ok("status", str(campaign)).stdout
    suppressed = site.query("SELECT address FROM suppressions WHERE account = 'acme'")
    assert sorted(row[0] for row in suppressed) == sorted(line["address"] for line in lines[:3])
    assert "@" not in process.log.read_text()


def test_a_campaign_that_was_purged(site: Site, recipients: list[RecipientId]) -> None:
    """Its token is good, and there is nobody to record it for: the mail is taken and counted."""
    port = unused_port()
    process = receiving(site, "--listen-http", f"127.0.0.1:{port}")
    campaign = recipients[0].campaign
    site.query(f"DELETE FROM recipients WHERE campaign_id = {campaign} AND seq = 1")
    gone = RecipientId(campaign + 1_000, 0, 1)
    with process.client() as client:
        for recipient in (recipients[0], gone):
            to = address(site, Purpose.RETURN, recipient)
            client.sendmail("", [to], mail(site, "gmail-unknown", recipient))
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text = answer.read().decode()
    assert 'campaignd_received_total{kind="bounce",result="no-recipient"} 1.0' in text
    assert 'campaignd_received_total{kind="bounce",result="no-campaign"} 1.0' in text


def test_mail_waits_for_mysql(tmp_path: Path) -> None:
    with Sandbox() as box:
        url = box.create_database()
        with Site(box, url, tmp_path) as site:
            port = unused_port()
            configure(site, http=Http(listen=f"127.0.0.1:{port}"))
            site.ok("migrate")
            box.mariadb.stop()
            process = receiving(site)
            to = address(site, Purpose.RETURN, RecipientId(1, 0, 1))
            data = messages.message("gmail-unknown")
            with process.client() as client:
                with pytest.raises(smtplib.SMTPDataError) as refused:
                    client.sendmail("", [to], data)
                assert refused.value.smtp_code == 451
                assert ready(port) == 503
                box.mariadb.start()
                site.until(lambda: ready(port) == 200, "it has noticed")
                client.sendmail("", [to], data)  # nobody's, but that took a look into the store
            assert process.events("mysql-trouble")


def ready(port: int) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_sigterm_lets_a_message_end(site: Site, recipients: list[RecipientId]) -> None:
    process = receiving(site)
    idle, busy = process.client(), process.client()
    busy.docmd("MAIL FROM:<>")
    busy.docmd(f"RCPT TO:<{address(site, Purpose.RETURN, recipients[0])}>")
    assert busy.docmd("DATA")[0] == 354
    process.signal(signal.SIGTERM)
    assert idle.getreply()[0] == 421
    assert process.running
    busy.send(mail(site, "gmail-unknown", recipients[0]) + b".\r\n")
    assert busy.getreply()[0] == 250
    assert busy.getreply()[0] == 421
    assert process.wait() == 0
    assert process.events("stopped")[-1]["clean"] is True
    assert site.status(recipients[0].campaign)["events"]["bounced"] == 1


def test_a_message_that_does_not_end_is_cut_off(site: Site, recipients: list[RecipientId]) -> None:
    process = receiving(site)
    client = process.client()
    client.docmd("MAIL FROM:<>")
    client.docmd(f"RCPT TO:<{address(site, Purpose.RETURN, recipients[0])}>")
    assert client.docmd("DATA")[0] == 354
    process.signal(signal.SIGTERM)
    assert process.wait() == 3


def test_a_unix_socket_is_used_again_after_a_crash(
    site: Site, recipients: list[RecipientId], tmp_path: Path
) -> None:
    path = tmp_path / "receive.sock"
    first = receiving(site, "--listen", str(path))
    assert "another process" not in site.refused("receive", "--listen", str(path))
    first.signal(signal.SIGKILL)
    first.wait()
    assert path.is_socket()
    second = receiving(site, "--listen", str(path))
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        client.connect(str(path))
        assert client.recv(100).startswith(b"220 bounces.example.com")
        second.signal(signal.SIGTERM)
        assert second.wait() == 0
    assert not path.exists()


def test_many_at_once(site: Site, recipients: list[RecipientId]) -> None:
    """Forty clients with the same five notices: five events."""
    process = receiving(site)
    failed: list[Exception] = []

    def bring(recipient: RecipientId) -> None:
        try:
            with process.client() as client:
                to = address(site, Purpose.RETURN, recipient)
                client.sendmail("", [to], mail(site, "gmail-unknown", recipient))
        except (OSError, smtplib.SMTPException) as error:
            failed.append(error)

    threads = [threading.Thread(target=bring, args=(recipients[n % 5],)) for n in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert site.status(recipients[0].campaign)["events"]["bounced"] == 5


def test_mistakes_in_the_configuration(site: Site) -> None:
    assert "[bounces] domain is missing" in site.refused("receive")
    configure(site)
    assert "must look like 127.0.0.1:8024" in site.refused("receive", "--listen", "nowhere")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = site.refused("receive", "--listen", f"127.0.0.1:{port}")
        assert line == f"[receive] listen 127.0.0.1:{port}: Address already in use"
    key = site.folder / "links.key"
    key.chmod(0o644)
    assert "chmod 600" in site.refused("receive")
    key.unlink()
    assert f"key file {key}: No such file" in site.refused("receive")
    site.config = site.configure(
        bounces=Bounces(domain=DOMAIN), receive=Receive(listen="127.0.0.1:99999")
    )
    assert "[receive] listen must look like" in site.refused("receive")
