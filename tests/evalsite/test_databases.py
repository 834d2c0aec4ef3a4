import pytest
from django.core.exceptions import ImproperlyConfigured

from evalsite import databases


def test_an_address_names_a_postgresql_database():
    settings = databases.postgresql("postgresql://evalsite:p%40ss@db.example.org:5433/study?sslmode=require")

    named = {name: settings[name] for name in ("NAME", "USER", "PASSWORD", "HOST", "PORT")}
    assert named == {
        "NAME": "study",
        "USER": "evalsite",
        "PASSWORD": "p@ss",
        "HOST": "db.example.org",
        "PORT": "5433",
    }
    assert settings["OPTIONS"]["sslmode"] == "require"


def test_connections_come_from_a_pool_and_are_not_kept_by_threads():
    settings = databases.postgresql("postgres://localhost/study")

    assert settings["OPTIONS"]["pool"]["max_size"] > 1
    assert not settings.get("CONN_MAX_AGE")


@pytest.mark.parametrize(
    "url", ["study", "mysql://localhost/study", "postgresql://localhost", "postgresql://localhost/"]
)
def test_anything_else_is_refused_with_what_to_write(url):
    with pytest.raises(ImproperlyConfigured, match="postgresql://USER"):
        databases.postgresql(url)


def test_sqlite_survives_a_power_cut_and_overwrites_what_is_deleted(tmp_path):
    pragmas = databases.sqlite(tmp_path)["OPTIONS"]["init_command"]

    assert "synchronous=FULL" in pragmas
    assert "secure_delete=ON" in pragmas
