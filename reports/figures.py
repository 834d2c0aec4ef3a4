"""The report's figures, as Plotly figures in colours that also read on paper and in grey.

The colours are those of a light page; `figures.js` puts those of a dark one in their place. Importing this module
imports Plotly, so a web process does it at the first figure.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from reports.shown import doubt
from reports.statistics.intervals import Result, estimable

INK, MUTED, LINE, ACCENT, GREY, BAND = "#1b2420", "#56625c", "#d8ddd6", "#0f6b58", "#8b9690", "#e2f1ec"
# From light to dark, so that grey print keeps the order.
RAMP = ["#e4efe9", "#a3cdbf", "#5aa590", "#1d7763", "#0b3f35"]
NAIVE = "naive: ignores who rated"
LIKE_THESE, THESE = "95 %: people and items like these", "95 %: people like these, these very items"
HEADLINES = {"two_way": LIKE_THESE, "participant_cr1": THESE}
# On light and on dark bars, in light and dark pages alike.
ON_LIGHT, ON_DARK = "#10201a", "#fdfefe"
ROW = 58


def means(arms: dict[str, Result], scale: tuple[int, int]) -> go.Figure:
    """A forest: each arm's mean with the interval to trust, and the naive one greyed beside it."""
    names = list(arms)
    figure = _frame(names, "mean rating")
    rows = [(place, of) for place, of in enumerate(arms.values()) if estimable(of["mean"])]
    _points(figure, NAIVE, [(place + 0.24, of["mean"], _known(of, "naive_t")) for place, of in rows], naive=True)
    for headline, label in HEADLINES.items():
        mine = [(place, of["mean"], _known(of, headline)) for place, of in rows if of["headline"] == headline]
        if mine:
            _points(figure, label, mine)
    shown = [
        end for _, of in rows for end in _ends(of["mean"], [_known(of, kind) for kind in ("naive_t", of["headline"])])
    ]
    if shown:
        low, high = max(scale[0], min(shown) - 0.3), min(scale[1], max(shown) + 0.3)
        figure.update_xaxes(range=_at_least(low, high, 2, scale))
    return figure


def differences(contrasts: list[Result], margin: float | None = None) -> go.Figure:
    """Each difference with its interval around the line of no difference."""
    figure = _frame([f"{of['b']} − {of['a']}" for of in contrasts], "difference of means, in points")
    rows = [(place, of) for place, of in enumerate(contrasts) if estimable(of["difference"])]
    figure.add_vline(0, line={"color": INK, "width": 1})
    if margin:
        figure.add_vrect(-margin, margin, fillcolor=BAND, opacity=0.6, line_width=0, layer="below")
    for headline, label in HEADLINES.items():
        mine = [(place, of["difference"], _known(of, headline)) for place, of in rows if of["headline"] == headline]
        if mine:
            _points(figure, label, mine)
    ends = [abs(end) for _, of in rows for end in _ends(of["difference"], [_known(of, of["headline"])])]
    widest = 1.15 * max([*ends, margin or 0, 0.5])
    figure.update_xaxes(range=[-widest, widest])
    return figure


def distributions(arms: dict[str, Result]) -> go.Figure:
    """How often each point was given: a bar an arm, from the lowest point, light, to the highest, dark."""
    names = list(arms)
    figure = _frame(names, "share of ratings", stacked=True)
    points = list(dict.fromkeys(point for of in arms.values() for point in of["counts"]))
    colours = sample_colorscale(
        RAMP, [place / max(1, len(points) - 1) for place in range(len(points))], colortype="rgb"
    )
    for place, (point, colour) in enumerate(zip(points, colours, strict=True)):
        counts = [of["counts"].get(point, 0) for of in arms.values()]
        shares = [n / of["n_ratings"] if of["n_ratings"] else 0 for n, of in zip(counts, arms.values(), strict=True)]
        figure.add_bar(
            name=point,
            y=list(range(len(names))),
            x=shares,
            orientation="h",
            width=0.62,
            marker={"color": colour, "line": {"color": "#ffffff", "width": 1}},
            text=[point if share >= 0.035 else "" for share in shares],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            textfont={"color": ON_LIGHT if place < 0.65 * (len(points) - 1) else ON_DARK},
            constraintext="none",
            customdata=[[name, n] for name, n in zip(names, counts, strict=True)],
            hovertemplate=f"%{{customdata[0]}} rated {point}: %{{customdata[1]}} times (%{{x:.1%}})<extra></extra>",
        )
    figure.update_layout(barmode="stack", showlegend=False)
    figure.update_xaxes(range=[0, 1.0005], tickformat=".0%", dtick=0.25)
    return figure


def as_json(figure: go.Figure) -> dict[str, Any]:
    return json.loads(figure.to_json())


def _frame(names: list[str], axis: str, stacked: bool = False) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        template="none",
        height=96 + ROW * max(1, len(names)) - 24 * stacked,
        margin={"l": 8, "r": 24, "t": 12 if stacked else 36, "b": 48},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 13, "color": INK},
        hoverlabel={"bgcolor": "#ffffff", "bordercolor": MUTED, "font": {"color": INK}},
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1, "yanchor": "bottom", "font": {"size": 12}},
        showlegend=True,
        dragmode=False,
    )
    figure.update_xaxes(
        title={"text": axis, "font": {"size": 12, "color": MUTED}, "standoff": 6},
        gridcolor=LINE,
        zeroline=False,
        fixedrange=True,
        nticks=7,
        tickangle=0,
    )
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(range(len(names))),
        ticktext=names,
        range=[len(names) - 0.5, -0.5],
        showgrid=False,
        zeroline=False,
        fixedrange=True,
        automargin=True,
        ticklabelstandoff=6,
    )
    return figure


def _points(
    figure: go.Figure, label: str, rows: Sequence[tuple[float, float, Result | None]], naive: bool = False
) -> None:
    colour, any_known = GREY if naive else ACCENT, any(known for *_, known in rows)
    if naive and not any_known:
        return
    figure.add_scatter(
        name=label if any_known else "no interval",
        legendrank=2 if naive else 1,
        y=[place for place, *_ in rows],
        x=[estimate for _, estimate, _ in rows],
        mode="markers",
        marker={"color": colour, "size": 5 if naive else 11, "symbol": "circle-open" if naive else "circle"},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [known["high"] - estimate if known else None for _, estimate, known in rows],
            "arrayminus": [estimate - known["low"] if known else None for _, estimate, known in rows],
            "color": colour,
            "thickness": 1.5 if naive else 3,
            "width": 3 if naive else 6,
        },
        hovertemplate="%{customdata}<extra></extra>",
        customdata=[
            f"{estimate:.2f} ({known['low']:.2f} to {known['high']:.2f})" if known else f"{estimate:.2f}, no interval"
            for _, estimate, known in rows
        ],
    )


def _known(of: Result, kind: str) -> Result | None:
    return None if doubt(of, kind) else of["intervals"][kind]


def _ends(estimate: float, intervals: list[Result | None]) -> list[float]:
    return [estimate, *(known[end] for known in intervals if known for end in ("low", "high"))]


def _at_least(low: float, high: float, width: float, scale: tuple[int, int]) -> list[float]:
    """Not zoomed in further than this: a hair's breadth should not look like a gulf."""
    if (lack := width - (high - low)) > 0:
        low, high = low - lack / 2, high + lack / 2
    if low < scale[0]:
        low, high = scale[0], max(high, scale[0] + width)
    if high > scale[1]:
        low, high = min(low, scale[1] - width), scale[1]
    return [max(low, scale[0]) - 0.05, min(high, scale[1]) + 0.05]
