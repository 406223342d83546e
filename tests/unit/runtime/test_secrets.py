"""The secret box: round trips, key replacement, and errors without the secret."""

import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from farwatch_runtime.secrets import SecretBox, SecretError, generate_key_file


def make_key() -> str:
    return Fernet.generate_key().decode()


def test_round_trip_and_shape() -> None:
    box = SecretBox.from_keys([make_key()])
    stored = box.encrypt("https://hook.example/päss")
    assert stored.startswith("enc:v1:")
    assert "hook" not in stored
    assert box.is_encrypted(stored)
    assert not box.is_encrypted("https://hook.example")
    assert box.decrypt(stored) == "https://hook.example/päss"
    assert box.encrypt("same") != box.encrypt("same")


def test_first_key_encrypts_and_all_decrypt() -> None:
    old, new = make_key(), make_key()
    before = SecretBox.from_keys([old]).encrypt("x")
    both = SecretBox.from_keys([new, old])
    assert both.decrypt(before) == "x"
    after = both.encrypt("y")
    assert SecretBox.from_keys([new]).decrypt(after) == "y"
    with pytest.raises(SecretError, match="no key"):
        SecretBox.from_keys([old]).decrypt(after)


def test_tampered_and_plain_values_are_refused() -> None:
    box = SecretBox.from_keys([make_key()])
    stored = box.encrypt("swordfish")
    with pytest.raises(SecretError) as caught:
        box.decrypt(stored[:-4] + "AAA=")
    assert "swordfish" not in str(caught.value)
    with pytest.raises(SecretError, match="not encrypted"):
        box.decrypt("swordfish")


def test_key_file_is_private_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    assert generate_key_file(path) is True
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    content = path.read_bytes()
    assert generate_key_file(path) is False
    assert path.read_bytes() == content
    box = SecretBox.from_file(path)
    assert box.decrypt(box.encrypt("x")) == "x"
    assert content.decode().strip() not in repr(box)


def test_key_file_with_comments_and_several_keys(tmp_path: Path) -> None:
    old, new = make_key(), make_key()
    path = tmp_path / "secret.key"
    path.write_text(f"# since May\n{new}\n\n{old}\n")
    assert SecretBox.from_file(path).decrypt(SecretBox.from_keys([old]).encrypt("x")) == "x"


@pytest.mark.parametrize(("content", "word"), [("", "no key"), ("nonsense\n", "not 32 bytes"), ("é", "not a key file")])
def test_bad_key_files(tmp_path: Path, content: str, word: str) -> None:
    path = tmp_path / "secret.key"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(SecretError, match=word) as caught:
        SecretBox.from_file(path)
    assert "nonsense" not in str(caught.value)


def test_missing_key_file(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="No such file"):
        SecretBox.from_file(tmp_path / "none")
