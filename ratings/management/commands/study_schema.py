import json

from django.core.management.base import BaseCommand

from ratings.studyfile.jsonschema import study_schema


class Command(BaseCommand):
    help = "Print the JSON Schema of the study file, for editors that complete and check as one types."

    def handle(self, **options):
        self.stdout.write(json.dumps(study_schema(), indent=2, ensure_ascii=False))
