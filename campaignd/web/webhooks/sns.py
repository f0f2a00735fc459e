"""Amazon SNS: proves that a message is of a topic that the configuration names.

No address out of a request is ever fetched: the host follows from the configured topic's region,
and of SigningCertURL only a file name of a fixed form is used. Source: docs.aws.amazon.com/sns,
"Verifying the signatures of Amazon SNS messages", "HTTP/HTTPS notification JSON format".
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm

from campaignd.errors import ConfigError
from campaignd.web.webhooks import payload
from campaignd.web.webhooks.fetch import FetchOutage
from campaignd.web.webhooks.notice import Incoming, Refused, forged, malformed, stale

MAX_AGE_SECONDS: Final = 3_900.0
"""SNS tries for an hour at most ("Amazon SNS message delivery retries")."""

CERTIFICATES: Final = 8
"""Kept for each webhook; Amazon uses one at a time for a region."""

_TOPIC: Final = re.compile(
    r"arn:(aws|aws-cn|aws-us-gov):sns:([a-z0-9-]{3,32}):[0-9]{12}:[A-Za-z0-9_-]{1,256}(?:\.fifo)?"
)
_FILE: Final = re.compile(r"/SimpleNotificationService-[0-9A-Za-z]{1,64}\.pem")
_HASHES: Final[dict[str, Callable[[], HashAlgorithm]]] = {
    "1": SHA1,  # what a topic signs with unless it is told otherwise
    "2": SHA256,
}
_SIGNED: Final = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        "Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"
    ),
}  # fmt: skip
_SIGNED["UnsubscribeConfirmation"] = _SIGNED["SubscriptionConfirmation"]

Fetch = Callable[[str, str], Awaitable[bytes]]


class Topics:
    """The topics that are believed, and the keys that sign for them."""

    def __init__(self, topics: Sequence[str], certificate: bytes, fetch: Fetch) -> None:
        """`certificate`, in PEM, is used if there is one, else Amazon's, got by `fetch` from a
        host and a path. Raises ConfigError."""
        self._hosts = {topic: _host(topic) for topic in topics}
        self._pinned = _public_key(certificate) if certificate else None
        if certificate and self._pinned is None:
            raise ConfigError("it is not a PEM certificate with an RSA key")
        self._fetch = fetch
        self._fetching = False
        self._keys: dict[str, rsa.RSAPublicKey] = {}

    async def verified(self, incoming: Incoming) -> dict[str, Any]:
        """The fields of a message that SNS signed for one of the topics. Raises Refused, and
        FetchOutage when Amazon's certificate is not to be had."""
        fields = payload.table(payload.parse(incoming.body))
        names = _SIGNED.get(payload.text(fields, "Type"))
        digest = _HASHES.get(payload.text(fields, "SignatureVersion"))
        if names is None or digest is None:
            raise malformed()
        if any(not isinstance(fields.get(name, ""), str) for name in names):
            raise malformed()
        host = self._hosts.get(payload.text(fields, "TopicArn"))
        if host is None:
            raise Refused("topic", 403)
        signed = "".join(f"{name}\n{fields[name]}\n" for name in names if name in fields)
        key = await self._key(host, payload.text(fields, "SigningCertURL"))
        try:
            signature = base64.b64decode(payload.text(fields, "Signature"), validate=True)
            key.verify(signature, signed.encode(), padding.PKCS1v15(), digest())
        except (InvalidSignature, ValueError, binascii.Error):
            raise forged() from None
        if abs(incoming.now - payload.seconds(fields.get("Timestamp"), 0.0)) > MAX_AGE_SECONDS:
            raise stale()
        return fields

    async def confirm(self, fields: dict[str, Any]) -> None:
        """Subscribes us, as a verified SubscriptionConfirmation offers. Raises FetchOutage."""
        topic = fields["TopicArn"]
        query = urlencode(
            {"Action": "ConfirmSubscription", "TopicArn": topic, "Token": fields.get("Token", "")}
        )
        await self._fetch(self._hosts[topic], f"/?{query}")

    async def _key(self, host: str, url: str) -> rsa.RSAPublicKey:
        if self._pinned is not None:
            return self._pinned
        path = url.removeprefix(f"https://{host}")
        if not _FILE.fullmatch(path):
            raise forged()
        if url in self._keys:
            return self._keys[url]
        if self._fetching:  # one at a time: names of files cost whoever invents them nothing
            raise FetchOutage("Amazon's certificate is being fetched")
        self._fetching = True
        try:
            key = _public_key(await self._fetch(host, path))
        finally:
            self._fetching = False
        if key is None:
            raise FetchOutage(f"https://{host}: what should be a certificate is none")
        if len(self._keys) >= CERTIFICATES:
            del self._keys[next(iter(self._keys))]
        self._keys[url] = key
        return key


def _host(topic: str) -> str:
    match = _TOPIC.fullmatch(topic)
    if match is None:
        raise ConfigError(
            f"topics: {topic!r} must look like arn:aws:sns:eu-west-1:123456789012:mail"
        )
    partition, region = match[1], match[2]
    return f"sns.{region}.amazonaws.com" + (".cn" if partition == "aws-cn" else "")


def _public_key(certificate: bytes) -> rsa.RSAPublicKey | None:
    try:
        key = x509.load_pem_x509_certificate(certificate).public_key()
    except ValueError:
        return None
    return key if isinstance(key, rsa.RSAPublicKey) else None
