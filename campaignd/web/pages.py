"""The pages that people see, built in or from a theme's `page.html`.

They work without scripts and cookies, load nothing from elsewhere, and send nothing but the form
back to where they came from.
"""

from __future__ import annotations

import enum
import secrets
from importlib import resources
from pathlib import Path
from typing import Final

import jinja2
from starlette.responses import HTMLResponse

from campaignd.errors import ConfigError
from campaignd.web import wording

FILE: Final = "page.html"
MAX_OCTETS: Final = 262_144


class Page(enum.Enum):
    """What a page is about, and its HTTP status."""

    ASK = "ask", 200
    DONE = "done", 200
    ALREADY = "already", 200
    TEST = "test", 200
    INVALID = "invalid", 404
    PURGED = "purged", 410
    AWAY = "away", 503
    BUSY = "busy", 429
    REFUSED = "refused", 400

    def __init__(self, label: str, status: int) -> None:
        self.label = label
        self.status = status


class Pages:
    """The template is compiled, and tried for every page and language, once."""

    def __init__(self, theme: Path | None = None) -> None:
        """`theme` is a folder with a page.html. Raises ConfigError, naming what is wrong."""
        environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
        if theme is None:
            source = resources.files("campaignd.web").joinpath("templates", FILE).read_text("utf-8")
            self._template = environment.from_string(source)
        else:
            self._template = _themed(environment, theme / FILE)

    def answer(
        self,
        page: Page,
        languages: str = "",
        *,
        status: int | None = None,
        retry_seconds: int | None = None,
    ) -> HTMLResponse:
        """`languages` is the request's Accept-Language; `status` replaces the page's own."""
        nonce = secrets.token_urlsafe(12)
        headers = {"Content-Security-Policy": _policy(nonce)}
        if retry_seconds is not None:
            headers["Retry-After"] = str(retry_seconds)
        lang = wording.chosen(languages)
        headers["Content-Language"] = lang
        return HTMLResponse(
            _render(self._template, page, lang, nonce),
            status_code=page.status if status is None else status,
            headers=headers,
        )


def _policy(nonce: str) -> str:
    return (
        f"default-src 'none'; style-src 'nonce-{nonce}'; img-src data:; form-action 'self';"
        " base-uri 'none'; frame-ancestors 'none'"
    )


def _render(template: jinja2.Template, page: Page, lang: str, nonce: str) -> str:
    words = wording.LANGUAGES[lang]
    title, text = getattr(words, page.label)
    return template.render(
        page=page.label, title=title, text=text, button=words.button, lang=lang, nonce=nonce
    )


def _themed(environment: jinja2.Environment, path: Path) -> jinja2.Template:
    try:
        with path.open("rb") as file:
            source = file.read(MAX_OCTETS + 1)
        if len(source) > MAX_OCTETS:
            raise ConfigError(f"[web] theme: {path} is larger than {MAX_OCTETS} octets")
        template = environment.from_string(source.decode("utf-8"))
        made = {
            (page, lang): _render(template, page, lang, "n")
            for page in Page
            for lang in wording.LANGUAGES
        }
    except OSError as error:
        raise ConfigError(f"[web] theme: {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"[web] theme: {path} is not UTF-8") from None
    except jinja2.TemplateSyntaxError as error:
        raise ConfigError(f"[web] theme: {path}, line {error.lineno}: {error.message}") from None
    except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError) as error:
        raise ConfigError(f"[web] theme: {path}: {error}") from None
    asks = [html.lower() for (page, _), html in made.items() if page is Page.ASK]
    if not all(
        'method="post"' in ask and ("<button" in ask or 'type="submit"' in ask) for ask in asks
    ):
        raise ConfigError(
            f'[web] theme: {path} has no <form method="post"> with a button when page is "ask":'
            " nobody could unsubscribe"
        )
    return template
