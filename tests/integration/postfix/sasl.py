"""Cyrus SASL for a private Postfix: one user, whose password it checks by itself."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from campaignd.sandbox.binaries import search_path
from tests.integration.postfix.settings import HOSTNAME

USER: Final = "alice"
PASSWORD: Final = "s3cret/pass+word =%wörd"
MECHANISMS: Final = ["PLAIN", "LOGIN", "CRAM-MD5"]
"""Each is a value of `smtpd_sasl_path` that offers only this one."""

SETTINGS: Final[Mapping[str, str]] = {
    "smtpd_tls_security_level": "encrypt",
    "smtpd_tls_auth_only": "yes",
    "smtpd_sasl_auth_enable": "yes",
    "smtpd_sasl_local_domain": HOSTNAME,
    "smtpd_sasl_authenticated_header": "yes",
    "smtpd_relay_restrictions": "permit_sasl_authenticated, reject",
}
"""Only over TLS, and nobody else may send. Further settings are SHARED and a certificate."""

SHARED: Final[Mapping[str, str]] = {"cyrus_sasl_config_path": "$config_directory/sasl"}
"""For main.cf."""


def add_user(etc: Path) -> None:
    """Gives Cyrus SASL its one user, and its settings for each mechanism."""
    saslpasswd = shutil.which("saslpasswd2", path=search_path())
    assert saslpasswd, "saslpasswd2 not found: install with `apt-get install sasl2-bin`"
    folder = etc / "sasl"
    folder.mkdir()
    users = folder / "users"
    subprocess.run(
        [saslpasswd, "-c", "-p", "-f", str(users), "-u", HOSTNAME, USER],
        input=PASSWORD,
        text=True,
        timeout=30,
        check=True,
    )
    for mechanism in MECHANISMS:
        (folder / f"{mechanism}.conf").write_text(
            "pwcheck_method: auxprop\nauxprop_plugin: sasldb\n"
            f"sasldb_path: {users}\nmech_list: {mechanism}\n"
        )
    for path in (folder, *folder.iterdir()):
        shutil.chown(path, "postfix")
