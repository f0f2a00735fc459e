"""The table of refusals against replies of real life, and what must hold for any reply.

`replies.csv` holds refusals that servers gave, or that providers and sources of servers document,
each with where it was found. Long ones are cut; where a source has a placeholder, an example
stands.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from campaignd.smtp.bounce_table import TABLE
from campaignd.smtp.bounces import Bounce, classify, row_for
from campaignd.smtp.reply import MAX_TEXT, ReplyParser

CORPUS: Final = Path(__file__).with_name("replies.csv")


class Line(NamedTuple):
    code: int
    enhanced: str
    text: str
    expected: Bounce
    source: str


def _read() -> Iterator[Line]:
    with CORPUS.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield Line(
                int(row["code"]),
                row["enhanced"],
                row["text"],
                Bounce(row["expected"]),
                row["source"],
            )


LINES: Final = list(_read())

NOT_THERE: Final = re.compile(
    r"unknown|inconnu|invalid|illegal|discontinued|no such|no longer|bad destination"
    r"|not (?:exist|found|our|deliverable|a valid|accept mail)|n't (?:have|able to find)"
    r"|mailbox unavailable|recipient address rejected: access denied",
    re.IGNORECASE,
)
"""Apart from the table: how people say that an address does not exist."""

enhanced_codes = st.one_of(
    st.just(""),
    st.from_regex(r"[245]\.(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})", fullmatch=True),
    st.sampled_from([f"5.{key}" for row in TABLE for key in row.keys if "." in key]),
)
words = st.sampled_from(
    [phrase for row in TABLE for phrase in row.phrases] + ["<a@b.example>", "x"]
)
texts = st.one_of(st.text(max_size=600), st.lists(words, max_size=5).map(" ".join))


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line.code} {line.text[:40]}")
def test_replies_of_real_life(line: Line) -> None:
    assert classify(line.code, line.enhanced, line.text) is line.expected


def test_no_other_reply_would_make_an_address_bad_without_its_enhanced_code() -> None:
    """Many servers give none."""
    for line in LINES:
        if line.code >= 500 and line.expected is not Bounce.ADDRESS_BAD:
            text = line.text.removeprefix(line.enhanced)
            assert classify(line.code, "", text) is not Bounce.ADDRESS_BAD, line


def test_an_address_is_bad_only_where_the_reply_says_so() -> None:
    for line in LINES:
        if line.expected is Bounce.ADDRESS_BAD:
            assert NOT_THERE.search(line.text), line


def test_the_codes_that_make_an_address_bad_by_themselves() -> None:
    details = {key for row in TABLE for key in row.keys if "." in key}
    assert {d for d in details if classify(550, f"5.{d}", "") is Bounce.ADDRESS_BAD} == {
        *("1.1", "1.2", "1.3", "1.6", "1.10", "1.351", "4.310", "7.17", "7.18")
    }


def test_the_corpus_is_what_a_session_would_read() -> None:
    for line in LINES:
        parser = ReplyParser()
        parser.feed(f"{line.code} {line.text}\r\n".encode())
        reply = parser.next()
        assert reply is not None
        assert reply == (line.code, line.enhanced, line.text)


def test_the_corpus_is_large_and_has_its_sources() -> None:
    assert len(LINES) >= 200
    assert len({(line.code, line.text) for line in LINES}) == len(LINES)
    assert {line.expected for line in LINES} == set(Bounce)
    for line in LINES:
        assert line.source.startswith("https://")


def test_every_row_decides_a_reply_of_real_life() -> None:
    used = {id(row_for(line.code, line.enhanced, line.text)) for line in LINES}
    assert [row for row in TABLE if id(row) not in used] == []


def test_every_row_has_its_provenance() -> None:
    for row in TABLE:
        assert row.source.startswith(("RFC ", "IANA ", "https://", "http://")), row
        for phrase in row.phrases:
            assert phrase == phrase.lower()
            assert "@" not in phrase


@pytest.mark.parametrize(
    ("code", "enhanced", "text", "expected"),
    [
        # an address is somebody's choice, and says nothing
        (550, "5.7.1", "5.7.1 <user.unknown@example.org>: Access denied", Bounce.POLICY),
        (550, "", "<spam@spamhaus.example>: User unknown", Bounce.ADDRESS_BAD),
        # the class of the reply, not the words, says whether it is for good
        (450, "4.1.1", "4.1.1 <a@b.example>: User unknown in local table", Bounce.UNAVAILABLE),
        (550, "5.1.1", "5.1.1 <a@b.example>: User unknown in local table", Bounce.ADDRESS_BAD),
        # of a DSN that tells no reply
        (0, "5.1.1", "", Bounce.ADDRESS_BAD),
        (0, "4.4.7", "", Bounce.UNREACHABLE),
        (0, "5.2.1", "", Bounce.UNAVAILABLE),
        (0, "", "", Bounce.UNCLASSIFIED),
        # where the basic code and the enhanced one contradict each other
        (450, "5.1.1", "", Bounce.UNAVAILABLE),
        (599, "5.9.9", "5.9.9 nobody ever said this", Bounce.UNCLASSIFIED),
    ],
)
def test_what_counts(code: int, enhanced: str, text: str, expected: Bounce) -> None:
    assert classify(code, enhanced, text) is expected


@given(st.integers(min_value=400, max_value=599), enhanced_codes, texts)
@example(550, "5.1.1", "user unknown " * 50_000)
def test_any_reply_has_a_class_by_its_first_characters(code: int, enhanced: str, text: str) -> None:
    found = classify(code, enhanced, text)
    assert isinstance(found, Bounce)
    assert classify(code, enhanced, text[:MAX_TEXT]) is found
    assert classify(code, enhanced, text[:MAX_TEXT] + " " * 9 + "x" * 1_000) in Bounce


@given(st.integers(min_value=400, max_value=499), enhanced_codes, texts)
def test_a_temporary_refusal_never_makes_an_address_bad(
    code: int, enhanced: str, text: str
) -> None:
    assert classify(code, enhanced, text) is not Bounce.ADDRESS_BAD


@given(texts)
def test_what_the_sender_chose_never_makes_an_address_bad(text: str) -> None:
    """A local part that reads like a refusal is passed over."""
    quoted = "_".join(text.split()) + "@example.org"
    assert classify(550, "5.7.1", f"5.7.1 <{quoted}>: no") is Bounce.POLICY
