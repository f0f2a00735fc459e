"""A name server on loopback that knows a few records, by UDP only."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import dns.flags
import dns.message
import dns.rcode
import dns.rrset


class NameServer:
    """Answers from `records`: data in zone file form by name and type; REFUSED for any name in
    `refused`, NXDOMAIN for any other name."""

    def __init__(
        self,
        records: Mapping[tuple[str, str], Sequence[str]],
        *,
        refused: Sequence[str] = (),
        port: int = 0,
    ) -> None:
        self._records = {(name.lower(), kind): data for (name, kind), data in records.items()}
        self._refused = refused
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", port))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def address(self) -> str:
        """As --resolver takes it."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join(10)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            data, sender = self._socket.recvfrom(65_536)
            if not data:
                return
            self._socket.sendto(self.answer(data), sender)

    def answer(self, data: bytes) -> bytes:
        """The answer to a question, both as they are on the wire."""
        query = dns.message.from_wire(data)
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA | dns.flags.RA
        [question] = query.question
        name = question.name.to_text(omit_final_dot=True).lower()
        if name in self._refused:
            response.set_rcode(dns.rcode.REFUSED)
            return response.to_wire()
        kind = dns.rdatatype.to_text(question.rdtype)
        known = self._records.get((name, kind), ())
        if known:
            response.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *known))
        elif not any(name == its for its, _ in self._records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response.to_wire(max_size=65_535)
