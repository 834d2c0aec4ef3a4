#!/usr/bin/env python
"""The door to every command: `python manage.py help`."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "evalsite.settings")
    from evalsite import logs

    logs.take_what_nobody_catches()
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as fault:
        # A variable that is missing or wrong: for whoever runs this, not for a debugger.
        sys.exit(str(fault))
