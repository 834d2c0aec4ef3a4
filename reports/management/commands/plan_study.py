import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ratings.frames import NothingPublished, Pool, find_study, pool_of
from reports.longcsv import LongCsvError
from reports.pilot import DEFAULTS, NoPilot, Pilot, pilot_of_csv, pilot_of_study
from reports.statistics.components import SOURCES, Components
from reports.statistics.intervals import estimable
from reports.statistics.planner import Unplannable, answers, plan


class Command(BaseCommand):
    help = "Tell how sure a comparison of two arms will be, and how many participants and items it needs."

    def add_arguments(self, parser):
        parser.add_argument("--participants", type=int, help="in all (with --from-study: its target)")
        parser.add_argument("--items", type=int, help="in all (with --from-study: its items)")
        parser.add_argument(
            "--items-each", type=int, metavar="N", help="items a participant rates (default: all, in both arms)"
        )
        parser.add_argument("--arms", choices=["within", "between"], help="within or between participants (within)")
        parser.add_argument(
            "--each-item-in",
            choices=["one-arm", "both-arms"],
            help="within: whether a participant meets an item in one arm, as in studies here (default with "
            "--items-each), or in both (default without)",
        )
        parser.add_argument("--difference", type=float, default=0.3, metavar="POINTS", help="to be found (0.3)")
        parser.add_argument("--margin", type=float, metavar="POINTS", help="also plan to show that arms are this close")
        for name in SOURCES:
            parser.add_argument(
                f"--sd-{name.replace('_', '-')}",
                type=float,
                metavar="POINTS",
                help=f"standard deviation, {name.replace('_', ' by ')} ({getattr(Components, name):g})",
            )
        parser.add_argument("--mean", type=float, metavar="POINTS", help="round simulated ratings around this mean")
        parser.add_argument("--scale", type=int, nargs=2, metavar=("MIN", "MAX"), help="of --from-csv, or of --mean")
        pilot = parser.add_mutually_exclusive_group()
        pilot.add_argument("--from-study", metavar="SLUG", help="take deviations, and what is not given, from a study")
        pilot.add_argument("--from-csv", type=Path, metavar="FILE", help="take deviations from a long CSV")
        parser.add_argument("--criterion", help="of --from-study or --from-csv")
        kind = parser.add_mutually_exclusive_group()
        kind.add_argument("--pilot", action="store_const", const="pilot", dest="kind", help="of pilot participants")
        kind.add_argument("--synthetic", action="store_const", const="synthetic", dest="kind", help="of simulated ones")
        parser.add_argument("--studies", type=int, default=500, help="to simulate (500)")
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--json", action="store_true", dest="as_json", help="every number, unrounded")

    def handle(self, **options):
        self.check_usage(options)
        scale = tuple(options["scale"] or (1, 10))
        try:
            pool = (
                pool_of(find_study(options["from_study"]), options["kind"] or "real") if options["from_study"] else None
            )
            pilot = read_pilot(pool, options, scale)
            numbers = (of_study(pool) if pool else {}) | given(options)
            if not {"participants", "items"} <= set(numbers):
                raise CommandError("Give --participants and --items.", returncode=2)
            deviations = {name: value for name in SOURCES if (value := options[f"sd_{name}"]) is not None}
            result = plan(
                **numbers,
                components=replace(pilot.components, **deviations),
                mean=options["mean"],
                scale=scale,
                studies=options["studies"],
                seed=options["seed"],
            )
        except (NothingPublished, NoPilot, LongCsvError, Unplannable) as error:
            raise CommandError(str(error)) from None
        result["components_from"] = pilot.about | {"given": list(deviations)}
        if options["as_json"]:
            self.stdout.write(json.dumps(result, ensure_ascii=False, allow_nan=False, indent=2))
        else:
            self.stdout.write(as_text(result))

    def check_usage(self, options):
        if options["from_csv"] and not options["scale"]:
            raise CommandError("--from-csv needs --scale MIN MAX.", returncode=2)
        if options["kind"] and not options["from_study"]:
            raise CommandError("--pilot and --synthetic go with --from-study.", returncode=2)
        if options["criterion"] and not (options["from_study"] or options["from_csv"]):
            raise CommandError("--criterion goes with --from-study or --from-csv.", returncode=2)
        if options["each_item_in"] == "both-arms" and options["arms"] == "between":
            raise CommandError("Between participants nobody meets an item in both arms.", returncode=2)


def read_pilot(pool: Pool | None, options: dict[str, Any], scale: tuple[int, int]) -> Pilot:
    if pool:
        return pilot_of_study(pool, options["criterion"])
    if options["from_csv"]:
        return pilot_of_csv(options["from_csv"], scale, options["criterion"])
    return Pilot(Components(), DEFAULTS)


def of_study(pool: Pool) -> dict[str, Any]:
    """What the study file plans, for two of its arms."""
    definition = pool.definition
    design, arms = definition.design, len(definition.arms)
    within = design.arms == "within"
    return {
        "participants": definition.target if within else definition.target * 2 // arms,
        "items": pool.version.items.count(),
        "items_each": design.items_each * 2 // arms if within and arms > 1 else design.items_each,
        "arms": design.arms,
        "margin": design.primary.margin if design.primary else None,
    }


def given(options: dict[str, Any]) -> dict[str, Any]:
    names = ("participants", "items", "items_each", "arms", "difference", "margin")
    said = {name: options[name] for name in names if options[name] is not None}
    if options["each_item_in"]:
        said["both_arms"] = options["each_item_in"] == "both-arms"
    return said


def as_text(result: dict[str, Any]) -> str:
    lines = [*(f"! {warning}" for warning in result["warnings"]), *answers(result), "", *grid_lines(result["grid"]), ""]
    deviations = ", ".join(f"{name.replace('_', ' by ')} {sd:.2f}" for name, sd in result["components"].items())
    return "\n".join([*lines, f"{result['components_from']['sentence']} In points: {deviations}."])


def grid_lines(grid: list[dict[str, Any]]) -> list[str]:
    """Power and half width: a line for each number of items, a column for each number of participants."""
    people = sorted({cell["participants"] for cell in grid})
    lines = ["items \\ participants" + "".join(f"{n:>16,}" for n in people)]
    for items in sorted({cell["items"] for cell in grid}):
        cells = [cell for cell in grid if cell["items"] == items]
        shown = [f"{100 * c['power']:.0f} % ± {c['half_width']:.2f}" if estimable(c["power"]) else "-" for c in cells]
        lines.append(f"{items:>20,}" + "".join(f"{text:>16}" for text in shown))
    return lines
