import os

from django.core.asgi import get_asgi_application

from evalsite import logs, mixtures

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "evalsite.settings")
application = get_asgi_application()
logs.take_what_nobody_catches()
mixtures.refuse_pages_alone()
