"""Reading studies by program. Everything belongs to the owner of the token or the session; else it is not there."""

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.generics import GenericAPIView, ListAPIView, RetrieveAPIView
from rest_framework.pagination import LimitOffsetPagination
from rest_framework.request import Request
from rest_framework.response import Response

from ratings import frames, looks
from ratings.frames import NothingPublished, Pool
from ratings.models import EarlyLook, Study, StudyVersion
from reports.serializers import (
    ParticipantSerializer,
    PoolQuery,
    RatingSerializer,
    StudySerializer,
    VersionSerializer,
)

SLUG = OpenApiParameter("slug", str, OpenApiParameter.PATH, description="The study's slug.")


class Pages(LimitOffsetPagination):
    max_limit = 1000


class TokenScheme(OpenApiAuthenticationExtension):
    target_class = "accounts.tokens.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


class Studies(ListAPIView):
    """Your studies."""

    serializer_class = StudySerializer
    pagination_class = Pages
    queryset = Study.objects.none()

    def get_queryset(self) -> QuerySet[Study]:
        return Study.objects.of(self.request.user).select_related("current_version")


class OneStudy(RetrieveAPIView):
    """One study."""

    serializer_class = StudySerializer
    lookup_field = "slug"
    queryset = Study.objects.none()

    def get_queryset(self) -> QuerySet[Study]:
        return Study.objects.of(self.request.user).select_related("current_version")


class OfStudy(GenericAPIView):
    """What belongs to one study of the user's."""

    pagination_class = Pages

    def study(self) -> Study:
        studies = Study.objects.of(self.request.user).select_related("current_version")
        return get_object_or_404(studies, slug=self.kwargs["slug"])

    def pool(self) -> Pool:
        study = self.study()
        query = PoolQuery(data=self.request.query_params)
        query.is_valid(raise_exception=True)
        try:
            return frames.pool_of(study, query.validated_data["kind"], query.validated_data.get("version"))
        except NothingPublished as nothing:
            raise NotFound(str(nothing)) from None


@extend_schema(parameters=[SLUG])
class Versions(OfStudy, ListAPIView):
    """The published versions of a study, each with its definition."""

    serializer_class = VersionSerializer
    queryset = StudyVersion.objects.none()

    def get_queryset(self) -> QuerySet[StudyVersion]:
        return self.study().versions.published().defer("source")


@extend_schema(parameters=[SLUG, PoolQuery])
class Participants(OfStudy, ListAPIView):
    """Visits of people whose consent stands. Withdrawn people are gone."""

    serializer_class = ParticipantSerializer

    def get_queryset(self) -> QuerySet:
        return frames.participants(self.pool())


@extend_schema(parameters=[SLUG, PoolQuery])
class Ratings(OfStudy, ListAPIView):
    """One row a rating, as in `ratings_long.csv`: without people under an exclusion, without practice and checks.

    Before the planned number of participants that is an early look, which the report tells.
    """

    serializer_class = RatingSerializer

    def get_queryset(self) -> QuerySet:
        pool = self.pool()
        looks.note(pool, self.request.user, EarlyLook.By.API)  # type: ignore[arg-type]  # nobody else gets here
        return frames.ratings(pool)


@extend_schema(parameters=[SLUG, PoolQuery], responses=OpenApiTypes.OBJECT)
class Report(OfStudy):
    """The report, as `manage.py report SLUG --json` gives it.

    Before the planned number of participants it has no results, unless the study's owner opened them: `hidden` says so.
    """

    def get(self, request: Request, slug: str) -> Response:
        from reports.report import study_report

        pool = self.pool()
        with frames.snapshot():
            return Response(study_report(pool))
