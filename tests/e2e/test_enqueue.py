"""Enqueueing by the command: keys, mistakes, and what is told."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.site import COMMAND, PATIENCE, Site


def test_the_id_alone_is_on_standard_output(site: Site) -> None:
    (site.folder / "r.csv").write_text("email,name\na@a.example,A\nbroken,B\na@A.example,A\n")
    done = site.ok("enqueue", site.campaign(), "--recipients", "r.csv", "--draft")
    assert int(done.stdout) > 0
    assert "1 recipient, 1 duplicate, 1 invalid" in done.stderr
    rejects = (site.folder / "r.csv.rejects.csv").read_text()
    assert rejects.startswith("line,email,reason\n3,broken,")
    assert "4,a@a.example,duplicate of an earlier row" in rejects


def test_json_has_all_figures(site: Site) -> None:
    source = site.audience(5)
    words = ("enqueue", site.campaign(), "--recipients", source, "--draft", "--json")
    found = site.ok(*words).json
    assert found.pop("seconds") > 0
    assert found == {
        "id": found["id"],
        "total": 5,
        "invalid": 0,
        "duplicates": 0,
        "state": "draft",
        "existed": False,
        "rejects": None,
    }


def test_a_key_cannot_enqueue_twice(site: Site) -> None:
    source = site.audience(5)
    words = ("enqueue", site.campaign(), "--recipients", source, "--key", "spring", "--draft")
    first, second = site.ok(*words), site.ok(*words)
    assert first.stdout == second.stdout
    assert "was enqueued before" in second.stderr
    assert len(site.ok("status", "--json").json) == 1
    line = site.refused("enqueue", "c.toml", "--recipients", site.audience(6), "--key", "spring")
    assert "use a new key" in line


def test_two_enqueues_at_once_with_one_key(site: Site) -> None:
    source = site.audience(20_000)
    words = ("enqueue", site.campaign(), "--recipients", source, "--key", "spring", "--json")
    argv = [COMMAND, "--config", str(site.config), *words]
    racing = [
        subprocess.Popen(
            argv, cwd=site.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    ended = [(*process.communicate(timeout=PATIENCE), process.returncode) for process in racing]
    told = [json.loads(out) for out, _, status in ended if status == 0]
    for _, error, status in ended:
        assert status == 0 or "is under way already" in error
    assert [found["existed"] for found in told].count(False) == 1
    assert len({found["id"] for found in told}) == 1
    [listed] = site.ok("status", "--json").json
    assert listed["counts"]["total"] == 20_000


def test_a_killed_enqueue_sends_nothing_and_resumes(site: Site) -> None:
    source = site.audience(60_000)
    words = ("enqueue", site.campaign(), "--recipients", source, "--key", "spring", "--draft")
    argv = [COMMAND, "--config", str(site.config), *words]
    with subprocess.Popen(argv, cwd=site.folder, stdout=subprocess.DEVNULL) as process:
        site.until(lambda: _loaded(site) > 0, "some rows are loaded")
        process.kill()
    assert 0 < _loaded(site) < 60_000
    [listed] = site.ok("status", "--json").json
    assert listed["state"] == "loading"
    assert listed["reason"].startswith("its audience is being loaded: ")
    assert site.ok(*words).stdout == f"{listed['id']}\n"
    assert site.status(listed["id"])["counts"]["total"] == 60_000


def _loaded(site: Site) -> int:
    rows = site.query("SELECT total FROM campaigns")
    return int(rows[0][0]) if rows else 0


def test_a_query_on_the_same_server(site: Site) -> None:
    query = "SELECT CONCAT('u', seq, '@q.example') AS email, seq AS name FROM seq_1_to_50"
    done = site.ok("enqueue", site.campaign(), "--query", query)
    campaign = int(done.stdout)
    site.daemon()
    site.until_state(campaign, "finished")
    assert len(site.check_nothing_lost(campaign, 50)) == 50


def test_recipients_from_standard_input(site: Site) -> None:
    words = ("enqueue", site.campaign(), "--recipients", "-", "--format", "jsonl", "--draft")
    done = site.run(*words, input='{"email": "a@a.example", "name": "A"}\n')
    assert done.returncode == 0
    assert site.status(int(done.stdout))["counts"]["total"] == 1


def test_a_time_that_has_passed(site: Site) -> None:
    source = site.audience(5)
    words = ("enqueue", site.campaign(), "--recipients", source, "--at")
    assert "leave it out to start at once" in site.refused(*words, "2020-01-01T00:00Z")
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 5))
    campaign = int(site.ok(*words, now, "--key", "k").stdout)
    assert site.status(campaign)["state"] == "running"
    again = site.ok(*words, "2020-01-01T00:00Z", "--key", "k")  # is answered nevertheless
    assert again.stdout == f"{campaign}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "input is empty"),
        ("mail,name\nx@a.example,X\n", "needs a column `email`"),
        ("email;name\nx@a.example;X\n", "separated by semicolons"),
        ("email,name\nbroken,X\n", "none of 1 rows is a valid recipient"),
        ("email,name\n", "none of 0 rows is a valid recipient"),
        ("email,first\nx@a.example,X\n", "no column name"),
    ],
)
def test_an_audience_that_cannot_be_used(site: Site, text: str, said: str) -> None:
    (site.folder / "bad.csv").write_text(text)
    assert said in site.refused("enqueue", site.campaign(), "--recipients", "bad.csv")
    assert site.ok("status", "--json").json == []


def test_files_that_are_not_there(site: Site) -> None:
    assert "none.toml: No such file" in site.refused("enqueue", "none.toml", "--recipients", "x")
    assert "none.csv: No such file" in site.refused(
        "enqueue", site.campaign(), "--recipients", "none.csv"
    )


@pytest.mark.parametrize(
    "words",
    [
        ("c.toml",),
        ("c.toml", "--recipients", "r.csv", "--query", "SELECT 1"),
        ("c.toml", "--query", "SELECT 1", "--format", "csv"),
        ("c.toml", "--recipients", "r.csv", "--at", "tomorrow"),
        ("--recipients", "r.csv"),
    ],
)
def test_wrong_usage(site: Site, words: tuple[str, ...]) -> None:
    done = site.run("enqueue", *words)
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: ")


def test_preview_and_send_test(site: Site) -> None:
    source = site.audience(3)
    text = site.ok("preview", site.campaign(), "--recipients", source, "--row", "2").stdout
    assert "Subject: Hi Name 1\n" in text.replace("\r\n", "\n")
    test = ("send-test", "c.toml", "--to", "me@acme.example")
    assert "give merge fields with --recipients" in site.refused(*test)
    done = site.ok(*test, "--recipients", source, "--row", "2")
    assert done.stdout.startswith("accepted by relay sink: 250 ")
    [took] = site.sink.accepted()
    assert took.recipient == "me@acme.example"
    site.sink.kill()
    line = site.refused(*test, "--recipients", source)
    assert line.startswith("no relay can be used: sink: ")


def test_the_rejects_file_can_be_named(site: Site, tmp_path: Path) -> None:
    (site.folder / "r.csv").write_text("email,name\na@a.example,A\nbroken,B\n")
    words = ("--recipients", "r.csv", "--rejects", "mine.csv", "--draft")
    site.ok("enqueue", site.campaign(), *words)
    assert (site.folder / "mine.csv").exists()
    assert not (site.folder / "r.csv.rejects.csv").exists()
