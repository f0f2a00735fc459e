from __future__ import annotations

import os
from pathlib import Path

import pytest

from campaignd.errors import ConfigError
from campaignd.keyfile import MAX_OCTETS, read_key_file

SECRET = b"do not show\n"


def key(path: Path, mode: int = 0o600, content: bytes = SECRET) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read_key_file(path)
    text = str(caught.value)
    assert text.startswith(f"key file {path}: ")
    assert "\n" not in text
    assert SECRET.decode().strip() not in text
    return text.removeprefix(f"key file {path}: ")


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o700])
def test_its_owner_alone_can_read_it(tmp_path: Path, mode: int) -> None:
    assert read_key_file(key(tmp_path / "a.key", mode)) == SECRET


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o601, 0o666])
def test_others_have_access(tmp_path: Path, mode: int) -> None:
    path = key(tmp_path / "a.key", mode)
    assert refusal(path) == f"others than its owner have access to it: chmod 600 {path}"


def test_a_link_is_as_good_as_its_target(tmp_path: Path) -> None:
    good, bad = key(tmp_path / "good"), key(tmp_path / "bad", 0o644)
    for name, target in (("to-good", good), ("to-bad", bad)):
        (tmp_path / name).symlink_to(target)
    assert read_key_file(tmp_path / "to-good") == SECRET
    assert "others than its owner" in refusal(tmp_path / "to-bad")


def test_a_credential_of_systemd_may_have_any_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "credentials").mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    assert read_key_file(key(tmp_path / "credentials" / "a.key", 0o440)) == SECRET
    assert "others than its owner" in refusal(key(tmp_path / "a.key", 0o440))


def test_what_is_no_key_file(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none") == "No such file or directory"
    assert refusal(tmp_path) == "Is a directory"
    assert refusal(key(tmp_path / "empty", content=b" \n")) == "empty"
    assert "larger than" in refusal(key(tmp_path / "large", content=b"x" * (MAX_OCTETS + 1)))
    assert refusal(Path(os.devnull)) == "not a file"
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert refusal(tmp_path / "pipe") == "not a file"
