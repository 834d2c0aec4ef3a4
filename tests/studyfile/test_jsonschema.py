"""The published schema helps an editor and agrees with the reader."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from ratings.studyfile.jsonschema import study_schema
from tests.studyfile.written import STUDY, changed

STUDIES = sorted((Path(__file__).parents[2] / "studies").glob("*.yaml"))
VALIDATOR = Draft202012Validator(study_schema())


def data(text: str):
    return json.loads(json.dumps(YAML(typ="safe", pure=True).load(text)))


def test_it_is_a_json_schema():
    Draft202012Validator.check_schema(study_schema())
    assert json.loads(json.dumps(study_schema())) == study_schema()


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_examples_agree_with_it(path):
    assert list(VALIDATOR.iter_errors(data(path.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("minutes: 10", "minuts: 10"),
        ("minutes: 10", "minutes: ten"),
        ("mode: stored", "mode: sotred"),
        ("slug: tea-or-coffee", "slug: Tea Or Coffee"),
        ("low: Not at all", "low: 3"),
    ],
)
def test_it_refuses_what_the_reader_refuses(old, new):
    assert not VALIDATOR.is_valid(data(changed((old, new))))
    assert VALIDATOR.is_valid(data(STUDY))


def test_most_fields_are_explained():
    described = [
        "description" in field
        for part in study_schema()["$defs"].values()
        for field in part.get("properties", {}).values()
    ]

    assert sum(described) >= len(described) // 2
