from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from ratings.chatting import models_ready
from ratings.models import Study


@require_safe
def alive(request: HttpRequest) -> JsonResponse:
    """200 as soon as pages are served."""
    return JsonResponse({"status": "ok"})


@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """200 once every study that is open to people can be taken; until then 503, with what is still being made."""
    waiting = [
        {"study": study.slug, "replies_made": version.replies_made, "replies_wanted": version.replies_wanted}
        for study in Study.objects.open_to_people().select_related("current_version")
        if not ((version := study.version).is_ready and models_ready(version))
    ]
    return JsonResponse({"ready": not waiting, "waiting": waiting}, status=503 if waiting else 200)
