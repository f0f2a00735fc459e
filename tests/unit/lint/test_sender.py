"""The rules for From, Reply-To, Subject and the ways back to us."""

from __future__ import annotations

import pytest

from campaignd.config import Bounces, Links
from campaignd.lint.rules import Level
from campaignd.lint.sender import sender, unsubscribe
from tests.unit.lint.campaigns import campaign, configuration, ids

HTTPS = "<https://a.example/{{ x }}>"
ONE_CLICK = "List-Unsubscribe=One-Click"


def test_nothing_is_wrong() -> None:
    assert sender(campaign()) == []
    assert unsubscribe(campaign(), configuration()) == []


@pytest.mark.parametrize("domain", ["gmail.com", "Outlook.com", "yahoo.com"])
def test_a_providers_domain(domain: str) -> None:
    [finding] = sender(campaign(sender=f"Acme <acme@{domain}>"))
    assert finding.rule.id == "providers-domain"
    assert finding.where == "c.toml, line 3"
    assert domain in finding.text


@pytest.mark.parametrize("local", ["noreply", "no-reply", "No_Reply", "donotreply", "do-not-reply"])
def test_an_address_that_takes_no_replies(local: str) -> None:
    assert ids(sender(campaign(sender=f"{local}@acme.example"))) == ["no-reply"]
    answered = campaign(sender=f"{local}@acme.example", reply_to="help@acme.example")
    assert sender(answered) == []


@pytest.mark.parametrize("local", ["news", "noreplyto", "reply", "norway"])
def test_an_address_that_takes_replies(local: str) -> None:
    assert sender(campaign(sender=f"{local}@acme.example")) == []


@pytest.mark.parametrize("subject", ["Re: your order", "FWD: look", "fw:x", " re : x"])
def test_a_false_reply(subject: str) -> None:
    assert ids(sender(campaign(subject=subject))) == ["false-reply"]


@pytest.mark.parametrize("subject", ["Ready: go", "Reading", "{{ x }}", "Forward: march"])
def test_no_false_reply(subject: str) -> None:
    assert sender(campaign(subject=subject)) == []


@pytest.mark.parametrize("subject", ["", " \t", "{# x #}", "{% if x %} {% endif %}"])
def test_no_subject(subject: str) -> None:
    [finding] = sender(campaign(subject=subject))
    assert finding.rule.id == "no-subject"
    assert finding.where == "c.toml, line 4"


@pytest.mark.parametrize("subject", ["{% if x %}Hi{% endif %}", "{{ x }}", "{% print x %}"])
def test_a_subject_that_some_have(subject: str) -> None:
    assert sender(campaign(subject=subject)) == []


def test_a_return_path_of_its_own() -> None:
    """It is for all messages the same, so that nobody can tell whose they were."""
    spec = campaign(envelope_sender="back@bounces.acme.example")
    for config in (configuration(), configuration(bounces=Bounces())):
        [finding] = unsubscribe(spec, config)
        assert finding.rule.id == "no-return-path"
        assert finding.where == "c.toml, envelope_sender"
        assert "remove envelope_sender" in finding.text


def test_no_way_to_leave() -> None:
    nothing = configuration(links=Links(), bounces=Bounces())
    found = unsubscribe(campaign(), nothing)
    assert ids(found) == ["no-unsubscribe", "no-return-path"]
    assert [finding.rule.level for finding in found] == [Level.ERROR, Level.WARNING]
    assert ids(unsubscribe(campaign(transactional=True), nothing)) == ["no-return-path"]


def test_leaving_by_mail_only() -> None:
    found = unsubscribe(campaign(), configuration(links=Links(key_files=["k"])))
    assert ids(found) == ["no-one-click"]
    assert "set url" in found[0].text


def test_leaving_without_tls() -> None:
    plain = configuration(links=Links(url="http://links.acme.example", key_files=["k"]))
    [finding] = unsubscribe(campaign(), plain)
    assert finding.rule.id == "no-one-click"
    assert finding.where == "[links] url"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"List-Unsubscribe": HTTPS, "List-Unsubscribe-Post": ONE_CLICK}, []),
        ({"LIST-unsubscribe": HTTPS, "list-UNSUBSCRIBE-post": ONE_CLICK}, []),
        ({"List-Unsubscribe": HTTPS, "List-Unsubscribe-Post": "y"}, ["no-one-click"]),
        (
            {"List-Unsubscribe": HTTPS, "List-Unsubscribe-Post": ONE_CLICK.lower()},
            ["no-one-click"],
        ),
        ({"List-Unsubscribe": HTTPS}, ["no-one-click"]),
        ({"List-Unsubscribe": "<mailto:a@a.example>"}, ["no-one-click"]),
        (
            {"List-Unsubscribe": "<http://a.example>", "List-Unsubscribe-Post": ONE_CLICK},
            ["no-one-click"],
        ),
    ],
)
def test_a_header_of_the_campaigns_own(headers: dict[str, str], expected: list[str]) -> None:
    config = configuration(links=Links())
    assert ids(unsubscribe(campaign(headers=headers), config)) == expected
    # It takes the place of ours, for better or worse.
    assert ids(unsubscribe(campaign(headers=headers), configuration())) == expected
