"""What the DNS says of a campaign's domains, for `lint --dns`."""

from __future__ import annotations

from typing import Final

from campaignd import dns
from campaignd.compose.spec import CampaignSpec, split_mailbox
from campaignd.config import Config
from campaignd.dkim.keyring import nearest
from campaignd.dns import Checked, Kind, Record, State
from campaignd.lint.keys import load
from campaignd.lint.rules import (
    DKIM_RECORD,
    DNS_UNKNOWN,
    NO_DMARC,
    NO_SPF,
    NOT_ALIGNED,
    UNREACHABLE,
    Finding,
    Rule,
)

_RULES: Final[dict[Kind, Rule]] = {
    Kind.DKIM: DKIM_RECORD,
    Kind.SPF: NO_SPF,
    Kind.DMARC: NO_DMARC,
    Kind.BOUNCES: UNREACHABLE,
    Kind.LINKS: UNREACHABLE,
}


async def records(spec: CampaignSpec, config: Config, resolver: str | None) -> list[Finding]:
    """Looks up the records of From's domain and of those that the configuration names.

    Raises UsageError when `resolver`, HOST or HOST:PORT, is none.
    """
    domain = split_mailbox(spec.sender)[1].rpartition("@")[2].lower()
    keys = load(config, nearest(config.dkim, domain, spec.account))[1]
    wanted = dns.records(config, domain, keys)
    if spec.envelope_sender is not None:  # instead of a return path in [bounces] domain
        own = spec.envelope_sender.rpartition("@")[2]
        if all(record.name != own for record in wanted):
            wanted.append(Record(Kind.SPF, own, "TXT", "", ""))
    signers = sorted({key.domain for key in keys} - {domain})
    policies = [Record(Kind.DMARC, f"_dmarc.{signer}", "TXT", "", "") for signer in signers]
    answers = await dns.check([*wanted, *policies], resolver)
    about_us, above = answers[: len(wanted)], answers[len(wanted) :]
    found = [finding for answer in about_us for finding in _finding(answer)]
    has_policy = any(
        answer.record.kind is Kind.DMARC and answer.state is State.OK for answer in about_us
    )
    for signer, answer in zip(signers, above, strict=True):
        if has_policy and answer.state is State.MISSING:
            found.append(
                Finding(
                    NOT_ALIGNED,
                    answer.record.name,
                    f"{domain} has a DMARC record and {signer}, which signs, has none: to receivers"
                    f" they are two organizations; publish one at {answer.record.name}",
                )
            )
    return found


def _finding(answer: Checked) -> list[Finding]:
    match answer.state:
        case State.OK:
            return []
        case State.UNKNOWN:
            rule = DNS_UNKNOWN
        case _:
            rule = _RULES[answer.record.kind]
    return [Finding(rule, f"{answer.record.name} {answer.record.type}", answer.text)]
