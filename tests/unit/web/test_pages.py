"""The pages: accessible, self-contained, and the theme that replaces them."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from campaignd.errors import ConfigError
from campaignd.web import pages, wording
from campaignd.web.pages import Page, Pages

FORM = '<form method="post"><button>{{ button }}</button></form>'


class Elements(HTMLParser):
    """What a page is made of."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data.strip())

    def one(self, tag: str) -> dict[str, str | None]:
        [found] = [attrs for name, attrs in self.tags if name == tag]
        return found

    def has(self, tag: str) -> bool:
        return any(name == tag for name, _ in self.tags)


def built(page: Page, language: str = "en") -> tuple[str, Elements]:
    html = bytes(Pages().answer(page, language).body).decode()
    return html, Elements(html)


@pytest.mark.parametrize("language", wording.LANGUAGES)
@pytest.mark.parametrize("page", Page)
def test_every_page_in_every_language(page: Page, language: str) -> None:
    html, elements = built(page, language)
    assert html.startswith("<!doctype html>")
    assert elements.one("html")["lang"] == language
    title, text = getattr(wording.LANGUAGES[language], page.label)
    assert [word for word in elements.words if word == title] == [title, title]  # title, heading
    assert text in elements.words
    assert elements.has("main")
    assert elements.has("form") is (page is Page.ASK)


def test_the_form_needs_nothing_but_a_press() -> None:
    _, elements = built(Page.ASK)
    assert elements.one("form") == {"method": "post"}
    assert elements.one("button") == {"type": "submit"}
    assert not elements.has("input")


@pytest.mark.parametrize("page", Page)
def test_nothing_is_loaded_and_nothing_runs(page: Page) -> None:
    html, elements = built(page)
    assert not elements.has("script")
    assert "http" not in html
    assert "url(" not in html
    for tag, attributes in elements.tags:
        assert not any(name.startswith("on") for name in attributes)
        assert not {"src", "srcset", "action"} & set(attributes)
        if tag == "link":
            assert attributes == {"rel": "icon", "href": "data:,"}


def test_the_policy_lets_in_the_style_alone() -> None:
    answers = [Pages().answer(Page.ASK) for _ in range(2)]
    nonces = []
    for answer in answers:
        policy = dict(
            part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; ")
        )
        nonce = Elements(bytes(answer.body).decode()).one("style")["nonce"]
        assert policy == {
            "default-src": "'none'",
            "style-src": f"'nonce-{nonce}'",
            "img-src": "data:",
            "form-action": "'self'",
            "base-uri": "'none'",
            "frame-ancestors": "'none'",
        }
        nonces.append(nonce)
    assert nonces[0] != nonces[1]


def luminance(color: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_that_of_wcag_aa() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    html, _ = built(Page.ASK)
    schemes = re.findall(
        r"--text: (#\w{6}); --back: (#\w{6}); --button: (#\w{6}); --label: (#\w{6});", html
    )
    assert len(schemes) == 2  # light and dark
    for text, back, button, label in schemes:
        assert contrast(text, back) >= 4.5
        assert contrast(label, button) >= 4.5
        assert contrast(button, back) >= 3  # an element of the interface


def themed(folder: Path, text: str | bytes) -> Pages:
    data = text if isinstance(text, bytes) else text.encode()
    (folder / pages.FILE).write_bytes(data)
    return Pages(folder)


def test_a_theme_replaces_the_page(tmp_path: Path) -> None:
    built = themed(
        tmp_path, "<h1>Acme: {{ title }}</h1>{% if page == 'ask' %}" + FORM + "{% endif %}"
    )
    assert bytes(built.answer(Page.DONE).body) == b"<h1>Acme: You are unsubscribed</h1>"
    assert b"<button>Abmelden</button>" in bytes(built.answer(Page.ASK, "de").body)


def test_what_is_said_cannot_become_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    words = wording.ENGLISH._replace(done=("a < b", "<script>"))
    monkeypatch.setattr(wording, "LANGUAGES", {"en": words})
    assert not built(Page.DONE)[1].has("script")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{% if %}", "line 1: Expected an expression"),
        ("{{ nosuch }}" + FORM, "'nosuch' is undefined"),
        ("{{ title / 2 }}" + FORM, "unsupported operand"),
        ("{% include 'other.html' %}" + FORM, "no loader for this environment"),
        ("<h1>{{ title }}</h1>", "nobody could unsubscribe"),
        ("{{ {'en': 1}[lang] }}" + FORM, "has no attribute 'de'"),
        ("{% if lang == 'en' %}" + FORM + "{% endif %}", "nobody could unsubscribe"),
        ('<form method="get"><button></form>', "nobody could unsubscribe"),
        (b"\xff" + FORM.encode(), "not UTF-8"),
        ("x" * (pages.MAX_OCTETS + 1), "larger than"),
    ],
)
def test_a_theme_that_cannot_be_used(tmp_path: Path, text: str | bytes, complaint: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(complaint)) as caught:
        themed(tmp_path, text)
    assert "page.html" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_theme_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"page\.html: No such file"):
        Pages(tmp_path)
    (tmp_path / pages.FILE).mkdir()
    with pytest.raises(ConfigError, match=r"page\.html: Is a directory"):
        Pages(tmp_path)
