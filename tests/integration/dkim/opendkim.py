"""Verifies messages by Debian's `opendkim-testmsg`, which nobody here wrote.

It asks the system's resolver for keys. As a program of its own (`python -m`), this file enters
namespaces that it shares with nobody, where the system's resolver is a server with a few records.
"""

from __future__ import annotations

import array
import fcntl
import json
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.fakes.nameserver import NameServer

PROJECT: Final = Path(__file__).parents[3]
SECONDS: Final = 60.0
_SIOCSIFFLAGS: Final = 0x8914
_IFF_UP: Final = 1


def verdicts(records: Mapping[str, str], messages: Sequence[bytes]) -> list[str]:
    """What is wrong with each message (RFC 5322, CRLF), an empty string for nothing. `records`
    are the texts of TXT records by name."""
    order = {
        "records": records,
        "messages": [b64encode(message).decode() for message in messages],
    }
    done = subprocess.run(
        ["unshare", "--map-root-user", "--net", "--mount", sys.executable, "-m", __name__],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        cwd=PROJECT,
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found


def main() -> None:
    """Does what the order on standard input says."""
    order = json.load(sys.stdin)
    zone = {(name, "TXT"): [_quoted(text)] for name, text in order["records"].items()}
    _loopback_up()
    with tempfile.NamedTemporaryFile("w") as resolv:
        resolv.write("nameserver 127.0.0.1\n")
        resolv.flush()
        subprocess.run(["mount", "--bind", resolv.name, "/etc/resolv.conf"], check=True)
        with NameServer(zone, port=53):
            found = [_verify(b64decode(message)) for message in order["messages"]]
    json.dump(found, sys.stdout)


def _verify(message: bytes) -> str:
    program = shutil.which("opendkim-testmsg", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    assert program is not None, "install it: .ci/requirements dkim"
    done = subprocess.run([program], input=message, capture_output=True, timeout=SECONDS)
    words = (done.stdout + done.stderr).decode().strip()
    return words or ("" if done.returncode == 0 else f"status {done.returncode}")


def _quoted(text: str) -> str:
    return " ".join(f'"{text[at : at + 255]}"' for at in range(0, len(text), 255))


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = array.array("b", struct.pack("16sh22x", b"lo", _IFF_UP))
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, request)


if __name__ == "__main__":
    main()
