import pytest
from django.core.exceptions import ImproperlyConfigured

from evalsite.keys import random_key, secret


def test_a_key_is_made_once_and_found_again(tmp_path):
    file = tmp_path / "keys" / "secret"

    assert secret("NO_SUCH_KEY", file, random_key, production=False) == secret(
        "NO_SUCH_KEY", file, random_key, production=False
    )


def test_only_the_owner_may_read_a_key(tmp_path):
    file = tmp_path / "keys" / "secret"
    secret("NO_SUCH_KEY", file, random_key, production=False)

    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_nothing_but_the_key_is_left(tmp_path):
    secret("NO_SUCH_KEY", tmp_path / "keys" / "secret", random_key, production=False)

    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["secret"]


def test_the_environment_comes_first(tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "given")

    assert secret("SOME_KEY", tmp_path / "secret", random_key, production=False) == "given"
    assert not (tmp_path / "secret").exists()


def test_production_makes_no_keys(tmp_path):
    with pytest.raises(ImproperlyConfigured, match="Set NO_SUCH_KEY"):
        secret("NO_SUCH_KEY", tmp_path / "secret", random_key, production=True)


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(ImproperlyConfigured, match="EVALSITE_DATA"):
        secret("NO_SUCH_KEY", tmp_path / "file" / "secret", random_key, production=False)


def test_the_key_of_a_quicker_process_is_the_key(tmp_path):
    file = tmp_path / "keys" / "secret"

    def slow() -> str:
        secret("NO_SUCH_KEY", file, lambda: "quick", production=False)
        return "slow"

    assert secret("NO_SUCH_KEY", file, slow, production=False) == "quick"
