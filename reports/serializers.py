"""Rows of the API, with the fields of its schema. Participants are random ids, as in the data package."""

from typing import Any

from rest_framework import serializers

from ratings.frames import as_participant, as_rating
from ratings.models import Participant, Study, StudyVersion, Visit
from ratings.studyfile.publishing import definition_of
from ratings.studyfile.schema import text_in


class PoolQuery(serializers.Serializer):
    """Which participants are asked for."""

    kind = serializers.ChoiceField(Participant.Kind.choices, default=Participant.Kind.REAL, help_text="Never mixed.")
    version = serializers.IntegerField(
        min_value=1,
        required=False,
        help_text="Of the versions that share this version's design; else the current one's.",
    )


class StudySerializer(serializers.ModelSerializer):
    title = serializers.SerializerMethodField()
    version = serializers.IntegerField(source="current_version.number", default=None)
    fingerprint = serializers.CharField(source="current_version.fingerprint", default=None)

    class Meta:
        model = Study
        fields = ["slug", "title", "state", "version", "fingerprint", "created_at"]

    def get_title(self, study: Study) -> str | None:
        if study.current_version is None:
            return None
        definition = definition_of(study.current_version)
        return text_in(definition.title, definition.default_locale, definition.default_locale)


class VersionSerializer(serializers.ModelSerializer):
    class Meta:
        model = StudyVersion
        fields = ["number", "fingerprint", "design_fingerprint", "pool", "same_meaning", "published_at", "definition"]


class ParticipantSerializer(serializers.Serializer):
    participant_id = serializers.CharField()
    kind = serializers.ChoiceField(Participant.Kind.choices)
    group = serializers.CharField()
    wave = serializers.CharField()
    version = serializers.IntegerField()
    outcome = serializers.CharField(help_text="How the visit ended; empty while it is under way.")
    stage = serializers.CharField()
    excluded = serializers.CharField(help_text="Rule by which they are left out of ratings and report; else empty.")
    locale = serializers.CharField()
    started_at = serializers.DateTimeField()
    consented_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    items_given = serializers.IntegerField()
    items_rated = serializers.IntegerField()
    checks_passed = serializers.IntegerField()
    checks_failed = serializers.IntegerField()
    consent_take_part = serializers.BooleanField()
    consent_sensitive = serializers.BooleanField()
    consent_quotes = serializers.BooleanField()
    consent_training = serializers.BooleanField()
    exit = serializers.DictField(help_text="Answers to the exit questions, by their keys.")

    def to_representation(self, visit: Visit) -> dict[str, Any]:
        return super().to_representation(as_participant(visit))


class RatingSerializer(serializers.Serializer):
    participant_id = serializers.CharField()
    item_id = serializers.CharField()
    arm = serializers.CharField()
    criterion = serializers.CharField()
    rating = serializers.IntegerField(allow_null=True)
    missing_reason = serializers.CharField()
    first_rating = serializers.IntegerField(allow_null=True)
    position = serializers.IntegerField()
    stratum = serializers.CharField()
    version = serializers.IntegerField()
    outcome = serializers.CharField()
    shown_at = serializers.DateTimeField(allow_null=True)
    submitted_at = serializers.DateTimeField(allow_null=True)
    changed_at = serializers.DateTimeField()
    seconds = serializers.FloatField(allow_null=True)

    def to_representation(self, row: tuple) -> dict[str, Any]:
        return super().to_representation(as_rating(row))
