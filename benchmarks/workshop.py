"""What a scenario works with: private servers, a campaign of the wanted size, and audiences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks import material
from benchmarks.material import Material
from benchmarks.subject import Campaignd
from campaignd.sandbox.box import Sandbox
from campaignd.sandbox.supervisor import Supervisor


def sandbox(buffer_pool_mib: int = 256, *mariadb_options: str) -> Sandbox:
    """Servers as docs/operations.md advises: MariaDB's memory in huge pages, where the machine has
    set enough of them aside (`machine.Machine.huge_pages_mib`)."""
    return Sandbox(
        buffer_pool_mib=buffer_pool_mib, mariadb_options=("--large-pages", *mariadb_options)
    )


class Workshop:
    """A context manager; everything in it ends with it."""

    def __init__(
        self, size: int, *, buffer_pool_mib: int = 256, mariadb_options: Sequence[str] = ()
    ) -> None:
        self.box = sandbox(buffer_pool_mib, *mariadb_options)
        self._size = size

    material: Material

    def __enter__(self) -> Self:
        self.box.start()
        try:
            self.material = material.make(self.box.folder, self._size)
        except BaseException:
            self.box.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.box.close()

    @property
    def supervisor(self) -> Supervisor:
        """For the receivers."""
        return self.box.supervisor

    @property
    def campaign(self) -> Path:
        """The campaign's file."""
        return self.material.campaign

    @property
    def size(self) -> int:
        """Octets of a message on the wire, on average."""
        return round(self.material.mean_size)

    def recipients(self, count: int) -> Path:
        """The CSV file with so many of them; made once."""
        path = self.box.folder / f"recipients-{count}.csv"
        if not path.exists():
            material.write_recipients(path, count)
        return path

    def campaignd(
        self,
        name: str = "campaignd",
        *,
        daemons: int = 1,
        profile: Path | None = None,
        sections: Mapping[str, Any] | None = None,
    ) -> Campaignd:
        """The subject; `profile` is the file for what py-spy sees of the first daemon, `sections`
        are more of its configuration."""
        return Campaignd(
            self.box,
            self.campaign,
            self.recipients,
            name=name,
            daemons=daemons,
            profile=profile,
            sections=sections,
        )
