"""Where people find help: the crisis services of `resources.yaml`, each with its source and the day it was checked."""

import re
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

from ruamel.yaml import YAML

FILE = Path(__file__).with_name("resources.yaml")


@dataclass(frozen=True)
class Way:
    """How to reach a service: `tel`, `text` or `chat`."""

    kind: str
    value: str

    @property
    def link(self) -> str:
        if self.kind == "chat":
            return self.value
        return f"{'sms' if self.kind == 'text' else 'tel'}:{re.sub(r'[^0-9+]', '', self.value)}"

    @property
    def shown(self) -> str:
        return self.value.removeprefix("https://")


@dataclass(frozen=True)
class Service:
    name: str
    what: str
    ways: tuple[Way, ...]
    source: str
    hours: str = ""
    languages: str = ""
    verified_on: date | None = None


@dataclass(frozen=True)
class Country:
    code: str
    name: str
    emergency: str
    services: tuple[Service, ...]

    @property
    def emergency_way(self) -> Way:
        return Way("tel", self.emergency)


def countries() -> list[Country]:
    """Those with entries of their own, by name."""
    return [country for code, country in _by_code().items() if code]


def everywhere() -> Country:
    """What helps wherever one is."""
    return _by_code()[""]


def country(code: str) -> Country:
    return _by_code().get(code.upper(), everywhere())


@cache
def _by_code() -> dict[str, Country]:
    return {entry["country"]: _country(entry) for entry in YAML(typ="safe").load(FILE)}


def _country(entry: dict) -> Country:
    services = tuple(_service(dict(service)) for service in entry["services"])
    return Country(entry["country"], entry["name"], entry["emergency"], services)


def _service(entry: dict) -> Service:
    ways = tuple(Way(kind, value) for way in entry.pop("ways") for kind, value in way.items())
    return Service(ways=ways, **entry)
