import os

from django.core.asgi import get_asgi_application

from evalsite import mixtures

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "evalsite.settings")
application = get_asgi_application()
mixtures.refuse_pages_alone()
