"""The log: what is flushed is there, what is torn is not believed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignd.errors import UsageError
from campaignd.sandbox.sinklog import Accepted, LogWriter, headers, read_log


def entry(number: int) -> Accepted:
    return Accepted(f"é{number}@example.com", "", f"<{number}@x>", None, 1.5, number, 10)


def test_lines_are_visible_after_flush_only(tmp_path: Path) -> None:
    path = tmp_path / "log"
    writer = LogWriter(path)
    writer.add(entry(1))
    assert list(read_log(path)) == []
    writer.add(entry(2))
    writer.flush()
    assert list(read_log(path)) == [entry(1), entry(2)]
    writer.add(entry(3))
    writer.close()
    assert list(read_log(path)) == [entry(1), entry(2), entry(3)]


def test_a_second_writer_appends(tmp_path: Path) -> None:
    for number in (1, 2):
        writer = LogWriter(tmp_path / "log")
        writer.add(entry(number))
        writer.close()
    assert list(read_log(tmp_path / "log")) == [entry(1), entry(2)]


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "log"
    writer = LogWriter(path)
    writer.add(entry(1))
    writer.add(entry(2))
    writer.close()
    path.write_bytes(path.read_bytes()[:-1])
    assert list(read_log(path)) == [entry(1)]


def test_without_a_path_nothing_happens() -> None:
    writer = LogWriter(None)
    writer.add(entry(1))
    writer.flush()
    writer.close()


def test_a_path_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write the log"):
        LogWriter(tmp_path / "no" / "log")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"Message-ID: <1@x>\r\nX-Campaignd-Attempt: 3\r\n\r\nbody\r\n", ("<1@x>", 3)),
        (b"message-id:<1@x>\r\n\r\n", ("<1@x>", None)),
        (b"To: b\r\nMessage-ID:\r\n <folded@x>\r\n\r\n", ("<folded@x>", None)),
        (b"To: b\r\n\r\nMessage-ID: <body@x>\r\n", ("", None)),
        (b"X-Campaignd-Attempt: many\r\n\r\n", ("", None)),
        (b"Message-ID: <no@body>\r\n", ("<no@body>", None)),
        (b"", ("", None)),
    ],
)
def testheaders(content: bytes, found: tuple[str, int | None]) -> None:
    assert headers(content) == found


@given(st.binary())
def test_headers_of_anything(content: bytes) -> None:
    headers(content)
