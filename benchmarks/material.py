"""The campaign that every scenario sends, and its audience.

A multipart of text and HTML with six merge fields, a filter and a condition in both, of a size
that is asked for; recipients with all six fields. The same for every run: nothing is random.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from campaignd.compose import Composer, date_header, load_campaign

FIELDS: Final = ("first_name", "last_name", "city", "product", "voucher", "points")
SENDER: Final = "news@acme.example"

_FIRST: Final = ("Anna", "Bruno", "Chiara", "David", "Elena", "Felix", "Greta", "Hugo", "Ines")
_LAST: Final = ("Moreau", "Novak", "O'Brien", "Petrov", "Quist", "Rossi", "Schmidt", "Tanaka")
_CITIES: Final = ("Lyon", "Prague", "Cork", "Sofia", "Malmo", "Torino", "Kiel", "Osaka", "Porto")
_PRODUCTS: Final = ("garden chair", "tea pot", "desk lamp", "rain coat", "bread knife")

_PROSE: Final = (
    "Every piece in the new collection is made to last, to be mended and to be handed on;",
    "our workshops are open on Saturdays, and whoever brings an old favourite along may",
    "watch how it is put right. Delivery is free until the end of the month, returns are",
    "free for as long as you like, and a person answers the telephone on working days.",
)

SUBJECT: Final = "{{ first_name }}, your {{ product }} is {{ points }} points away"

_TEXT: Final = """\
Dear {{ first_name }} {{ last_name }},

spring has come to {{ city }}, and with it our offer for your {{ product }}.
{% if points | int >= 500 %}You have {{ points }} points: your voucher is {{ voucher }}.
{% else %}Collect {{ points }} points more and get voucher {{ voucher }}.
{% endif %}
FILLER
Yours, Acme
"""

_HTML: Final = """\
<!DOCTYPE html>
<html><head><title>Spring at Acme</title></head>
<body style="font-family: sans-serif">
<p>Dear <b>{{ first_name }} {{ last_name }}</b>,</p>
<p>spring has come to {{ city }}, and with it our offer for your <i>{{ product }}</i>.</p>
{% if points | int >= 500 %}<p>You have {{ points }} points: your voucher is {{ voucher }}.</p>
{% else %}<p>Collect {{ points }} points more and get voucher {{ voucher }}.</p>
{% endif %}
<p><a href="https://shop.acme.example/v/{{ voucher }}">To the shop</a></p>
<p>FILLER</p>
</body></html>
"""

_CAMPAIGN: Final = f"""\
name = "Benchmark"
account = "acme"
transactional = true
from = "Acme <{SENDER}>"
subject = "{SUBJECT}"
text = "spring.txt"
html = "spring.html"

[headers]
"X-Campaign" = "spring"
"""

_SAMPLE: Final = 100
"""Recipients over whom a message's size is averaged: names differ in length."""


class Material(NamedTuple):
    """Files of a campaign, and what its messages are like."""

    campaign: Path
    message: bytes
    """One of them, as it goes over the wire, with its final dot."""
    mean_size: float
    """Octets of a message on the wire, without its final dot."""


def make(folder: Path, size: int) -> Material:
    """Writes a campaign whose messages have `size` octets, within 2 %.

    Raises ValueError for a size that is too small to hold the campaign's own text.
    """
    filler = 0
    material = _write(folder, filler)
    if material.mean_size > size * 1.02:
        raise ValueError(f"a message has {material.mean_size:.0f} octets at the least")
    for _ in range(8):  # quoted-printable or a fold may need a second look
        missing = size - material.mean_size
        if abs(missing) <= size * 0.005:
            break
        filler = max(0, filler + round(missing / 2))
        material = _write(folder, filler)
    return material


def write_recipients(path: Path, count: int) -> None:
    """A CSV file of so many rows, all valid and all different."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(("email", *FIELDS)) + "\n")
        file.writelines(",".join(row) + "\n" for row in islice(recipients(), count))


def recipients() -> Iterator[tuple[str, ...]]:
    """Address and FIELDS of one recipient after the other, without end."""
    number = 0
    while True:
        first, last = _FIRST[number % 9], _LAST[number % 8]
        yield (
            f"{first.lower()}.{number:08}@customer{number % 97}.example",
            first,
            last,
            _CITIES[number % 9],
            _PRODUCTS[number % 5],
            f"SPRING-{number:08}",
            str(number * 37 % 1_000),
        )
        number += 1


def _write(folder: Path, filler: int) -> Material:
    prose = _prose(filler)
    campaign = folder / "campaign.toml"
    campaign.write_text(_CAMPAIGN)
    (folder / "spring.txt").write_text(_TEXT.replace("FILLER", prose))
    (folder / "spring.html").write_text(_HTML.replace("FILLER", prose))
    composer = Composer(load_campaign(campaign), 1, FIELDS)
    date = date_header(time.time())
    messages = [
        composer.compose(0, seq, address, values, date=date, eight_bit=True).message
        for seq, (address, *values) in enumerate(islice(recipients(), _SAMPLE), start=1)
    ]
    mean = sum(map(len, messages)) / len(messages) - len(b".\r\n")
    return Material(campaign, messages[0], mean)


def _prose(length: int) -> str:
    """So many octets of it, in lines."""
    lines: list[str] = []
    left = length
    while left > 0:
        line = _PROSE[len(lines) % len(_PROSE)]
        lines.append(line[: max(1, left - 2)])
        left -= len(lines[-1]) + len("\r\n")
    return "\n".join(lines)
