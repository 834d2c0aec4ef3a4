import os

from django.core.wsgi import get_wsgi_application

from evalsite import logs, mixtures

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "evalsite.settings")
application = get_wsgi_application()
logs.take_what_nobody_catches()
mixtures.refuse_pages_alone()

# Late: there are no models before Django is set up.
from inference import dispatch  # noqa: E402

dispatch.warm()
