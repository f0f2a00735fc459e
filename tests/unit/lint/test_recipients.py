"""Composing for everybody: who would be rejected, who would get no subject, how large it gets."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from campaignd.audience.source import READ_OCTETS, FileSource, Format
from campaignd.compose.links import trial_links
from campaignd.compose.spec import Attached, CampaignSpec
from campaignd.errors import TemplateError, UsageError
from campaignd.lint import Finding
from campaignd.lint.recipients import MEASURED_MOST, recipients
from campaignd.lint.rules import ROW_REJECTED
from campaignd.lint.tally import KINDS_MOST, Tally
from tests.unit.lint.campaigns import campaign, configuration


def found(
    folder: Path, rows: str, spec: CampaignSpec | None = None, form: Format = "csv"
) -> list[Finding]:
    file = folder / f"r.{form}"
    file.write_text(rows, "utf-8")
    links = trial_links(configuration())
    return asyncio.run(recipients(spec or campaign(), FileSource(str(file), form), links))


def test_nothing_is_wrong(tmp_path: Path) -> None:
    assert found(tmp_path, "email,name\na@a.example,Anna\nb@b.example,Bruno\n") == []


def test_a_field_that_some_lack(tmp_path: Path) -> None:
    people = []
    for n in range(20):
        name = "" if n % 2 else ', "name": "N"'
        people.append(f'{{"email": "u{n}@a.example"{name}}}\n')
    [finding] = found(tmp_path, "".join(people), form="jsonl")
    assert finding.rule.id == "row-rejected"
    assert finding.where == "r.jsonl, line 2, 4, 6, 8, 10 and 5 more"
    assert finding.text.startswith("10 of 20 rows would be rejected: merge field name is missing")
    assert "c.toml, line 4" in finding.text


def test_a_field_that_is_empty_for_some(tmp_path: Path) -> None:
    [finding] = found(tmp_path, "email,name\na@a.example,Anna\nb@b.example,\n")
    assert (finding.rule.id, finding.where) == ("empty-field", "r.csv, line 3")
    assert finding.text.startswith("1 of 2 rows have nothing in name: write {{ name | default(")


@pytest.mark.parametrize(
    "text",
    [
        "{{ name | default('you', true) }}",
        "{{ name or 'you' }}",
        "{% if name %}Dear {{ name }}{% endif %}",
        "{{ 'Dear ' ~ name if name else 'Hello' }}",
        "{% if name == 'x' %}vip{% endif %}",
    ],
)
def test_an_empty_field_that_is_provided_for(tmp_path: Path, text: str) -> None:
    spec = campaign(subject="Hi", html=None, text=text + "{{ unsubscribe_url }}")
    assert found(tmp_path, "email,name\na@a.example,\n", spec) == []


def test_an_empty_subject(tmp_path: Path) -> None:
    spec = campaign(
        subject="{{ name | default('', true) }}", html=None, text="{{ unsubscribe_url }}"
    )
    [finding] = found(tmp_path, "email,name\na@a.example,Anna\nb@b.example,\n", spec)
    assert (finding.rule.id, finding.where) == ("no-subject", "r.csv, line 3")
    assert finding.text.startswith("1 of 2 rows would get no subject")


@pytest.mark.parametrize("subject", ["Subject:", "{{ name }} Subject: "])
def test_a_subject_that_is_not_empty(tmp_path: Path, subject: str) -> None:
    """Nor does it look for one in the body."""
    spec = campaign(subject=subject, html=None, text="\nSubject: \n{{ unsubscribe_url }}")
    assert found(tmp_path, "email,name\na@a.example,Anna\n", spec) == []


def test_rows_that_cannot_be_used(tmp_path: Path) -> None:
    [finding] = found(tmp_path, "email,name\nanna,Anna\nb@b.example,Bruno\n")
    assert (finding.rule.id, finding.where) == ("row-unusable", "r.csv, line 2")


def test_large_html(tmp_path: Path) -> None:
    html = "<p>{{ name }} {{ unsubscribe_url }}</p>" + "\n<p>é</p>" * 9_000
    spec = campaign(subject="Hi", html=html)
    rows = f"email,name\na@a.example,Anna\nb@b.example,{'x' * 20_480}\n"
    [finding] = found(tmp_path, rows, spec)
    assert finding.rule.id == "html-size"
    assert finding.text.startswith("1 recipient would get up to 117 KB")


def test_of_many_with_large_html_the_first_are_measured(tmp_path: Path) -> None:
    """Large messages whose HTML is not do not keep it from finding the others."""
    spec = campaign(
        subject="Hi",
        html="<p>{% if big %}" + "é" * 55_000 + "{% endif %} {{ unsubscribe_url }}</p>",
        text="{{ unsubscribe_url }} {% if not big %}" + "x y " * 27_000 + "{% endif %}",
    )
    rows = "".join(
        f"u{n}@a.example,{'y' if n >= MEASURED_MOST else ''}\n" for n in range(2 * MEASURED_MOST)
    )
    [finding] = found(tmp_path, f"email,big\n{rows}", spec)
    assert finding.text.startswith(f"at least {MEASURED_MOST} recipients would get up to 108 KB")


def test_a_subject_that_is_empty_for_all_is_told_elsewhere(tmp_path: Path) -> None:
    spec = campaign(subject=" ")
    assert found(tmp_path, "email,name\na@a.example,Anna\n", spec) == []


def test_attachments_do_not_count(tmp_path: Path) -> None:
    file = Attached("a.bin", "application/octet-stream", b"x" * 200_000)
    spec = campaign(attachments=[file])
    assert found(tmp_path, "email,name\na@a.example,Anna\n", spec) == []


def test_json_lines_whose_fields_come_late(tmp_path: Path) -> None:
    """Later than what is read at once."""
    count = READ_OCTETS // 10
    rows = "".join(f'{{"email": "u{n}@a.example", "city": "x"}}\n' for n in range(count))
    rows += '{"email": "b@b.example", "name": "Bruno"}\n'
    [finding] = found(tmp_path, rows, form="jsonl")
    assert finding.text.startswith(f"{count:,} of {count + 1:,} rows would be rejected")


def test_a_column_that_nobody_has(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="no column name"):
        found(tmp_path, "email,city\na@a.example,Lyon\n")


def test_standard_input_is_refused() -> None:
    with pytest.raises(UsageError, match="name a file"):
        asyncio.run(recipients(campaign(), FileSource("-"), None))


def test_a_tally_is_bounded() -> None:
    tally = Tally()
    for number in range(10_000):
        tally.add(ROW_REJECTED, f"reason {number}", number)
    findings = tally.findings("r.csv")
    assert len(findings) == KINDS_MOST + 1
    assert findings[-1].where.endswith(" more")


def test_every_row_is_counted_once(tmp_path: Path) -> None:
    """However the file is cut into pieces."""
    rows = "email,name\n" + "".join(f"u{n}@a.example,\n" for n in range(9_000))
    spec = campaign(subject="Hi", html=None, text="{{ name }}{{ unsubscribe_url }}")
    [finding] = found(tmp_path, rows, spec)
    assert finding.text.startswith("9,000 of 9,000 rows have nothing in name")
