from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from campaignd.compose import CampaignSpec, decode_spec, encode_spec, load_campaign
from campaignd.compose.attachments import MAX_FILES, MAX_OCTETS
from campaignd.compose.spec import MAX_SPEC_OCTETS, Attached
from campaignd.errors import CampaignError

BASE = 'name = "n"\naccount = "a"\nfrom = "a@b.example"\nsubject = "s"\nhtml = "spring.html"\n'
TEXT = BASE.replace('html = "spring.html"', 'text = "spring.html"')
PDF = '[[attachments]]\nfile = "files/terms.pdf"\n'
LOGO = '[[inline]]\nfile = "logo.PNG"\ncid = "logo@acme"\n'

Load = Callable[..., CampaignSpec]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(toml: str, html: str = "<p>") -> CampaignSpec:
        folder = tmp_path / "campaign"
        (folder / "files").mkdir(parents=True, exist_ok=True)
        (tmp_path / "outside.pdf").write_bytes(b"secret")
        (folder / "files" / "terms.pdf").write_bytes(b"%PDF")
        (folder / "logo.PNG").write_bytes(b"\x89PNG")
        (folder / "spring.html").write_text(html)
        (folder / "plain.txt").write_text("\u00e4")
        (folder / "latin1.txt").write_bytes(b"\xe4")
        for name in ("list.tar.gz", "mail.eml", "unknown", "empty.pdf"):
            (folder / name).write_bytes(b"")
        for name, size in (("big.bin", MAX_OCTETS), ("bigger.bin", MAX_OCTETS + 1)):
            with (folder / name).open("wb") as file:
                file.truncate(size)
        for link, target in (("link.pdf", tmp_path / "outside.pdf"), ("loop.pdf", "loop.pdf")):
            if not (folder / link).is_symlink():
                (folder / link).symlink_to(target)
                os.symlink("files/terms.pdf", folder / f"good-{link}")
        if not (folder / "fifo.pdf").exists():
            os.mkfifo(folder / "fifo.pdf")
        (folder / "spring.toml").write_text(toml)
        return load_campaign(folder / "spring.toml")

    return load


def test_files_are_read_and_stored(load: Load) -> None:
    spec = load(BASE + PDF + LOGO, '<img src="cid:logo@acme">')
    assert spec.attachments == [Attached("terms.pdf", "application/pdf", b"%PDF")]
    assert spec.inline == [Attached("logo.PNG", "image/png", b"\x89PNG", "logo@acme")]
    assert decode_spec(encode_spec(spec)) == spec


@pytest.mark.parametrize(
    ("table", "name", "kind"),
    [
        ('file = "good-link.pdf"', "good-link.pdf", "application/pdf"),
        ('file = "unknown"\nname = "Preise \u20ac.pdf"', "Preise \u20ac.pdf", "application/pdf"),
        ('file = "unknown"', "unknown", "application/octet-stream"),
        ('file = "list.tar.gz"', "list.tar.gz", "application/gzip"),
        ('file = "mail.eml"', "mail.eml", "application/octet-stream"),
        ('file = "plain.txt"', "plain.txt", 'text/plain; charset="utf-8"'),
        ('file = "latin1.txt"', "latin1.txt", "application/octet-stream"),
        (
            'file = "plain.txt"\ntype = \'text/calendar; method=REQUEST; charset="utf-8"\'',
            "plain.txt",
            'text/calendar; method=REQUEST; charset="utf-8"',
        ),
    ],
)
def test_names_and_types(load: Load, table: str, name: str, kind: str) -> None:
    (attached,) = load(f"{BASE}[[attachments]]\n{table}\n").attachments
    assert (attached.name, attached.type) == (name, kind)


def file(name: str, more: str = "") -> str:
    return f'{BASE}[[attachments]]\nfile = "{name}"\n{more}\n'


def image(name: str, cid: str = "x", base: str = BASE) -> str:
    return f'{base}[[inline]]\nfile = "{name}"\ncid = "{cid}"\n'


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        (file("nope.pdf"), "attachments: nope.pdf: No such file"),
        (file("files"), "attachments: files: not a file"),
        (file("fifo.pdf"), "attachments: fifo.pdf: not a file"),
        (file("link.pdf"), "attachments: link.pdf: outside of the campaign's folder"),
        (file("loop.pdf"), "attachments: loop.pdf: "),
        (file("../outside.pdf"), "outside of the campaign's folder"),
        (file(""), "attachments: give the name of a file"),
        (file("bigger.bin"), "bigger.bin: the campaign's files have more than 10,000,000 octets"),
        (file("big.bin") + PDF, "terms.pdf: the campaign's files have more than 10,000,000 octets"),
        (BASE + PDF * (MAX_FILES + 1), f"at most {MAX_FILES} [[attachments]] and [[inline]]"),
        (file("unknown", 'type = "pdf"'), "type: 'pdf' is not like application/pdf"),
        (file("unknown", 'type = "a/b\\r\\nX: y"'), "is not like application/pdf"),
        (file("unknown", 'type = "a/b; x"'), "is not like application/pdf"),
        (file("unknown", 'type = "message/rfc822"'), "message/rfc822 cannot be attached"),
        (file("unknown", 'type = "Multipart/Mixed"'), "Multipart/Mixed cannot be attached"),
        (file("unknown", 'name = "a/b.pdf"'), "name: 'a/b.pdf': write a file name"),
        (file("unknown", 'name = "a\\nb.pdf"'), "write a file name"),
        (file("unknown", 'name = "=?utf-8?q?a?="'), "write a file name"),
        (file("unknown", 'name = ""'), "$.attachments[0].name"),
        (file("unknown", 'nmae = "x"'), "unknown field `nmae`"),
        (image("files/terms.pdf"), "terms.pdf: not an image by its name"),
        (image("unknown"), "unknown: not an image by its name"),
        (image("logo.PNG", "a b"), "cid: 'a b': write letters"),
        (image("logo.PNG", "x>"), "cid: 'x>': write letters"),
        (image("logo.PNG") + LOGO + LOGO, "inline: two images have the cid logo@acme"),
        (image("logo.PNG", base=TEXT), "inline: there is no html that could show an image"),
    ],
)
def test_a_mistake_is_told_in_one_line(load: Load, toml: str, says: str) -> None:
    with pytest.raises(CampaignError) as caught:
        load(toml)
    assert says in str(caught.value)
    assert "spring.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "html",
    [
        '<img src="cid:logo">',
        "<td background=cid:logo>",
        "<p style=\"background: url('cid:logo')\">",
        "\n<img alt='' SRC = 'CID:logo'>",
    ],
)
def test_an_image_that_is_not_there(load: Load, html: str) -> None:
    with pytest.raises(CampaignError, match=r"the image cid:logo is not there: add \[\[inline\]\]"):
        load(BASE + LOGO, html)
    load(BASE + LOGO.replace("logo@acme", "logo"), html)


@pytest.mark.parametrize("html", ["cid:logo", "<p title=acid:x>", '<img src="cid:{{ plan }}">'])
def test_what_is_no_image_or_known_later(load: Load, html: str) -> None:
    load(BASE, html)


def test_most_files_and_most_text_fit_into_the_store(load: Load) -> None:
    spec = load(file("big.bin"))
    assert len(encode_spec(spec)) < MAX_SPEC_OCTETS


def test_what_does_not_fit_is_said_so(make_spec: Callable[..., CampaignSpec]) -> None:
    big = Attached("x", "a/b", bytes(MAX_OCTETS))
    with pytest.raises(CampaignError, match="octets in the store, which is more than 15,000,000"):
        encode_spec(
            make_spec(attachments=[big], html="\u20ac" * 512 * 1024, text="\n" * 512 * 1024)
        )
