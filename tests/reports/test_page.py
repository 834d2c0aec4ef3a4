import io
import json
import re
import subprocess
import sys
import zipfile

import pytest
from django.contrib.staticfiles import finders
from django.urls import reverse

from accounts.models import AuditEntry, User
from ratings.models import DataExport, Study
from reports.statistics.howcomputed import how_computed
from tests.reports.people import exclude, make_study, take_part


def wave(item, arm, criterion):
    return 3 + int(item[-2:]) % 4 + (arm == "rowan") * 2


@pytest.fixture
def rated(study):
    for shift in range(9):
        take_part(study, lambda item, arm, criterion, shift=shift: wave(item, arm, criterion) - shift % 3)
    return study


@pytest.fixture
def desk(client, owner):
    client.force_login(owner)
    return client


def page(desk, query="", slug="small"):
    return desk.get(reverse("reports:report", args=[slug]) + query)


def text(response):
    return re.sub(r"\s+", " ", response.content.decode())


def test_it_begins_with_who_took_part(desk, rated):
    shown = text(page(desk))

    assert shown.index("Who took part") < shown.index('id="criterion-empathy_support"') < shown.index("Methods")


def test_it_says_in_a_sentence_which_arm_is_higher(desk, rated):
    assert "rowan is rated higher than linden, by " in text(page(desk))


def test_each_number_is_computed_before_the_readers_eyes(desk, rated):
    response = page(desk)
    report = response.context["report"]["criteria"]["empathy_support"]

    for name in ("naive_t", "participant_cr1", "two_way"):
        assert how_computed(report["arms"]["linden"], name) in response.content.decode().replace("&#x27;", "'")


def test_each_figure_has_its_data_and_its_table(desk, rated):
    shown = page(desk).content.decode()

    for criterion in ("empathy_support", "fluency_quality"):
        for name in ("means", "difference", "distribution"):
            (data,) = re.findall(
                rf'<script id="{criterion}-{name}" type="application/json">(.*?)</script>', shown, re.S
            )
            assert json.loads(data)["data"]
    assert shown.count('class="figure"') == 6
    assert shown.count("<caption>") + shown.count('class="scroll"') >= 6


def test_its_policy_adds_only_what_plotly_needs(desk, rated):
    header = page(desk).headers["Content-Security-Policy"]
    policy = {name: sources.split() for name, _, sources in (part.strip().partition(" ") for part in header.split(";"))}

    assert "unsafe" not in header
    assert policy["script-src"] == ["'self'"]
    assert [source[:8] for source in policy["style-src"]] == ["'self'", "'sha256-", "'sha256-"]
    assert policy["img-src"] == ["'self'", "data:", "blob:"]


def test_before_the_first_rating_it_says_so(desk, study):
    shown = text(page(desk))

    assert shown.count("No ratings yet.") == 2
    assert 'class="figure"' not in shown


def test_before_it_is_published_there_is_nothing_to_report(desk, owner):
    Study.objects.create(slug="draft", owner=owner)

    assert "nothing to report yet" in text(page(desk, slug="draft"))


def test_kinds_are_switched_by_links(desk, study):
    take_part(study, kind="synthetic")

    assert "No ratings yet." in text(page(desk))
    assert "synthetic participants: a rehearsal" in text(page(desk, "?kind=synthetic"))
    assert 'href="?kind=pilot"' in text(page(desk))


def test_an_earlier_design_is_reported_by_its_version(desk, owner, rated):
    make_study(owner, items=9)

    assert "No ratings yet." in text(page(desk))
    assert "?kind=real&amp;version=1" in text(page(desk))
    assert "rowan is rated higher" in text(page(desk, "?version=1"))


@pytest.mark.parametrize("query", ["?kind=everyone", "?version=x"])
def test_an_unknown_kind_or_version_is_not_found(desk, rated, query):
    assert page(desk, query).status_code == 404


def test_exclusions_are_shown_with_their_rule(desk, rated):
    exclude(take_part(rated), "straight lines")

    assert "<strong>1</strong> left out: straight lines" in text(page(desk))


def test_few_items_are_warned_of_and_taken_as_fixed(desk, owner):
    study = make_study(owner, slug="few", items=4)
    for shift in range(9):
        take_part(study, lambda item, arm, criterion, shift=shift: wave(item, arm, criterion) - shift % 3)

    shown = text(page(desk, slug="few"))

    assert "Fewer than 8 items" in shown
    assert "exactly these items" in shown


@pytest.mark.parametrize("people", [1, 2])
@pytest.mark.parametrize(
    "score", [wave, lambda *_: 7, lambda *_: None, lambda item, arm, _: 5 if arm == "rowan" else None]
)
def test_tiny_studies_are_shown_with_reasons(desk, owner, people, score):
    study = make_study(owner, slug="tiny", items=2)
    for _ in range(people):
        take_part(study, score)

    response = page(desk, slug="tiny")

    assert response.status_code == 200
    assert "NaN" not in text(response)


def test_a_stranger_finds_neither_report_nor_export(client, rated):
    client.force_login(User.objects.create_user("eve"))

    assert page(client).status_code == 404
    assert client.post(reverse("reports:export", args=["small"])).status_code == 404


def test_who_is_not_signed_in_is_asked_to(client, rated):
    assert page(client).status_code == 302


def test_the_export_button_gives_the_package(desk, owner, rated):
    response = desk.post(reverse("reports:export", args=["small"]), {"kind": "real"})

    package = zipfile.ZipFile(io.BytesIO(b"".join(response.streaming_content)))
    assert package.read("ratings_long.csv").count(b"\n") == 1 + 9 * 16
    assert response.headers["Content-Disposition"] == 'attachment; filename="small-real.zip"'
    assert DataExport.objects.get().by == owner
    assert AuditEntry.objects.get(action="export").user == owner


def test_an_export_is_asked_for_by_post_only(desk, rated):
    assert desk.get(reverse("reports:export", args=["small"])).status_code == 405


def test_plotlys_script_comes_out_of_its_package(db):
    found = finders.find("plotly/plotly.min.js")

    assert found.endswith("plotly/package_data/plotly.min.js")


def test_neither_plotly_nor_pandas_nor_scipy_is_imported_at_the_start():
    code = (
        "import django, sys; django.setup(); from django.urls import resolve; resolve('/studies/a/report/'); "
        "print(sorted({'plotly', 'pandas', 'scipy'} & set(sys.modules)))"
    )
    seen = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"DJANGO_SETTINGS_MODULE": "evalsite.settings", **__import__("os").environ},
    )

    assert seen.stdout.strip() == "[]"


def test_no_interval_is_shown_that_few_people_stand_behind(desk, study):
    for shift in range(4):
        take_part(study, lambda item, arm, criterion, shift=shift: wave(item, arm, criterion) - shift % 3)

    response = page(desk)
    arm = response.context["page"]["criteria"][0]["arms"][0]
    figure = response.context["page"]["criteria"][0]["figures"]["means"]["data"]

    assert {arm["interval"], arm["other"], arm["naive"]} == {"too few people"}
    assert not any(any(trace["error_x"]["array"]) for trace in figure["data"])
    assert "too little to tell linden and rowan apart" in text(response)
    assert "low" in response.context["report"]["criteria"]["empathy_support"]["arms"]["linden"]["intervals"]["naive_t"]
