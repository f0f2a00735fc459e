"""The table of refusals: which reply is of which class, each row with where that comes from.

Rows are looked at in the order SPECIFIC, TEXT, GENERAL, BASIC, and in the order of the file within
each; the first that fits decides. Phrases are lower case and plain: no pattern can be slow. Rows
that make an address bad stop all mail to it, so what else a reply may mean stands before them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from campaignd.smtp.bounce_class import Bounce


class Row(NamedTuple):
    """Fits when the class of the reply is `kind` (any if empty) and any phrase is in its text (no
    phrases: always). The keys are details of enhanced codes without their class, or basic codes."""

    bounce: Bounce
    keys: tuple[str, ...]
    kind: str
    phrases: tuple[str, ...]
    source: str

    def says(self, words: str) -> bool:
        """Whether the text has a phrase of this row."""
        for phrase in self.phrases:  # faster than any()
            if phrase in words:
                return True
        return not self.phrases


def _row(bounce: Bounce, keys: str, source: str, *phrases: str, kind: str = "") -> Row:
    return Row(bounce, tuple(keys.split()), kind, phrases, source)


_B = Bounce

GOOGLE: Final = "https://support.google.com/a/answer/3726730"
MICROSOFT: Final = (
    "https://learn.microsoft.com/en-us/exchange/mail-flow-best-practices/"
    "non-delivery-reports-in-exchange-online/non-delivery-reports-in-exchange-online"
)
OUTLOOK: Final = "https://github.com/sisimai/p5-sisimai lib/Sisimai/Rhost/Microsoft.pm"
YAHOO: Final = "https://senders.yahooinc.com/smtp-error-codes"
ICLOUD: Final = "https://bentonow.com/smtp-errors/apple"
APPLE: Final = "https://support.apple.com/en-us/102322"
GMX: Final = "https://postmaster.gmx.net/en/error-messages"
GODADDY: Final = "https://www.godaddy.com/help/fix-rejected-email-with-a-bounce-error-40685"
ORANGE: Final = "https://www.postmastery.com/orange-postmaster-smtp-error-codes-ofr/"
MIMECAST: Final = (
    "https://community.mimecast.com/s/article/"
    "email-security-cloud-gateway-mimecast-smtp-error-codes"
)
TENCENT: Final = "https://service.mail.qq.com/detail/122"
FACEBOOK: Final = "http://postmaster.facebook.com/response_codes"
SES: Final = "https://docs.aws.amazon.com/ses/latest/dg/troubleshoot-smtp.html"
COX: Final = "https://www.cox.com/residential/support/email-error-codes.html"
SPECTRUM: Final = "https://www.spectrum.net/support/internet/understanding-email-error-codes"
T_ONLINE: Final = "https://www.spamresource.com/2020/06/whoops-t-onlinede-not-accepting-mail.html"
SINA: Final = "https://blog.sina.com.cn/s/blog_8dc13ec50101fxxr.html"
COMCAST: Final = "https://www.xfinity.com/support/articles/email-errors"
POSTFIX: Final = "https://github.com/vdukhovni/postfix postfix/src/smtpd/smtpd_check.c"
EXIM: Final = "https://github.com/Exim/exim src/src/configure.default, src/src/smtp_in.c"
SENDMAIL: Final = "https://github.com/sisimai/p5-sisimai set-of-emails lhost-sendmail"
SAMPLES: Final = "https://github.com/sisimai/p5-sisimai set-of-emails"

_SPECIFIC: Final = (
    # codes that say one thing in the registry and another in real life
    _row(_B.RATE, "1.1 2.1", f"{GODADDY} {GOOGLE}", "too many recipients", "at a rate that",
         "too quickly"),
    _row(_B.RELAY, "2.1 4.5", GOOGLE, "smtp relay limit", "user sending limit"),
    _row(_B.MAILBOX_FULL, "1.1", ORANGE, "overquota", "destinataire pleine"),
    _row(_B.POLICY, "1.1", FACEBOOK, "recipient preferences"),
    _row(_B.REPUTATION, "1.1 1.2 2.1", SAMPLES, "blacklist", "blocklist", "spamhaus"),
    _row(_B.AUTHENTICATION, "7.27", GOOGLE, " spf "),
    _row(_B.AUTHENTICATION, "7.30", GOOGLE, " dkim "),
    _row(_B.POLICY, "7.29", GOOGLE, " tls "),
    _row(_B.UNAVAILABLE, "1.1", f"{ICLOUD}: its user may open it again", "inactive email address"),
    _row(_B.UNAVAILABLE, "7.13", f"RFC 5248, 2.4 {SAMPLES}", "recipient"),
    _row(_B.PROTOCOL, "7.10", GOOGLE, "smtp protocol violation"),
    _row(_B.CONTENT, "6.9", SAMPLES, "improper use of 8-bit data"),
    _row(_B.ADDRESS_BAD, "4.1", MICROSOFT, "recipient address rejected: access denied", kind="5"),
    _row(_B.ADDRESS_BAD, "4.4", f"{SES} RFC 3463, 3.5", "invalid domain", "host not found",
         "domain not found", "domain does not exist", kind="5"),
    _row(_B.RATE, "3.2", f"{MICROSOFT} {SAMPLES}", "rate limit", "thread limit"),
    _row(_B.RELAY, "5.1", f"{GOOGLE} RFC 4954, 6", "authentication required"),
    # the registry: https://www.iana.org/assignments/smtp-enhanced-status-codes
    _row(_B.ADDRESS_BAD, "1.1 1.2 1.3 1.6 7.17 7.18", "RFC 3463, 3.2; RFC 7293, 15.2", kind="5"),
    _row(_B.ADDRESS_BAD, "1.10", f"RFC 7505, 4.1 {MICROSOFT}", kind="5"),
    _row(_B.ADDRESS_BAD, "1.351 4.310", MICROSOFT, kind="5"),
    _row(_B.SENDER, "1.7 1.8 7.60", f"RFC 3463, 3.2; {MICROSOFT}"),
    _row(_B.SENDER, "7.27", "RFC 7505, 4.2"),
    _row(_B.MAILBOX_FULL, "2.2", "RFC 3463, 3.3"),
    _row(_B.TOO_LARGE, "2.3 3.4", "RFC 3463, 3.3 and 3.4"),
    _row(_B.SYSTEM, "3.1 3.2 3.5", "RFC 3463, 3.4"),
    _row(_B.SYSTEM, "7.700", OUTLOOK),
    _row(_B.SYSTEM, "4.6", "RFC 3463, 3.5: a loop may well be the relay's"),
    _row(_B.UNREACHABLE, "4.1 4.3 4.4 4.7 4.300 4.312 4.316 4.317 4.318",
         f"RFC 3463, 3.5; {MICROSOFT}"),
    _row(_B.PROTOCOL, "3.3 5.1 5.2 5.4 5.5", "RFC 3463, 3.4 and 3.6"),
    _row(_B.PROTOCOL, "6.7 6.8 6.9 6.10 7.30", "RFC 6531, 3.5; RFC 8689, 7"),
    _row(_B.RATE, "5.3", "RFC 3463, 3.6"),
    _row(_B.RATE, "7.28", f"IANA registry {GOOGLE}"),
    _row(_B.RATE, "7.500 7.508", MICROSOFT),
    _row(_B.CONTENT, "6.0 6.1 6.2 6.3 6.5 7.512", f"RFC 3463, 3.7; {MICROSOFT}"),
    _row(_B.AUTHENTICATION, "7.20 7.21 7.22 7.23 7.24 7.25 7.26 7.29",
         "RFC 7372, 3; RFC 8617, 10.4"),
    _row(_B.AUTHENTICATION, "7.32 7.40", GOOGLE),
    _row(_B.AUTHENTICATION, "7.509 7.515", MICROSOFT),
    _row(_B.REPUTATION, "7.501 7.502 7.503 7.511 7.513 7.650 7.708 "
         + " ".join(f"7.{detail}" for detail in range(606, 650)), f"{MICROSOFT} {OUTLOOK}"),
    _row(_B.RELAY, "7.8 7.10 7.11 7.12 7.13 7.14", "RFC 4954, 6 and RFC 5248, 2.4"),
    _row(_B.RELAY, "7.57 7.64 7.705 7.750", MICROSOFT),
)  # fmt: skip

TEXT: Final = (
    _row(_B.GREYLISTED, "", "RFC 6647, 2", "greylist", kind="4"),
    _row(_B.POLICY, "", MICROSOFT, "resolver.rst."),
    _row(_B.CONTENT, "", f"{GOOGLE} {SAMPLES}", "duplicate header", "multiple subject",
         "header error", "not rfc 5322 compliant", "multiple addresses in from",
         "messages missing a valid", "unicode character in a disallowed header", "malformed"),
    _row(_B.RELAY, "", f"RFC 5321, 3.6.2 {POSTFIX} {EXIM}", "relay access denied",
         "relaying denied", "relay not permitted", "unable to relay", "denies relay",
         "forwarding denied", "allowed rcpthosts", "allowed to relay", "relay denied"),
    _row(_B.AUTHENTICATION, "", "RFC 7489, 10.3", "dmarc"),
    _row(_B.AUTHENTICATION, "", f"RFC 7208, 8.4 {GMX} {SINA}", " spf ", "spf:", "spf record",
         "mismatches client ip", "purported responsible", "remote ip check error"),
    _row(_B.AUTHENTICATION, "", f"RFC 6376, 6.3 {MIMECAST}", " dkim ", "unauthenticated email",
         "have authentication information"),
    _row(_B.AUTHENTICATION, "", f"RFC 8601, 2.7.3 {POSTFIX}", "reverse dns", " ptr ",
         "cannot find your hostname", "cannot find your reverse hostname", "name lookup failed"),
    _row(_B.RELAY, "", "RFC 4954, 6", "authentication required", "authentification requise",
         "smtp authentication", "must be authenticated", "requires authentication",
         "not authenticated", "credentials for relay", "sending denied", "username and password",
         "log in with your", "login attempts", "cannot authenticate", "starttls command first",
         "unauthenticated senders"),
    _row(_B.RELAY, "", SES, "message quota exceeded"),
    _row(_B.REPUTATION, "", COX, "aup#cdrbl"),
    _row(_B.RATE, "", SPECTRUM, "aup#in-13", "aup#in-14"),
    _row(_B.SENDER, "", f"{SES} {POSTFIX} {ORANGE} {YAHOO} {SINA}", "sender address rejected",
         "email address is not verified", "domain of sender", "sender rejected", "invalid sender",
         "from: domain is invalid", "from: addresses are not", "unresolvable rfc.5321",
         "denies the sender"),
    # their replies go on with words that are otherwise of the recipient
    _row(_B.SENDER, "", EXIM, "sender verify failed"),
    _row(_B.SENDER, "", "https://github.com/LukeSmithxyz/emailwiz/issues/82: or of the recipient",
         "invalid dns mx or a/aaaa"),
    _row(_B.RATE, "", GOOGLE, "unusual rate"),
    _row(_B.REPUTATION, "", f"{POSTFIX} {APPLE} {GMX}", "blocked using", "blacklist", "blocklist",
         "block list", "spamhaus", "spamcop", "sorbs", " dnsbl", "/dnsbl", " rbl", ":rbl"),
    _row(_B.REPUTATION, "", T_ONLINE, "(bl)"),
    _row(_B.REPUTATION, "", "https://help.yahoo.com/kb/SLN5066.html: an open relay or proxy",
         "not allowed - vs9"),
    _row(_B.REPUTATION, "", f"{GOOGLE} {GODADDY} {MIMECAST}", "reputation"),
    _row(_B.REPUTATION, "", f"{YAHOO} {ORANGE} {COMCAST}", "user complaints",
         "permanently deferred", "blocked for spam", "service refuse", "black ip",
         "ont ete bloques", "bloquee pour incident de spam", "senderscore", "cloudmark",
         "characteristic of spam", "suspected spam"),
    _row(_B.REPUTATION, "", f"{APPLE} {MIMECAST} {GODADDY}", "esmtp not accepting connections",
         "too many invalid recipients", "too many bad recipients"),
    _row(_B.RATE, "", f"{GODADDY} {COMCAST} {TENCENT} {SINA}", "too many connections",
         "too many concurrent", "too many sessions", "too many messages", "too many same size",
         "too many recipients", "max message per connection", "messages per session",
         "frequency limited", "out of allow rcpt numbers", "mailbox unavailable or access denied"),
    _row(_B.RATE, "", f"{APPLE} {YAHOO} {SES} {OUTLOOK} {ORANGE}", "excessive volume",
         "too quickly", "rate limit", "throttl", "maximum sending rate", "submission rate",
         "trop de connexions"),
    _row(_B.MAILBOX_FULL, "", f"RFC 5321, 4.2.2 {SAMPLES}", "mailbox full", "is full",
         "over quota", "overquota", "quota exceeded", "exceeded quota", "out of storage",
         "exceeded storage allocation", "quota violation"),
    _row(_B.TOO_LARGE, "", f"RFC 1870, 6 {EXIM} {POSTFIX}", "message size exceeds",
         "message too large", "message too big", "is too long", "message length exceeds"),
    _row(_B.CONTENT, "", f"{GOOGLE} {APPLE} {GODADDY} {TENCENT}", " spam", "-spam", "dt:spm",
         "unsolicited", " ube", "virus"),
    _row(_B.CONTENT, "", f"{GOOGLE} {TENCENT} {SAMPLES}", "message content", "content rejected",
         "content denied", "its content presents", "content or the links", "message filtered",
         "mail rejete"),
    _row(_B.CONTENT, "", f"{MIMECAST}: the signature of a virus or of spam",
         "due to security policies"),
    _row(_B.UNAVAILABLE, "", f"RFC 3463, 3.3 {GOOGLE} {YAHOO} {ORANGE} {MIMECAST} {SAMPLES}",
         "temporary locked",
         "temporarily locked", "mailbox is frozen", "user is locked",
         "recipient account is blocked", "recipient temporarily unavailable",
         "account is suspended", "archived recipient", "mailbox is disabled", "deactivated mailbox",
         "tried to reach is disabled", "tried to reach is inactive"),
    _row(_B.SYSTEM, "", "https://github.com/jstedfast/MailKit/issues/968",
         "mailbox unavailable failure sending mail. try again later"),
    _row(_B.ADDRESS_BAD, "", f"{POSTFIX} {SENDMAIL}", "user unknown", "unknown user",
         "no such user", "user not found", "user not exist", "user does not exist", "not our user",
         "not our customer", "not a valid user", "utilisateur inconnu", kind="5"),
    _row(_B.ADDRESS_BAD, "", f"{EXIM} {FACEBOOK} {SAMPLES}", "unrouteable address",
         "is not deliverable", "undeliverable address", "address does not exist", kind="5"),
    _row(_B.ADDRESS_BAD, "", f"{ORANGE} {SAMPLES} {GODADDY}", "unknown recipient",
         "recipient unknown", "no such recipient", "invalid recipient", "recipient not found",
         "recipnotfound", "no longer on server", kind="5"),
    _row(_B.ADDRESS_BAD, "", f"RFC 5321, 4.2.2 {GMX} {YAHOO} {TENCENT}", "mailbox not found",
         "no such mailbox", "mailbox does not exist", "no mailbox here", "no mail-box here",
         "invalid mailbox", "requested action not taken: mailbox unavailable", kind="5"),
    _row(_B.ADDRESS_BAD, "", f"{YAHOO} {GOOGLE} {APPLE}", "this user doesn't have a",
         "is no longer valid", "disabled or discontinued", "unknown or illegal", kind="5"),
    _row(_B.ADDRESS_BAD, "", f"RFC 7504, 3 and RFC 7505, 4.1 {POSTFIX}", "host unknown",
         "recipient address rejected: domain not found", "nullmx", "null mx",
         "host does not accept mail", "domain does not accept mail", kind="5"),
    _row(_B.PROTOCOL, "", f"RFC 5321, 4.2.3 {GMX}", "syntax error", "sequence of commands",
         "command parameter not implemented", "smtp protocol violation"),
    _row(_B.SYSTEM, "", f"RFC 5321, 4.2.2 {EXIM} {SINA} {SAMPLES}", "local error in processing",
         "internal error", "server busy", "service currently unavailable", "temporary failure",
         "connection expired", "temporary server error", "temporarily unavailable", "config error",
         "configuration error", "disk space", "temporary system problem", "system error",
         "too much load", "queue unavailable", "looping message"),
    _row(_B.UNREACHABLE, "", f"RFC 3463, 3.5 {SES} {MICROSOFT}", "message expired",
         "connection timed out", "domain is not reachable"),
    _row(_B.POLICY, "", f"RFC 3463, 3.8 {YAHOO} {MIMECAST} {GMX}", "policy", "policies",
         "access denied", "not allowed", "not in whitelist", "tls required",
         "client host rejected", "rejected by recipients", "rejected by this user",
         "sender address blocked"),
)  # fmt: skip

_GENERAL: Final = (
    _row(_B.RATE, "7.0", GOOGLE, kind="4"),
    _row(_B.POLICY, "7.0 7.1 7.2 7.3 7.4 7.5 7.6 7.7 7.9 7.15 7.19", "RFC 3463, 3.8; RFC 6710, 8"),
    _row(_B.UNAVAILABLE, "1.0 1.4 2.0 2.4", "RFC 3463, 3.2 and 3.3"),
    _row(_B.UNAVAILABLE, "2.1", "RFC 3463, 3.3: a mailbox that is disabled exists"),
    _row(_B.UNREACHABLE, "1.2 1.10", "RFC 3463, 2 and 3.2: the domain, and it may pass", kind="4"),
    _row(_B.UNAVAILABLE, "1.1 1.3 1.6 7.17 7.18", "RFC 3463, 2: it may pass", kind="4"),
    _row(_B.SYSTEM, "3.0 4.2 4.5", "RFC 3463, 3.4 and 3.5"),
)

_BASIC: Final = (
    _row(_B.UNAVAILABLE, "450", "RFC 5321, 4.2.2"),
    _row(_B.SYSTEM, "421 451 452", "RFC 5321, 4.2.2"),
    _row(_B.RELAY, "454 530 534 535 538", "RFC 4954, 6 and RFC 3207, 4"),
    _row(_B.PROTOCOL, "500 501 502 503 504 555", "RFC 5321, 4.2.2"),
)

TABLE: Final = (*_SPECIFIC, *TEXT, *_GENERAL, *_BASIC)


def _index(rows: Iterable[Row]) -> dict[str, tuple[Row, ...]]:
    found: dict[str, tuple[Row, ...]] = {}
    for row in rows:
        for key in row.keys:
            found[key] = (*found.get(key, ()), row)
    return found


SPECIFIC: Final = _index(_SPECIFIC)
GENERAL: Final = _index(_GENERAL)
BASIC: Final = {int(code): rows for code, rows in _index(_BASIC).items()}
