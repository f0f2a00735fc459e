"""The texts of main.cf and master.cf for a Postfix that delivers to one folder and nowhere else.

It is strict about SMTP and MIME, but for strict_7bit_headers, which refuses the trace line that
Postfix itself adds for an SMTPUTF8 recipient. Every recipient of every domain gets its mail in one
Maildir, except local parts that begin with UNKNOWN, which do not exist. No name is ever looked up
and nothing leaves the machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

HOSTNAME: Final = "relay.example"
UNKNOWN: Final = "nobody-"
"""Local parts that begin with this do not exist."""

MAIL_USER: Final = "nobody"
"""Who owns the Maildir."""

_MAIN: Final = """\
compatibility_level = 3.6
maillog_file = /dev/stdout
myhostname = {hostname}
mydestination =
mynetworks =
alias_maps =
alias_database =
local_recipient_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
disable_dns_lookups = yes
smtpd_peername_lookup = no
default_transport = error:nothing leaves this machine
relay_transport = $default_transport
virtual_mailbox_domains = static:all
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = regexp:{folder}/etc/mailboxes
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
message_size_limit = 1024000
virtual_mailbox_limit = 0
enable_long_queue_ids = yes
smtpd_helo_required = yes
smtpd_forbid_unauth_pipelining = yes
smtpd_forbid_bare_newline = reject
strict_rfc821_envelopes = yes
strict_8bitmime_body = yes
strict_mime_encoding_domain = yes
queue_directory = {folder}/queue
data_directory = {folder}/data
"""

_SERVICES: Final = """\
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
tlsmgr    unix - - n 1000? 1 tlsmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
error     unix - - n - - error
retry     unix - - n - - error
virtual   unix - n n - - virtual
smtp      unix - - n - - smtp
lmtp      unix - - n - - lmtp
anvil     unix - - n - 1 anvil
postlog   unix-dgram n - n - 1 postlogd
"""

MAILBOXES: Final = f"!/^{UNKNOWN}/ all/\n"
"""The table that says where each recipient's mail goes."""

_PRIVATE: Final = ("postfix", "root", 0o700)
FOLDERS: Final = {
    "etc": ("root", "root", 0o755),
    "data": _PRIVATE,
    "mail": (MAIL_USER, "root", 0o700),
    "queue": ("root", "root", 0o755),
    "queue/pid": ("root", "root", 0o755),
    "queue/public": ("postfix", "postdrop", 0o710),
    "queue/maildrop": ("postfix", "postdrop", 0o730),
    **{
        f"queue/{name}": _PRIVATE
        for name in (
            *("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming"),
            *("private", "saved", "trace"),
        )
    },
}
"""What `postfix check` would make within its queue, and three more:
owner, group and mode."""

QUEUES: Final = ("incoming", "active", "deferred", "hold", "maildrop")
"""Where messages are that have been taken and not delivered; one moves from left to right."""


def main_cf(folder: Path, ids: tuple[int, int], settings: Mapping[str, str]) -> str:
    """`settings` win; `ids` are the user and group that own the Maildir."""
    uid, gid = ids
    text = _MAIN.format(hostname=HOSTNAME, folder=folder, uid=uid, gid=gid)
    return text + "".join(f"{name} = {value}\n" for name, value in settings.items())


def master_cf(services: Mapping[int, Mapping[str, str]]) -> str:
    """`services` are SMTP servers by port, with settings of their own."""
    servers = []
    for port, settings in services.items():
        options = "".join(f"  -o {{ {name} = {value} }}\n" for name, value in settings.items())
        servers.append(f"{port} inet n - n - 100 smtpd\n{options}")
    return "".join(servers) + _SERVICES
