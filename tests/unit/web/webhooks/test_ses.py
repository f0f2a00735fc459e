"""SES through SNS: signatures, topics, certificates, subscriptions, and what the notices mean."""

from __future__ import annotations

import base64
import datetime
import json
import time
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from campaignd.errors import ConfigError
from campaignd.feedback import Event
from campaignd.tokens import Purpose
from campaignd.web.webhooks.fetch import FetchOutage
from campaignd.web.webhooks.ses import Ses
from campaignd.web.webhooks.sns import CERTIFICATES, MAX_AGE_SECONDS, Topics
from tests.unit.web.site import SOMEBODY, Site, token

TOPIC = "arn:aws:sns:eu-west-1:123456789012:mail"
HOST = "sns.eu-west-1.amazonaws.com"
FILE = "/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
KEY = rsa.generate_private_key(65537, 2048)
OTHER_KEY = rsa.generate_private_key(65537, 2048)


def certificate(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, SHA256())
    )
    return built.public_bytes(Encoding.PEM)


CERTIFICATE = certificate(KEY)


class Amazon:
    """Stands in for the web server of SNS: says what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.answer = CERTIFICATE
        self.away = False

    async def fetch(self, host: str, path: str) -> bytes:
        self.asked.append((host, path))
        if self.away:
            raise FetchOutage("away")
        return self.answer


@pytest.fixture
def amazon() -> Amazon:
    return Amazon()


@pytest.fixture
def site(amazon: Amazon) -> Site:
    return Site(providers={"ses": Ses("ses", Topics([TOPIC], b"", amazon.fetch))})


def sns(message: Any, kind: str = "Notification", **more: Any) -> dict[str, Any]:
    """In the form of the SNS documentation, not signed."""
    at = datetime.datetime.fromtimestamp(time.time() - more.pop("age", 0), datetime.UTC)
    return {
        "Type": kind,
        "MessageId": "19ba9823-d7f2-53c1-860e-cb10e0d13dfc",
        "TopicArn": TOPIC,
        "Subject": "Amazon SES Email Event Notification",
        "Message": message if isinstance(message, str) else json.dumps(message),
        "Timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "SignatureVersion": "1",
        "SigningCertURL": f"https://{HOST}{FILE}",
        "UnsubscribeURL": f"https://{HOST}/?Action=Unsubscribe",
        **more,
    }


def sign(fields: dict[str, Any], key: rsa.RSAPrivateKey = KEY) -> dict[str, Any]:
    """By hand from the documentation, so that it is not what is tested."""
    if fields["Type"] == "Notification":
        names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    else:
        names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    text = "".join(f"{name}\n{fields[name]}\n" for name in names if name in fields)
    digest = SHA256() if fields["SignatureVersion"] == "2" else SHA1()
    signature = key.sign(text.encode(), padding.PKCS1v15(), digest)
    return {**fields, "Signature": base64.b64encode(signature).decode()}


def post(site: Site, fields: Any) -> int:
    headers = {"Content-Type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": "any"}
    return site.notice("ses", json.dumps(fields).encode(), headers)


def mail(**more: Any) -> dict[str, Any]:
    return {
        "timestamp": "2016-01-27T14:59:38.237Z",
        "source": f"b-{token(purpose=Purpose.RETURN)}@bounces.example.com",
        "sourceArn": "arn:aws:ses:us-west-2:888888888888:identity/example.com",
        "messageId": "00000138111222aa-33322211-cccc-cccc-cccc-ddddaaaa0680-000000",
        "destination": ["jane@example.com"],
        **more,
    }


def bounce(kind: str = "Permanent", **more: Any) -> dict[str, Any]:
    """In the form of the SES documentation."""
    return {
        "notificationType": "Bounce",
        "bounce": {
            "bounceType": kind,
            "reportingMTA": "dns; email.example.com",
            "bouncedRecipients": [
                {
                    "emailAddress": "jane@example.com",
                    "status": "5.1.1",
                    "action": "failed",
                    "diagnosticCode": "smtp; 550 5.1.1 <jane@example.com>... User",
                }
            ],
            "bounceSubType": "General",
            "timestamp": "2016-01-27T14:59:38.237Z",
            "feedbackId": "00000138111222aa-33322211-cccc-cccc-cccc-ddddaaaa068a-000000",
            "remoteMtaIp": "127.0.2.0",
        },
        "mail": mail(),
        **more,
    }


def complaint(kind: str | None, *, listed: bool = False, **more: Any) -> dict[str, Any]:
    about = {
        "complaintSubType": "OnAccountSuppressionList" if listed else None,
        "userAgent": "AnyCompany Feedback Loop (V0.01)",
        "complainedRecipients": [{"emailAddress": "richard@example.com"}],
        "timestamp": "2016-01-27T14:59:38.237Z",
        **({} if kind is None else {"complaintFeedbackType": kind}),
    }
    return {"eventType": "Complaint", "complaint": about, "mail": mail(), **more}


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_hard_bounce(site: Site, version: str) -> None:
    assert post(site, sign(sns(bounce(), SignatureVersion=version))) == 200
    [taken] = site.memory.taken
    assert taken.recipient == SOMEBODY
    assert (taken.event, taken.permanent) == (Event.BOUNCED, True)
    assert taken.enhanced == "5.1.1"
    assert taken.detail == "smtp; 550 5.1.1 <jane@example.com>... User"
    assert taken.at == pytest.approx(1453906778.237)


def test_without_a_subject(site: Site) -> None:
    fields = sns(bounce())
    del fields["Subject"]
    assert post(site, sign(fields)) == 200
    assert len(site.memory.taken) == 1


@pytest.mark.parametrize(
    ("message", "what", "permanent"),
    [
        (bounce("Transient"), "bounced", False),
        (bounce("Undetermined"), "bounced", False),
        (bounce(notificationType=None, eventType="Bounce"), "bounced", True),
        (complaint("abuse"), "complained", True),
        (complaint(None), "complained", True),
        (complaint(None, listed=True), "unsubscribed", True),  # of an earlier message
    ],
)
def test_what_notices_mean(site: Site, message: Any, what: str, permanent: bool) -> None:
    assert post(site, sign(sns(message))) == 200
    [taken] = site.memory.taken
    assert (taken.event.value, taken.permanent) == (what, permanent)


def test_a_token_in_the_headers(site: Site) -> None:
    headers = [
        {"name": "From", "value": "news@acme.example"},
        {"name": "List-Unsubscribe", "value": f"<https://links.example/u/{token()}>"},
    ]
    about = mail(source="news@acme.example", headersTruncated=False, headers=headers)
    assert post(site, sign(sns(complaint("abuse", mail=about)))) == 200
    assert site.memory.taken[0].recipient == SOMEBODY


@pytest.mark.parametrize(
    "message",
    [
        complaint("not-spam"),
        complaint("auth-failure"),
        {"notificationType": "Delivery", "mail": mail(), "delivery": {}},
        {"eventType": "Open", "mail": mail()},
        {**bounce(), "mail": mail(source="somebody@else.example")},
        {**bounce(), "mail": None},
        "Successfully validated SNS topic for Amazon SES event publishing.",
        [],
    ],
)
def test_what_is_no_news(site: Site, message: Any) -> None:
    assert post(site, sign(sns(message))) == 200
    assert site.memory.taken == []


@pytest.mark.parametrize(
    "changed",
    [
        {"Message": json.dumps(complaint("abuse"))},
        {"Subject": "another"},
        {"MessageId": "another"},
        {"Timestamp": "2020-01-01T00:00:00.000Z"},
        {"Signature": "AAAA"},
        {"Signature": "é"},
        {"Signature": None},
        {"SignatureVersion": "2"},
    ],
)
def test_forged_messages(site: Site, changed: dict[str, Any]) -> None:
    assert post(site, sign(sns(bounce())) | changed) == 403
    assert site.memory.taken == []


def test_somebody_elses_key(site: Site) -> None:
    assert post(site, sign(sns(bounce()), OTHER_KEY)) == 403


def test_somebody_elses_topic(site: Site, amazon: Amazon) -> None:
    other = TOPIC.replace("1234", "9999")
    assert post(site, sign(sns(bounce(), TopicArn=other))) == 403
    assert amazon.asked == []


@pytest.mark.parametrize(
    "url",
    [
        f"http://{HOST}{FILE}",
        f"https://evil.example{FILE}",
        f"https://{HOST}.evil.example{FILE}",
        f"https://{HOST}@evil.example{FILE}",
        f"https://{HOST}:8443{FILE}",
        f"https://sns.us-east-1.amazonaws.com{FILE}",
        f"https://{HOST}/../x.pem",
        f"https://{HOST}{FILE}?x=y",
        f"https://{HOST}{FILE}\n",
        f"https://{HOST}/",
        "file:///etc/passwd",
        "http://169.254.169.254/latest/meta-data",
        "",
        None,
        5,
    ],
)
def test_no_other_certificate_is_fetched(site: Site, amazon: Amazon, url: Any) -> None:
    assert post(site, sign(sns(bounce(), SigningCertURL=url))) == 403
    assert amazon.asked == []


def test_the_certificate_is_fetched_once(site: Site, amazon: Amazon) -> None:
    assert [post(site, sign(sns(bounce()))) for _ in range(3)] == [200] * 3
    assert amazon.asked == [(HOST, FILE)]
    for n in range(CERTIFICATES):
        url = f"https://{HOST}/SimpleNotificationService-{n}.pem"
        assert post(site, sign(sns(bounce(), SigningCertURL=url))) == 200
    assert post(site, sign(sns(bounce()))) == 200
    assert amazon.asked.count((HOST, FILE)) == 2  # the oldest had to go


@pytest.mark.parametrize(
    "answer", [b"", b"<html>", certificate(ec.generate_private_key(ec.SECP256R1()))]
)
def test_what_is_no_certificate(site: Site, amazon: Amazon, answer: bytes) -> None:
    amazon.answer = answer
    assert post(site, sign(sns(bounce()))) == 503


def test_without_amazon(site: Site, amazon: Amazon) -> None:
    amazon.away = True
    assert post(site, sign(sns(bounce()))) == 503  # SNS tries again
    amazon.away = False
    assert post(site, sign(sns(bounce()))) == 200


def test_a_pinned_certificate(amazon: Amazon) -> None:
    site = Site(providers={"ses": Ses("ses", Topics([TOPIC], CERTIFICATE, amazon.fetch))})
    assert post(site, sign(sns(bounce(), SigningCertURL="http://nowhere"))) == 200
    assert post(site, sign(sns(bounce()), OTHER_KEY)) == 403
    assert amazon.asked == []


def test_age(site: Site) -> None:
    assert post(site, sign(sns(bounce(), age=3_600))) == 200  # SNS tries for an hour
    assert post(site, sign(sns(bounce(), age=MAX_AGE_SECONDS + 60))) == 403
    assert post(site, sign(sns(bounce(), Timestamp="never"))) == 403


CONFIRMATION: dict[str, Any] = {
    "Token": "2336412f37fb687f5d51e6e2425a8a5876abc",
    "SubscribeURL": "http://169.254.169.254/",
}


def test_a_subscription_is_confirmed(site: Site, amazon: Amazon) -> None:
    """At the host of the topic that we know, whatever SubscribeURL says."""
    fields = sns("You have chosen to subscribe", "SubscriptionConfirmation", **CONFIRMATION)
    del fields["Subject"]
    assert post(site, sign(fields)) == 200
    assert amazon.asked[1:] == [
        (
            HOST,
            "/?Action=ConfirmSubscription"
            "&TopicArn=arn%3Aaws%3Asns%3Aeu-west-1%3A123456789012%3Amail"
            "&Token=2336412f37fb687f5d51e6e2425a8a5876abc",
        )
    ]


def test_a_forged_subscription_is_not(site: Site, amazon: Amazon) -> None:
    fields = sns("You have chosen", "SubscriptionConfirmation", **CONFIRMATION)
    assert post(site, sign(fields, OTHER_KEY)) == 403
    assert post(site, sign({**fields, "TopicArn": TOPIC + "x"})) == 403
    assert amazon.asked == [(HOST, FILE)]


def test_the_end_of_a_subscription(site: Site, amazon: Amazon) -> None:
    fields = sns("You have chosen", "UnsubscribeConfirmation", **CONFIRMATION)
    assert post(site, sign(fields)) == 200
    assert amazon.asked == [(HOST, FILE)]


@pytest.mark.parametrize(
    "fields",
    [
        [],
        {},
        {"Type": "Other"},
        sns(bounce(), SignatureVersion="3"),
        sns(bounce(), SignatureVersion=1),
        sns(bounce(), Subject=None),
        {**sns(bounce()), "Message": {}},
    ],
)
def test_nonsense(site: Site, amazon: Amazon, fields: Any) -> None:
    assert post(site, fields) == 400
    assert amazon.asked == []


@pytest.mark.parametrize(
    "topic",
    ["", "mail", "arn:aws:sqs:eu-west-1:123456789012:mail", "arn:aws:sns:a.b/c:123456789012:m"],
)
def test_what_is_no_topic(topic: str) -> None:
    with pytest.raises(ConfigError, match=r"topics: .* must look like"):
        Topics([topic], b"", Amazon().fetch)


def test_topics_of_china(amazon: Amazon) -> None:
    china = "arn:aws-cn:sns:cn-north-1:123456789012:mail"
    site = Site(providers={"ses": Ses("ses", Topics([china], b"", amazon.fetch))})
    url = f"https://sns.cn-north-1.amazonaws.com.cn{FILE}"
    assert post(site, sign(sns(bounce(), TopicArn=china, SigningCertURL=url))) == 200


def test_a_pinned_file_that_is_no_certificate() -> None:
    with pytest.raises(ConfigError, match="PEM certificate"):
        Topics([TOPIC], b"no certificate", Amazon().fetch)
