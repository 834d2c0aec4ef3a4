from django.core.management.base import BaseCommand, CommandError

from inference.registration import Asked, Refused, register


class Command(BaseCommand):
    help = "Make a chat model known: it is looked at, has to answer once, and is then stored under its key."

    def add_arguments(self, parser) -> None:
        parser.add_argument("key", help="what study files call it")
        where = parser.add_mutually_exclusive_group(required=True)
        where.add_argument("--path", metavar="DIR", help="a model's folder, or smollm2-135m, the default model")
        where.add_argument(
            "--hub", metavar="NAME", help="a model of huggingface.co, or of HF_ENDPOINT: ORGANISATION/NAME"
        )
        where.add_argument("--server", metavar="URL", help="a server of OpenAI's API, as in http://gpu-1:8000/v1")
        parser.add_argument(
            "--revision", metavar="ID", default="", help="which revision of --hub (default: the latest)"
        )
        parser.add_argument("--model", metavar="NAME", default="", help="what the server calls it")
        parser.add_argument("--adapter", metavar="DIR", default="", help="an adapter's folder, tuned on that model")
        parser.add_argument("--template", metavar="FORMAT", default="", help="a prompt format, as in koala")
        parser.add_argument("--names", metavar="A,B", default="", help="further names that would give it away")
        parser.add_argument("--rows", metavar="N", type=int, help="how many replies are made at once")
        parser.add_argument("--key-env", metavar="VARIABLE", default="", help="the variable with the server's key")
        parser.add_argument("--extra-body", metavar="JSON", default="", help="further fields the server is sent")

    def handle(self, **options) -> None:
        if options["server"] and not options["model"]:
            raise CommandError("--server needs --model NAME: what the server calls the model.", returncode=2)
        if options["revision"] and not options["hub"]:
            raise CommandError("--revision is for --hub.", returncode=2)
        given = {name: options[name] or "" for name in Asked.__dataclass_fields__ if name not in ("names", "rows")}
        names = tuple(name.strip() for name in options["names"].split(",") if name.strip())
        try:
            done = register(Asked(**given, names=names, rows=options["rows"]), self.stdout.write)
        except Refused as refused:
            for fault in refused.faults:
                self.stderr.write(fault)
            raise SystemExit(1) from None
        self.stdout.write(f"{done.model.key} is {done.outcome}.")
        for name, value in done.description.items():
            self.stdout.write(f"  {name:<14}{value}")
        self.stdout.write(f"  {'masked':<14}{', '.join(done.model.names)}")
