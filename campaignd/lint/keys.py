"""What the rules say of the keys that sign a campaign (DKIM).

Keys that this user may not read are told apart from keys that are wrong: whoever enqueues a
campaign need not be able to sign one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from campaignd.compose.spec import CampaignSpec, split_mailbox
from campaignd.config import Config, Dkim
from campaignd.dkim.keyring import nearest
from campaignd.dkim.keys import RSA_SHA256, SigningKey, load_key
from campaignd.errors import ConfigError
from campaignd.lint.rules import (
    ED25519_ONLY,
    KEY_UNSEEN,
    KEY_UNUSABLE,
    NOT_ALIGNED,
    UNSIGNED,
    Finding,
)
from campaignd.lint.sender import place


def keys(spec: CampaignSpec, config: Config) -> list[Finding]:
    """On whether the message will be signed, by whom and how well."""
    domain = split_mailbox(spec.sender)[1].rpartition("@")[2]
    if not config.dkim:
        return [
            Finding(
                UNSIGNED,
                "[[dkim]]",
                f"no key signs for {domain}: add one, unless the relay signs for it",
            )
        ]
    chosen = nearest(config.dkim, domain, spec.account)
    if not chosen:
        there = ", ".join(sorted({key.domain for key in config.dkim}))
        return [
            Finding(
                NOT_ALIGNED,
                place(spec, "from"),
                f"no key signs for {domain} and account {spec.account}, only for {there}: send"
                f" from one of these, or add a key for {domain}",
            )
        ]
    found, loaded = load(config, chosen)
    if not found and all(key.algorithm != RSA_SHA256 for key in loaded):
        found.append(
            Finding(
                ED25519_ONLY,
                "[[dkim]]",
                f"only an Ed25519 key signs for {domain}, which not every receiver can verify: add"
                " an RSA key beside it",
            )
        )
    return found


def load(config: Config, chosen: Sequence[Dkim]) -> tuple[list[Finding], list[SigningKey]]:
    """The keys that can be read and used, and what is wrong with the others."""
    found: list[Finding] = []
    loaded: list[SigningKey] = []
    for settings in chosen:
        path = config.beside(settings.key_file)
        where = f"[[dkim]] {settings.selector} of {settings.domain}"
        if not os.access(path, os.R_OK):
            text = f"{path} cannot be read here: make sure that the hosts that send can"
            found.append(Finding(KEY_UNSEEN, where, text))
            continue
        try:
            loaded.append(load_key(settings, path))
        except ConfigError as error:
            found.append(Finding(KEY_UNUSABLE, where, str(error)))
    return found, loaded
