"""The unsubscribe page in a real browser, by mouse, by keyboard and without JavaScript."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from tests.e2e.site import PATIENCE, Site
from tests.e2e.webserver import WebProcess, suppressed

DESKTOP, PHONE = (1280, 800), (390, 844)

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--disable-crash-reporter", "--force-device-scale-factor=1",
)  # fmt: skip


@pytest.fixture
def web(site: Site) -> Iterator[WebProcess]:
    with WebProcess(site) as process:
        yield process


@contextmanager
def browser(*, scripts: bool = True) -> Iterator[webdriver.Chrome]:
    """Debian's Chromium with a profile and a home of its own; no process or file outlives it."""
    # Not in the test's folder: the name of a socket in there would be too long for it.
    with TemporaryDirectory(prefix="browser-") as home:
        options = Options()
        options.binary_location = "/usr/bin/chromium"
        for flag in (*FLAGS, f"--user-data-dir={home}/profile"):
            options.add_argument(flag)
        if not scripts:
            prefs = {"profile.managed_default_content_settings.javascript": 2}
            options.add_experimental_option("prefs", prefs)
        service = Service(
            "/usr/bin/chromedriver",
            env={**os.environ, "HOME": home, "TMPDIR": home},
            log_output=subprocess.DEVNULL,
        )
        try:
            driver = webdriver.Chrome(options=options, service=service)
            try:
                driver.set_page_load_timeout(PATIENCE)
                yield driver
            finally:
                driver.quit()
        finally:
            service.stop()
            _end(home)


def _end(home: str) -> None:
    """Its crash handler would stay for a while. Returns when nothing of this browser runs."""
    while running := list(_processes(home)):
        for pid in running:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def _processes(home: str) -> Iterator[int]:
    """Those whose environment has this home; the ended have none."""
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if f"HOME={home}".encode() in entry.read_bytes().split(b"\0"):
                yield int(entry.parent.name)


def resize(driver: webdriver.Chrome, size: tuple[int, int]) -> None:
    """The page itself, not the window around it, gets this size in CSS pixels."""
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size is PHONE},
    )


def heading(driver: webdriver.Chrome) -> str:
    return driver.find_element(By.TAG_NAME, "h1").text


def shows(driver: webdriver.Chrome, title: str) -> None:
    """Waits for a page; a click returns before the next one is there."""
    ignored = [StaleElementReferenceException, NoSuchElementException]
    WebDriverWait(driver, PATIENCE, 0.05, ignored).until(lambda _: heading(driver) == title)


def picture(driver: webdriver.Chrome, folder: Path, name: str) -> tuple[int, int]:
    """Takes a screenshot; returns its width and height."""
    path = folder / f"{name}.png"
    assert driver.save_screenshot(str(path))
    width, height = struct.unpack(">II", path.read_bytes()[16:24])
    return width, height


def focused(driver: webdriver.Chrome) -> WebElement:
    return driver.switch_to.active_element


def test_a_click_unsubscribes(site: Site, web: WebProcess, tmp_path: Path) -> None:
    campaign = site.enqueue(3, "--draft", "--no-lint")
    with browser() as driver:
        resize(driver, DESKTOP)
        driver.get(web.link(campaign, 2))
        assert heading(driver) == driver.title == "Unsubscribe?"
        assert picture(driver, tmp_path, "desktop") == DESKTOP
        assert suppressed(site) == []  # looking changes nothing
        dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
        resize(driver, PHONE)
        button = driver.find_element(By.TAG_NAME, "button")
        assert picture(driver, tmp_path, "phone") == PHONE
        assert button.size["height"] >= 44  # WCAG 2.2, 2.5.5
        wide = driver.find_element(By.TAG_NAME, "html").size["width"]
        assert wide <= PHONE[0]  # nothing to scroll sideways (1.4.10)
        button.click()
        shows(driver, "You are unsubscribed")
        assert picture(driver, tmp_path, "done") == PHONE
        assert len(suppressed(site)) == 1
        assert driver.current_url == web.link(campaign, 2)
        assert driver.get_cookies() == []
        assert driver.get_log("browser") == []  # the policy blocked nothing, nothing was missing


def test_the_keyboard_is_enough(site: Site, web: WebProcess, tmp_path: Path) -> None:
    campaign = site.enqueue(1, "--draft", "--no-lint")
    with browser() as driver:
        resize(driver, DESKTOP)
        driver.get(web.link(campaign))
        assert focused(driver).tag_name == "body"  # a stray Enter must not unsubscribe
        ActionChains(driver).send_keys(Keys.TAB).perform()
        button = focused(driver)
        assert button.accessible_name == "Unsubscribe"
        assert button.aria_role == "button"
        assert button.value_of_css_property("outline-style") == "solid"
        assert button.value_of_css_property("outline-width") == "3px"
        picture(driver, tmp_path, "focus")
        ActionChains(driver).send_keys(Keys.ENTER).perform()
        shows(driver, "You are unsubscribed")
        assert len(suppressed(site)) == 1


def test_without_javascript(site: Site, web: WebProcess) -> None:
    campaign = site.enqueue(1, "--draft", "--no-lint")
    with browser(scripts=False) as driver:
        driver.get("data:text/html,<p id=x>off</p><script>x.textContent = 'on'</script>")
        assert driver.find_element(By.ID, "x").text == "off"
        driver.get(web.link(campaign))
        driver.find_element(By.TAG_NAME, "button").click()
        shows(driver, "You are unsubscribed")
    assert len(suppressed(site)) == 1


def test_prefetching_unsubscribes_nobody(site: Site, web: WebProcess, tmp_path: Path) -> None:
    """A page that has the browser fetch and prerender the link, as scanners of mail do."""
    campaign = site.enqueue(1, "--draft", "--no-lint")
    link = web.link(campaign)
    page = tmp_path / "mail.html"
    page.write_text(
        f'<link rel="prefetch" href="{link}"><link rel="preload" as="image" href="{link}">'
        f'<img src="{link}" alt=""><iframe src="{link}"></iframe><a href="{link}">leave</a>'
    )
    with browser() as driver:
        driver.get(page.as_uri())
        driver.find_element(By.TAG_NAME, "a").click()
        shows(driver, "Unsubscribe?")
    assert httpx.head(link).status_code == 200
    assert suppressed(site) == []
