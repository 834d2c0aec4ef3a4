import os

from django.core.wsgi import get_wsgi_application

from evalsite import mixtures

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "evalsite.settings")
application = get_wsgi_application()
mixtures.refuse_pages_alone()
