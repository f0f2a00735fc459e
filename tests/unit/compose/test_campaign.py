from __future__ import annotations

import os
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import pytest

from campaignd.compose import CampaignSpec, Composer, date_header, load_campaign
from campaignd.compose.template import MAX_SOURCE_CHARACTERS
from campaignd.errors import CampaignError
from campaignd.model import RetryPolicy, UnknownPolicy

WHOLE = """\
name = "Spring sale"
account = "acme"
from = "Acme, {{ city }} <news@münchen.example>"
envelope_sender = "bounces@acme.example"
reply_to = "Help <help@acme.example>"
to_name = "{{ first_name }}"
subject = "Hi {{ first_name }}"
html = "spring.html"
text = "texts/spring.txt"
preheader = "Look, {{ first_name }}"
transactional = true
unknown = "keep"
[headers]
"X-Campaign" = "spring"
[retry]
first = "10m"
factor = 3
longest = 7200
expire = "1.5d"
"""
LEAST = 'name = "n"\naccount = "a"\nfrom = "a@b.example"\nsubject = "s"\n'

Load = Callable[..., CampaignSpec]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(toml: str, **files: str | bytes) -> CampaignSpec:
        folder = tmp_path / "campaign"
        (folder / "texts").mkdir(parents=True)
        (tmp_path / "outside.html").write_text("secret")
        (folder / "spring.html").write_text("<p>Hi</p>\n")
        (folder / "texts" / "spring.txt").write_text("Hi\n")
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            (folder / f"{name}.html").write_bytes(data)
        (folder / "link.html").symlink_to(tmp_path / "outside.html")
        (folder / "loop.html").symlink_to(folder / "loop.html")
        os.mkfifo(folder / "fifo.html")
        (folder / "spring.toml").write_text(toml)
        return load_campaign(folder / "spring.toml")

    return load


def test_a_whole_campaign(load: Load) -> None:
    spec = load(WHOLE)
    assert (spec.name, spec.account) == ("Spring sale", "acme")
    assert spec.sender == "Acme, {{ city }} <news@xn--mnchen-3ya.example>"
    assert spec.envelope_sender == "bounces@acme.example"
    assert spec.reply_to == "Help <help@acme.example>"
    assert (spec.html, spec.text) == ("<p>Hi</p>\n", "Hi\n")
    assert (spec.to_name, spec.preheader) == ("{{ first_name }}", "Look, {{ first_name }}")
    assert spec.transactional
    assert spec.headers == {"X-Campaign": "spring"}
    assert spec.unknown is UnknownPolicy.KEEP
    assert spec.retry == RetryPolicy(600.0, 3.0, 7_200.0, 129_600.0)
    places = {part: (source.file, source.line) for part, source in spec.sources.items()}
    assert places == {
        "from": ("spring.toml", 3),
        "reply_to": ("spring.toml", 5),
        "to_name": ("spring.toml", 6),
        "subject": ("spring.toml", 7),
        "preheader": ("spring.toml", 10),
        "html": ("spring.html", 1),
        "text": ("texts/spring.txt", 1),
        "header X-Campaign": ("spring.toml", 14),
    }


def test_the_least_campaign(load: Load) -> None:
    spec = load(LEAST + 'html = "spring.html"\n')
    assert spec.envelope_sender is None
    assert spec.text is None
    assert (spec.to_name, spec.preheader, spec.attachments, spec.inline) == (None, None, [], [])
    assert not spec.transactional
    assert not spec.inline_css
    assert spec.unknown is UnknownPolicy.RESEND
    assert spec.retry == RetryPolicy()


def test_a_byte_order_mark_is_no_content(load: Load) -> None:
    assert load(LEAST + 'html = "bom.html"\n', bom=b"\xef\xbb\xbf<p>").html == "<p>"


HTML = 'html = "spring.html"\n'


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        (LEAST, 'add html = "FILE" or text = "FILE"'),
        (LEAST + HTML + 'htlm = "x"\n', "unknown field `htlm`"),
        (LEAST + HTML + "[retry]\nfrist = 3\n", "unknown field `frist` - at `$.retry`"),
        (LEAST.replace('"n"', "3") + HTML, "Expected `str`, got `int` - at `$.name`"),
        (LEAST.replace('name = "n"\n', "") + HTML, "missing required field `name`"),
        (LEAST.replace('"n"', '""') + HTML, "$.name"),
        (LEAST.replace('"n"', r'"a\nb"') + HTML, "name: use printable characters"),
        (LEAST.replace('"a"', '"a b"') + HTML, "$.account"),
        (LEAST + HTML + 'unknown = "drop"\n', "Invalid enum value 'drop'"),
        ("name = \n", "Invalid value (at line 1"),
        (LEAST + 'html = "nope.html"\n', "html: nope.html: No such file"),
        (LEAST + 'html = "../outside.html"\n', "outside of the campaign's folder"),
        (LEAST + 'html = "/etc/passwd"\n', "outside of the campaign's folder"),
        (LEAST + 'html = "link.html"\n', "outside of the campaign's folder"),
        (LEAST + 'html = "loop.html"\n', "loop.html: "),
        (LEAST + 'html = "texts"\n', "texts: not a file"),
        (LEAST + 'html = "fifo.html"\n', "fifo.html: not a file"),
        (LEAST + 'html = ""\n', "html: give the name of a file"),
        (LEAST + 'html = "bad.html"\n', "bad.html, line 2: not UTF-8"),
        (LEAST + 'html = "big.html"\n', "big.html: longer than 524288 characters"),
        (LEAST.replace("a@b.example", "nobody") + HTML, "from: 'nobody' is not an address"),
        (LEAST.replace("a@b.example", "A <{{ x }}@b.example>") + HTML, "merge fields in the name"),
        (LEAST.replace("a@b.example", r"a@b.example\r\nBcc: x@y.z") + HTML, "is not an address"),
        (LEAST.replace("a@b.example", "A <a@b..example>") + HTML, "is not an address"),
        (LEAST + HTML + 'envelope_sender = "x"\n', "envelope_sender: 'x' is not an address"),
        (LEAST + HTML + 'reply_to = "x <>"\n', "reply_to: '' is not an address"),
        (LEAST + 'text = "texts/spring.txt"\ninline_css = true\n', "inline_css: there is no html"),
        (LEAST + 'text = "texts/spring.txt"\npreheader = "x"\n', "preheader: there is no html"),
        (LEAST + HTML + "[retry]\nfirst = 0\n", "[retry] first: write seconds"),
        (LEAST + HTML + '[retry]\nexpire = "1 week"\n', "[retry] expire: write seconds"),
        (LEAST + HTML + '[retry]\nfirst = "5h"\n', "[retry] longest: must not be shorter"),
        (LEAST + HTML + "[retry]\nfactor = 0.5\n", "$.retry.factor"),
        *(
            (LEAST + HTML + f'[headers]\n"{name}" = "x"\n', "this header is set by campaignd")
            for name in (
                *("From", "to", "DATE", "Message-ID", "Subject", "MIME-Version", "Bcc", "Cc"),
                *("Content-Type", "Content-Foo", "DKIM-Signature", "Received", "Return-Path"),
                *("Sender", "Reply-To", "Resent-To", "ARC-Seal", "Authentication-Results"),
            )
        ),
        (LEAST + HTML + '[headers]\n"X A" = "x"\n', "use letters, digits and hyphens"),
        (LEAST + HTML + '[headers]\n"X:A" = "x"\n', "use letters, digits and hyphens"),
        (LEAST + HTML + '[headers]\n"X-\\nA" = "x"\n', "use letters, digits and hyphens"),
        (LEAST + HTML + '[headers]\n"X-é" = "x"\n', "use letters, digits and hyphens"),
        (LEAST + HTML + '[headers]\n"" = "x"\n', "use letters, digits and hyphens"),
        (LEAST + HTML + f'[headers]\n{"X" * 41} = "x"\n', "a name has at most 40 characters"),
        (LEAST + HTML + '[headers]\nX-A = "x"\nx-a = "y"\n', "given twice"),
        (
            LEAST + HTML + '[headers]\nlist-unsubscribe-POST = "x"\n',
            "says nothing without List-Unsubscribe",
        ),
        (LEAST + HTML + "[headers]\nX-A = 3\n", "Expected `str`, got `int`"),
    ],
)
def test_a_mistake_is_told_in_one_line(load: Load, toml: str, says: str) -> None:
    with pytest.raises(CampaignError) as caught:
        load(toml, bad=b"ok\n\xff", big="x" * (MAX_SOURCE_CHARACTERS + 1))
    assert says in str(caught.value)
    assert "spring.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_click_headers_of_its_own(load: Load) -> None:
    lines = '[headers]\nList-Unsubscribe-Post = "x"\nlist-unsubscribe = "y"\n'
    assert load(LEAST + HTML + lines).headers == {
        "List-Unsubscribe-Post": "x",
        "list-unsubscribe": "y",
    }


def test_a_campaign_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match="No such file"):
        load_campaign(tmp_path / "none.toml")


def test_quotes_of_a_display_name_arrive(load: Load, read: Callable[[bytes], EmailMessage]) -> None:
    mailbox = r"""'"\"Best Shop\"" <a@b.example>'"""
    toml = LEAST.replace('"a@b.example"', mailbox) + f'reply_to = {mailbox}\nhtml = "spring.html"\n'
    composer = Composer(load(toml), 1, [])
    composed = composer.compose(0, 1, "x@y.example", [], date=date_header(0.0), eight_bit=True)
    message = read(composed.wire)
    for name in ("From", "Reply-To"):
        assert message[name].addresses[0].display_name == '"Best Shop"'
