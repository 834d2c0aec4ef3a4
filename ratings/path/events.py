"""A reply as it is being made, streamed to the browser of the person it is for."""

from asgiref.sync import sync_to_async
from django.db import connection
from django.http import Http404, HttpRequest, StreamingHttpResponse
from django.views.decorators.http import require_GET

from inference.streaming import event_stream
from ratings.models import Exposure
from ratings.path.visits import find_visit


@require_GET
async def events(request: HttpRequest, slug: str, code: str) -> StreamingHttpResponse:
    locale = await sync_to_async(locale_of_reader, thread_sensitive=False)(request, slug, code)
    if locale is None:
        raise Http404
    stream = event_stream(code, request.headers.get("Last-Event-ID", ""), locale)
    # Proxies must pass each event on at once.
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingHttpResponse(stream, content_type="text/event-stream", headers=headers)


def locale_of_reader(request: HttpRequest, slug: str, code: str) -> str | None:
    """The language of the visit that this turn belongs to; None when it is not the reader's own.

    Nothing of the database stays open: the stream that follows may last for minutes.
    """
    try:
        visit = find_visit(request, slug)
        if visit is None:
            return None
        shown = Exposure.objects.filter(assignment__visit=visit, conversation__turns__code=code)
        return visit.locale if shown.exists() else None
    finally:
        connection.close()
