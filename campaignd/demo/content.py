"""The demo's campaign and its audience. All domains are reserved for examples (RFC 2606)."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from typing import Final, NamedTuple

from campaignd.sandbox.policy import Fate, Rule, SinkPolicy

REJECTED: Final = 0.01
"""Share of recipients that the sink refuses for good."""

DEFERRED_ONCE: Final = 0.03
"""Share of recipients that the sink takes at the second attempt only."""

POLICY: Final = SinkPolicy(
    rules=(Rule(Fate.REJECT, share=REJECTED), Rule(Fate.DEFER, share=DEFERRED_ONCE, once=True))
)

CAMPAIGN: Final = """\
name = "Spring sale"
account = "demo"
from = "Acme Garden <news@acme.example>"
subject = "{{ first_name }}, spring is here{% if plan == 'gold' %} - early access{% endif %}"
html = "spring.html"
text = "spring.txt"

[retry]
first = "1s"
longest = "2s"
expire = "5m"
"""

HTML: Final = """\
<!doctype html>
<html lang="en">
<body style="font-family: sans-serif">
<h1>Hello {{ first_name }},</h1>
<p>the days get longer, and your garden in <b>{{ city }}</b> wakes up.</p>
{% if plan == "gold" %}
<p>As a gold member you see the new seeds <b>two days before everyone else</b>,
and your {{ points }} points buy twice as much.</p>
{% else %}
<p>You have {{ points }} points. A hundred more and you are gold.</p>
{% endif %}
<p><a href="https://acme.example/spring?who={{ customer }}">See what is new</a></p>
<p>Acme Garden, 1 Rose Lane, Springfield &middot;
<a href="{{ unsubscribe_url }}">Unsubscribe</a></p>
</body>
</html>
"""

TEXT: Final = """\
Hello {{ first_name }},

the days get longer, and your garden in {{ city }} wakes up.
{% if plan == "gold" %}
As a gold member you see the new seeds two days before everyone else,
and your {{ points }} points buy twice as much.
{% else %}
You have {{ points }} points. A hundred more and you are gold.
{% endif %}
See what is new: https://acme.example/spring?who={{ customer }}

Acme Garden, 1 Rose Lane, Springfield
Unsubscribe: {{ unsubscribe_url }}
"""

_FIRST: Final = (
    "Anna", "Bruno", "Chloé", "Dávid", "Élise", "Fatima", "Giovanni", "Hana", "Íris", "Jürgen",
    "Kenji", "Łukasz", "Māra", "Nguyễn", "Olga", "Paulo", "Quinn", "Renée", "Søren", "Tamar",
)  # fmt: skip
_CITIES: Final = ("Aarhus", "Bologna", "Córdoba", "Dresden", "Évora", "Gdańsk", "Kyōto", "Lyon")
_DOMAINS: Final = ("example.com", "example.net", "example.org", "post.example", "mail.example")
_BROKEN: Final = ("anna.example.com", "bruno@", "chloé @example.com", "@example.net", "d@localhost")

_SEED: Final = 1047
"""The same audience every time (and the RFC on duplicate messages)."""


class Audience(NamedTuple):
    """What `write_audience` has written."""

    recipients: int
    invalid: int
    duplicates: int
    shown: str
    """A recipient with gold plan whom the sink accepts at once."""


def write_campaign(path: Path) -> None:
    """Writes the campaign file, and its templates beside it."""
    path.write_text(CAMPAIGN, "utf-8")
    path.with_name("spring.html").write_text(HTML, "utf-8")
    path.with_name("spring.txt").write_text(TEXT, "utf-8")


def write_audience(path: Path, count: int) -> Audience:
    """Writes a CSV with `count` valid recipients, a few rows that are not, and duplicates."""
    chance = random.Random(_SEED)  # noqa: S311  # not a secret
    spoilt = max(1, count // 1_000)
    spoil_at = {round((n + 0.5) * count / spoilt) for n in range(spoilt)}
    invalid = duplicates = 0
    shown = ""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("email", "first_name", "city", "plan", "points", "customer"))
        for number in range(count):
            name = chance.choice(_FIRST)
            city = chance.choice(_CITIES)
            plan = "gold" if chance.random() < 0.2 else "green"
            address = f"{_plain(name)}.{number}@{chance.choice(_DOMAINS)}"
            row = (address, name, city, plan, chance.randrange(900), f"C{number:07d}")
            writer.writerow(row)
            if plan == "gold" and POLICY.rule_for(address) is None:
                shown = shown or address
            if number in spoil_at:
                writer.writerow((_BROKEN[invalid % len(_BROKEN)], *row[1:]))
                local, _, domain = address.partition("@")
                writer.writerow((f"{local}@{domain.upper()}", *row[1:]))
                invalid += 1
                duplicates += 1
    return Audience(count, invalid, duplicates, shown)


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isascii()) or "someone"
