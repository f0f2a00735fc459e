"""The rules put together: order, levels, sources, and templates that do not compile."""

from __future__ import annotations

import pytest

from campaignd.config import Bounces, Links
from campaignd.errors import TemplateError
from campaignd.lint import Level, offline
from tests.unit.lint.campaigns import campaign, configuration, ids


def test_nothing_is_wrong_but_that_nothing_signs() -> None:
    assert ids(offline(campaign(), configuration())) == ["unsigned"]


def test_errors_come_first() -> None:
    spec = campaign(sender="noreply@gmail.com", html="<img src='http://a.example'>", text="x")
    found = offline(spec, configuration(links=Links(), bounces=Bounces()))
    levels = [finding.rule.level for finding in found]
    assert levels == sorted(levels)
    assert {Level.ERROR, Level.WARNING} == set(levels)
    assert ids(found)[:2] == ["providers-domain", "no-unsubscribe"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"html": "<p>{{ name </p>"}, "c.html, line 1"),
        ({"html": "{% if name %}"}, "c.html, line 1"),
        ({"subject": "{{ name | nonsense }}"}, "c.toml, line 4"),
        ({"transactional": True}, "transactional"),
    ],
)
def test_a_template_that_does_not_compile(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(TemplateError, match=reason):
        offline(campaign(**changes), configuration())


def test_a_field_of_any_name() -> None:
    html = '{{ unsubscribe_url }}{{ email }}{{ fields["first name"] }}{{ loop_ }}'
    assert ids(offline(campaign(html=html), configuration())) == ["unsigned"]
