import csv
import hashlib
import io
import json
import zipfile

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from scipy import stats

from accounts.models import AuditEntry
from accounts.sealed import lookup_hash
from ratings import codes
from ratings.frames import pool_of
from ratings.models import Consent, DataExport, Exposure
from ratings.withdrawal import withdraw
from reports.package import harmless, write_package
from tests.reports.people import chat, exclude, make_study, take_part

FILES = {
    "ratings_long.csv",
    "ratings_wide.csv",
    "participants.csv",
    "conversations.jsonl",
    "events.csv",
    "checks.csv",
    "codebook.csv",
    "study.yaml",
    "report.json",
    "manifest.json",
    # Contracted are those above.
    *(f"{table}.{form}" for table in ("ratings_long", "participants") for form in ("sav", "dta", "parquet")),
    *("analysis/recompute.R", "analysis/recompute.py", "analysis/psych_ds.py"),
    *("dataset_description.json", "README.md"),
}


class Opened:
    """A package, unpacked."""

    def __init__(self, study, kind="real"):
        file = io.BytesIO()
        self.manifest = write_package(pool_of(study, kind), None, file)
        self.archive = zipfile.ZipFile(file)

    def bytes(self, name):
        return self.archive.read(name)

    def rows(self, name):
        return list(csv.DictReader(io.StringIO(self.bytes(name).decode(), newline="")))

    def lines(self, name):
        return [json.loads(line) for line in self.bytes(name).splitlines()]

    def json(self, name):
        return json.loads(self.bytes(name))

    def everything(self):
        return b"".join(self.archive.read(name) for name in self.archive.namelist())


def test_it_holds_the_contracted_files(study):
    take_part(study)

    assert set(Opened(study).archive.namelist()) == FILES


def test_the_long_table_begins_as_contracted(study):
    take_part(study)

    header = Opened(study).bytes("ratings_long.csv").decode().splitlines()[0]

    assert header.startswith("participant_id,item_id,arm,criterion,rating,missing_reason,")


def test_what_could_not_be_judged_is_a_row_with_an_empty_rating(study):
    take_part(study, lambda *_: None)

    rows = Opened(study).rows("ratings_long.csv")

    assert {(row["rating"], row["missing_reason"]) for row in rows} == {("", "cannot_judge")}


def test_the_wide_table_has_a_column_for_each_criterion(study):
    take_part(
        study, lambda item, arm, criterion: 4 if criterion == "empathy_support" else None, comment="Warm, I think"
    )

    row = Opened(study).rows("ratings_wide.csv")[0]

    assert (row["empathy_support"], row["fluency_quality"], row["comment"]) == ("4", "", "Warm, I think")


def test_practice_and_checks_are_not_in_the_ratings(study):
    take_part(study, lambda *_: 5, check=3)

    package = Opened(study)

    assert {row["rating"] for row in package.rows("ratings_long.csv")} == {"5"}
    assert [(row["answer"], row["passed"]) for row in package.rows("checks.csv")] == [("3", "1")]


def test_participants_come_with_their_consents_and_exit_answers(study):
    take_part(study, ticks=("take_part", "quotes"), answers={"age_band": "21-24", "remark": "Nice."})

    (row,) = Opened(study).rows("participants.csv")

    assert (row["consent_take_part"], row["consent_quotes"], row["consent_training"]) == ("1", "1", "0")
    assert (row["exit_age_band"], row["exit_remark"], row["outcome"]) == ("21-24", "Nice.", "completed")


def test_every_column_of_every_table_is_in_the_codebook(study):
    take_part(study)
    package = Opened(study)

    explained = {(row["file"], row["column"]) for row in package.rows("codebook.csv")}

    for name in FILES:
        if name.endswith(".csv"):
            header = next(csv.reader(io.StringIO(package.bytes(name).decode())))
            assert {(name, column) for column in header} <= explained


def test_the_study_file_is_as_it_was_published(study):
    assert Opened(study).bytes("study.yaml") == bytes(study.current_version.source)


def test_the_manifest_lists_each_file_with_its_hash_and_rows(study):
    take_part(study)
    package = Opened(study)
    manifest = package.json("manifest.json")

    assert manifest["fingerprint"] == study.current_version.fingerprint
    assert {"filters", "left_out"} <= set(manifest)
    assert {file["name"] for file in manifest["files"]} == FILES - {"manifest.json"}
    for file in manifest["files"]:
        content = package.bytes(file["name"])
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
        if file["name"].endswith(".csv"):
            assert file["rows"] == len(package.rows(file["name"]))
        elif file["name"].endswith((".sav", ".dta", ".parquet")):
            assert file["rows"] == len(package.rows(f"{file['name'].rpartition('.')[0]}.csv"))


def test_texts_that_a_spreadsheet_would_run_are_neutralised_and_raw_in_json(study):
    visit = take_part(study, comment="=HYPERLINK(1)", answers={"chatbots": "=1+1", "remark": "@SUM(1)"})
    chat(visit, "=cmd|calc", "Hello")
    package = Opened(study)

    assert {row["comment"] for row in package.rows("ratings_wide.csv")} == {"'=HYPERLINK(1)"}
    assert package.rows("participants.csv")[0]["exit_chatbots"] == "'=1+1"
    assert package.rows("participants.csv")[0]["exit_remark"] == "'@SUM(1)"
    assert package.lines("conversations.jsonl")[0]["messages"][0]["text"] == "=cmd|calc"


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", "\0=1", "＝1", "＋1", "－1", "＠x"])
def test_every_start_of_a_formula_is_neutralised(text):
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "fine", "a=b", "1-2", "'quoted'", "…"])
def test_other_texts_stay(text):
    assert harmless(text) == text


def test_negative_ratings_stay_numbers(owner):
    study = make_study(owner)
    take_part(study, lambda *_: -3)

    assert {row["rating"] for row in Opened(study).rows("ratings_long.csv")} == {"-3"}


def test_kinds_are_kept_apart(study):
    others = [take_part(study, kind=kind).participant.participant_id for kind in ("pilot", "synthetic")]
    take_part(study)
    package = Opened(study)

    for name in others:
        assert name.encode() not in package.everything()
    assert len(Opened(study, "pilot").rows("participants.csv")) == 1


def test_who_withdrew_or_took_consent_back_is_nowhere(study):
    take_part(study)
    gone, back = take_part(study, comment="MARKER one"), take_part(study, comment="MARKER two")
    names = [visit.participant.participant_id.encode() for visit in (gone, back)]
    withdraw(gone)
    Consent.objects.filter(visit=back, tick="take_part").update(withdrawn_at=back.started_at)

    content = Opened(study).everything()

    assert b"MARKER" not in content
    assert not any(name in content for name in names)


def test_who_is_excluded_is_named_among_the_participants_only(study):
    visit = take_part(study, comment="MARKER")
    exclude(visit, "straight lines")
    package = Opened(study)

    assert package.rows("participants.csv")[0]["excluded"] == "straight lines"
    assert package.rows("ratings_long.csv") == package.rows("events.csv") == package.rows("checks.csv") == []
    assert b"MARKER" not in package.everything()
    assert {"what", "people"} == set(package.manifest["left_out"][0])
    assert 1 in [entry["people"] for entry in package.manifest["left_out"]]


def test_no_code_of_a_participant_is_in_it(study):
    visit = take_part(study)
    content = Opened(study).everything()

    secret = [codes.return_code(visit), codes.withdrawal_code(visit), codes.completion_code(visit), visit.code]
    secret += [visit.return_code_hash, visit.withdrawal_code_hash, visit.completion_code_hash]
    assert not any(code.encode() in content for code in secret)


def test_it_is_noted_whose_data_left(study, owner):
    visit = take_part(study)
    package = Opened(study)

    export = DataExport.objects.get()
    assert export.export_id == package.manifest["export_id"]
    assert export.people == [lookup_hash("participant", visit.participant.participant_id)]
    assert AuditEntry.objects.get(action="export").detail["people"] == 1


def test_a_withdrawal_while_it_is_written_makes_it_start_again(study, monkeypatch):
    take_part(study)
    leaving = take_part(study)
    name = leaving.participant.participant_id.encode()
    from reports import package as module

    def report_while_somebody_leaves(pool, **looked):
        if Exposure.objects.filter(assignment__visit=leaving).exists():
            withdraw(leaving)
        return original(pool, **looked)

    original = module.study_report
    monkeypatch.setattr(module, "study_report", report_while_somebody_leaves)

    assert name not in Opened(study).everything()
    assert DataExport.objects.count() == 1


def test_the_report_can_be_computed_again_from_the_ratings(study):
    """By hand: definitions written out over plain rows, nothing of ours."""
    rng = np.random.default_rng(7)
    for _ in range(9):
        person = rng.normal(0, 1)
        take_part(
            study,
            lambda item, arm, criterion, person=person: (
                None
                if rng.random() < 0.05
                else int(np.clip(round(6 + person + int(item[-2:]) % 3 + (arm == "rowan") + rng.normal(0, 1)), 1, 10))
            ),
        )
    package = Opened(study)
    rows = [row for row in package.rows("ratings_long.csv") if row["criterion"] == "empathy_support" and row["rating"]]
    criterion = package.json("report.json")["criteria"]["empathy_support"]

    def residual_sums(key, influence):
        sums = {}
        for row, value in influence:
            sums[key(row)] = sums.get(key(row), 0.0) + value
        return np.array(list(sums.values()))

    def cluster_variance(key, influence):
        sums = residual_sums(key, influence)
        return (sums**2).sum() * len(sums) / (len(sums) - 1)

    def two_way(influence):
        people, items = (lambda row: row["participant_id"]), (lambda row: row["item_id"])
        variance = (
            cluster_variance(people, influence)
            + cluster_variance(items, influence)
            - cluster_variance(lambda row: (people(row), items(row)), influence)
        )
        df = min(len({people(row) for row, _ in influence}), len({items(row) for row, _ in influence})) - 1
        return variance**0.5, df

    def same(interval, estimate, se, df):
        half = stats.t.ppf(0.975, df) * se
        expected = (estimate, se, df, estimate - half, estimate + half)
        got = tuple(interval[name] for name in ("estimate", "se", "df", "low", "high"))
        np.testing.assert_allclose(got, expected, rtol=1e-9)

    influences, means = [], {}
    for sign, arm in ((-1, "linden"), (1, "rowan")):
        mine = [row for row in rows if row["arm"] == arm]
        values = np.array([int(row["rating"]) for row in mine])
        n, mean = len(values), values.mean()
        means[arm] = mean
        influence = [(row, (value - mean) / n) for row, value in zip(mine, values, strict=True)]
        influences += [(row, sign * value) for row, value in influence]
        intervals = criterion["arms"][arm]["intervals"]
        same(intervals["naive_t"], mean, values.std(ddof=1) / n**0.5, n - 1)
        people = {row["participant_id"] for row in mine}
        cr1 = cluster_variance(lambda row: row["participant_id"], influence) ** 0.5
        same(intervals["participant_cr1"], mean, cr1, len(people) - 1)
        if not intervals["two_way"]["floored"]:
            same(intervals["two_way"], mean, *two_way(influence))

    (contrast,) = criterion["contrasts"]
    difference = means["rowan"] - means["linden"]
    assert contrast["difference"] == pytest.approx(difference, rel=1e-9)
    if not contrast["intervals"]["two_way"]["floored"]:
        same(contrast["intervals"]["two_way"], difference, *two_way(influences))
    by_person = {}
    for row in rows:
        by_person.setdefault(row["participant_id"], {}).setdefault(row["arm"], []).append(int(row["rating"]))
    d = np.array([np.mean(arms["rowan"]) - np.mean(arms["linden"]) for arms in by_person.values() if len(arms) == 2])
    same(contrast["intervals"]["paired"], d.mean(), d.std(ddof=1) / len(d) ** 0.5, len(d) - 1)


def test_the_command_writes_it_whole(study, tmp_path, capsys):
    take_part(study)
    output = tmp_path / "small.zip"

    call_command("export_study", "small", "--output", str(output))

    assert set(zipfile.ZipFile(output).namelist()) == FILES
    assert "16 ratings" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [output]


def test_a_failed_export_leaves_nothing_behind(study, tmp_path, monkeypatch):
    output = tmp_path / "small.zip"
    output.write_bytes(b"the one before")
    monkeypatch.setattr("reports.package.study_report", lambda pool, **looked: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        call_command("export_study", "small", "--output", str(output))

    assert output.read_bytes() == b"the one before"
    assert list(tmp_path.iterdir()) == [output]
    assert not DataExport.objects.exists()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["nowhere", "--output", "x.zip"], "no study called"),
        (["small", "--output", "/nowhere/x.zip"], "cannot be written"),
        (["small", "--output", "/"], "is a folder"),
    ],
)
def test_what_cannot_be_exported_is_said(study, args, words):
    with pytest.raises(CommandError, match=words):
        call_command("export_study", *args)
