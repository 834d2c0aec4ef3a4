"""However a file is bent, reading it gives a study or a list of faults with places, never anything else."""

import io
import json
from functools import cache
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from ratings.studyfile import StudyFile, StudyFileErrors, canonical_json, read

STUDIES = Path(__file__).parents[2] / "studies"
REPLIES = (STUDIES / "own-replies.csv").read_bytes()
ODD = [None, True, 0, -1, 11, 2.5, "", " ", "x", "key", [], {}, [[]], {"en": "Hello"}, {"en": 3}, "a" * 30_000, 10**17]


@cache
def plain(name: str) -> str:
    """An example as JSON, which is YAML too, so that a changed tree is quickly written again."""
    return json.dumps(YAML(typ="safe", pure=True).load((STUDIES / name).read_text(encoding="utf-8")))


def nodes(value, path=()):
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, child in children:
        yield from nodes(child, (*path, step))


def parent_of(tree, path):
    for step in path[:-1]:
        tree = tree[step]
    return tree


@st.composite
def bent(draw):
    """An example with one to three of its nodes deleted, renamed, doubled or replaced."""
    tree = json.loads(plain(draw(st.sampled_from(["support-chat.yaml", "own-replies.yaml"]))))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from([path for path in nodes(tree) if path]))
        parent, step = parent_of(tree, path), path[-1]
        match draw(st.sampled_from(["delete", "rename", "replace", "double"])):
            case "delete":
                del parent[step]
            case "rename" if isinstance(parent, dict):
                parent[draw(st.sampled_from([f"{step}s", step[:-1], "key", "", "a b", "é"]))] = parent.pop(step)
            case "double" if isinstance(parent, list):
                parent.append(parent[step])
            case _:
                parent[step] = draw(st.sampled_from(ODD))
    return tree


def read_or_faults(source: bytes, replies: bytes = REPLIES):
    try:
        return read(source, "s.yaml", lambda _: replies)
    except StudyFileErrors as errors:
        found = [*errors.faults, *errors.warnings]
    assert any(fault.severity == "error" for fault in found)
    assert all(fault.line >= 1 and fault.column >= 1 and fault.path and fault.message for fault in found)
    assert not any("\n" in str(fault) for fault in found)
    return None


@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(bent())
def test_a_bent_file_is_read_or_its_faults_have_places(tree):
    loaded = read_or_faults(json.dumps(tree, indent=1).encode())

    if loaded is not None:
        assert StudyFile.model_validate_json(canonical_json(loaded.definition)) == loaded.definition


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.binary(max_size=200), st.integers(0, 3000))
def test_noise_in_the_middle_is_read_or_its_faults_have_places(noise, where):
    source = (STUDIES / "own-replies.yaml").read_bytes()[:3000]

    read_or_faults(source[:where] + noise + source[where:])


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.text(alphabet="ab:-[]{}&*!|>'\"#%@`,?\\ \n\t\x00é", max_size=80))
def test_punctuation_is_read_or_its_faults_have_places(text):
    read_or_faults(text.encode())


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.binary(max_size=60), st.integers(0, len(REPLIES)))
def test_noise_among_replies_is_read_or_its_faults_have_places(noise, where):
    read_or_faults((STUDIES / "own-replies.yaml").read_bytes(), REPLIES[:where] + noise + REPLIES[where:])


def test_a_file_written_again_by_a_yaml_library_keeps_its_fingerprint():
    stream = io.StringIO()
    YAML(typ="safe", pure=True).dump(json.loads(plain("support-chat.yaml")), stream)

    assert read(stream.getvalue().encode()).fingerprint == read(STUDIES / "support-chat.yaml").fingerprint
