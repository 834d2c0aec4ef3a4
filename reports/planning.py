"""The page on which researchers plan a study: how many participants and items, for what power and what width."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from csp.decorators import csp_update
from django import forms
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from ratings.desk.owned import DeskRequest, signed_in
from ratings.frames import NothingPublished, pool_of
from ratings.models import Study
from reports.views import FIGURES

if TYPE_CHECKING:
    from reports.pilot import Pilot
    from reports.statistics.planner import Design

# A page must be there at once: larger plans are for the command, and this many ratings are simulated in all.
MOST_RATINGS, MOST_SIMULATED = 100_000, 4_000_000
STUDIES = (40, 500)
DEVIATIONS = {
    "participant": ("Participants", 0.76, "how much people differ in level"),
    "item": ("Items", 0.28, "how much items differ in level"),
    "participant_arm": ("Participants by arm", 0.15, "how much people differ in which arm they like"),
    "item_arm": ("Items by arm", 0.2, "how much the arms' difference varies from item to item"),
    "residual": ("Residual", 0.8, "what is left of a single rating"),
}


class PlanForm(forms.Form):
    """The planned study. The deviations count where no study is chosen whose ratings show them."""

    participants = forms.IntegerField(min_value=2, max_value=100_000, initial=100)
    items = forms.IntegerField(min_value=2, max_value=1000, initial=24, label="Items in all")
    items_each = forms.IntegerField(
        min_value=1, max_value=1000, required=False, initial=8, label="Items each", help_text="Empty: all of them."
    )
    arms = forms.ChoiceField(
        choices=[("within", "everyone sees both"), ("between", "everyone sees one")],
        initial="within",
        help_text="Whoever sees both sees them on different items.",
    )
    difference = forms.FloatField(
        min_value=0.001, max_value=1000, initial=0.3, help_text="The smallest that matters, in points of the scale."
    )
    margin = forms.FloatField(
        min_value=0.001, max_value=1000, required=False, help_text="To show that the arms are this close, in points."
    )
    pilot = forms.ChoiceField(
        required=False, label="Deviations from", help_text="Ratings you have show how much ratings vary."
    )

    def __init__(self, *args: Any, studies: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        pilots = [(f"{slug}:{kind}", f"{slug}, {kind}") for slug in studies for kind in ("pilot", "real")]
        self.fields["pilot"].choices = [("", "the numbers below"), *pilots]  # type: ignore[attr-defined]
        for name, (label, initial, help_text) in DEVIATIONS.items():
            self.fields[f"sd_{name}"] = forms.FloatField(
                min_value=0,
                max_value=1000,
                required=False,
                initial=initial,
                label=label,
                help_text=f"{help_text}; empty: {initial:g}",
            )

    def numbers(self) -> dict[str, Any]:
        names = ("participants", "items", "items_each", "arms", "difference", "margin")
        return {name: self.cleaned_data[name] for name in names}

    def deviations(self) -> dict[str, float]:
        """Those that were given; a field left empty keeps its default."""
        named = {name: self.cleaned_data[f"sd_{name}"] for name in DEVIATIONS}
        return {name: value for name, value in named.items() if value is not None}


# Statistics and figures are imported when they are first asked for, as in `reports.views`.


@require_safe
@csp_update(FIGURES)
@signed_in
def plan_page(request: DeskRequest) -> HttpResponse:
    own = Study.objects.of(request.user).filter(current_version__isnull=False)
    blank = PlanForm(studies=list(own.values_list("slug", flat=True)))
    data = request.GET if "participants" in request.GET else {n: f.initial for n, f in blank.fields.items()}
    form = PlanForm(data, studies=list(own.values_list("slug", flat=True)))
    context: dict[str, Any] = {"form": form}
    if form.is_valid():
        context |= planned(form, own)
    return render(request, "reports/plan.html", context)


def planned(form: PlanForm, own: Any) -> dict[str, Any]:
    """The plan, or the faults that it has."""
    from reports.pilot import NoPilot
    from reports.statistics.planner import Unplannable, answers, plan

    numbers = form.numbers()
    try:
        pilot = chosen_pilot(form, own)
        result = plan(**numbers, components=pilot.components, both_arms=False, studies=bounded_studies(numbers), seed=1)
    except (NoPilot, NothingPublished) as error:
        form.add_error("pilot", str(error))
        return {}
    except Unplannable as error:
        for fault in error.faults:
            form.add_error(None, f"{fault[0].upper()}{fault[1:]}.")
        return {}
    return {
        "plan": result,
        "answers": list(answers(result)),
        "about": pilot.about,
        "deviations": [(DEVIATIONS[name][0], sd) for name, sd in result["components"].items()],
        **grid_table(result),
        "figure": figure(result),
    }


def bounded_studies(numbers: dict[str, Any]) -> int:
    """As many studies as a page can wait for; half, where equivalence asks for a second round."""
    from reports.statistics.planner import Unplannable

    ratings = numbers["participants"] * min(numbers["items_each"] or numbers["items"], numbers["items"])
    if ratings > MOST_RATINGS:
        raise Unplannable([f"{ratings:,} ratings are too many for this page; the command plan_study takes them"])
    rounds = 2 if numbers["margin"] else 1
    return max(STUDIES[0], min(STUDIES[1], MOST_SIMULATED // (rounds * max(ratings, 1))))


def chosen_pilot(form: PlanForm, own: Any) -> Pilot:
    from reports.pilot import DEFAULTS, Pilot, pilot_of_study
    from reports.statistics.components import Components

    if choice := form.cleaned_data["pilot"]:
        slug, _, kind = choice.partition(":")
        return pilot_of_study(pool_of(own.get(slug=slug), kind))
    given = Components(**form.deviations())
    about = DEFAULTS if given == Components() else {"sentence": "The standard deviations are those given in the form."}
    return Pilot(given, about)


def grid_table(plan: dict[str, Any]) -> dict[str, Any]:
    """A row for each number of items, a cell for each number of participants."""
    from reports.statistics.intervals import estimable

    rows: dict[int, list[dict[str, Any]]] = {}
    for cell in plan["grid"]:
        here = (cell["participants"], cell["items"]) == (plan["participants"], plan["items"])
        known = estimable(cell["power"])
        rows.setdefault(cell["items"], []).append(
            {
                "here": here,
                "power": f"{100 * cell['power']:.0f} %" if known else "",
                "half": f"± {cell['half_width']:.2f}" if known else "",
            }
        )
    return {"columns": sorted({cell["participants"] for cell in plan["grid"]}), "rows": list(rows.items())}


def figure(plan: dict[str, Any]) -> dict[str, Any]:
    """Power against the number of participants, a line for each number of items, told apart by dashes too."""
    import numpy as np
    import plotly.graph_objects as go

    from reports.figures import ACCENT, GREY, INK, LINE, MUTED, as_json
    from reports.statistics.components import Components
    from reports.statistics.planner import Design, closed_form

    design = Design(plan["participants"], plan["items"], plan["items_each"], plan["each_item_in"])
    sd = Components(**plan["components"])
    counts = sorted({cell["items"] for cell in plan["grid"]})
    people = [cell["participants"] for cell in plan["grid"]]
    along = sorted({int(n) for n in np.geomspace(min(people), max(people), 40).round()})
    drawn = go.Figure()
    for goal in (0.8, 0.9):
        drawn.add_hline(goal, line={"color": LINE, "width": 1.5})
    for items, dash in zip(counts, ("dot", "dash", "dashdot", "longdash"), strict=False):
        chosen = items == design.items
        line = _power_along(design, items, along, lambda wanted: closed_form(wanted, sd, plan["difference"])[0])
        drawn.add_scatter(
            name=f"{items} items",
            x=[n for n, _ in line],
            y=[power for _, power in line],
            mode="lines",
            line={
                "color": ACCENT if chosen else GREY,
                "width": 3 if chosen else 2,
                "dash": "solid" if chosen else dash,
            },
            hovertemplate=f"%{{x}} participants, {items} items: %{{y:.0%}}<extra></extra>",
        )
    drawn.add_scatter(
        name="this plan, simulated",
        x=[design.participants],
        y=[plan["power"]],
        error_y={"type": "data", "array": [2 * plan["power_mc_error"]], "color": INK, "width": 6},
        mode="markers",
        marker={"color": INK, "size": 10, "symbol": "diamond"},
        hovertemplate="%{x} participants: %{y:.1%}<extra></extra>",
    )
    title = {"font": {"size": 12, "color": MUTED}, "standoff": 6}
    drawn.update_layout(
        template="none",
        height=340,
        margin={"l": 8, "r": 24, "t": 64, "b": 48},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 13, "color": INK},
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom", "font": {"size": 12}},
        dragmode=False,
    )
    drawn.update_xaxes(
        title={"text": "participants", **title},
        type="log",
        tickvals=sorted(set(people)),
        ticktext=[f"{n:,}" for n in sorted(set(people))],
        gridcolor=LINE,
        fixedrange=True,
    )
    drawn.update_yaxes(
        title={"text": "power", **title},
        range=[0, 1.03],
        tickformat=".0%",
        gridcolor=LINE,
        zeroline=False,
        fixedrange=True,
        automargin=True,
    )
    label = "Power against participants, a line for each number of items. The table below has the numbers."
    return {"id": "power", "label": label, "data": as_json(drawn)}


def _power_along(design: Design, items: int, along: list[int], power: Any) -> list[tuple[int, float]]:
    """Only where such a study can be."""
    planned = [(people, design.resized(people, items)) for people in along]
    return [(people, power(wanted)) for people, wanted in planned if wanted.possible]
