"""The JSON Schema of study files, so that an editor can complete and check them while one types."""

from __future__ import annotations

from typing import Any

from ratings.studyfile.schema import StudyFile


def study_schema() -> dict[str, Any]:
    schema = StudyFile.model_json_schema(mode="validation")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Study file, format 1",
        "description": "A study: what is compared, what participants read, and how much of it each of them sees.",
    }
