"""Uploading and editing study files: nothing is lost, nothing is half-stored, every fault has its line."""

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from ratings.models import Study, StudyVersion
from tests.factories import replies_csv, study_source

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


def file(content: bytes, name: str = "study.yaml") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def replies() -> SimpleUploadedFile:
    return file(replies_csv(), "replies.csv")


def text(**changes) -> str:
    return study_source("fresh", **changes).decode()


def post(desk, address="/studies/-/new/", **fields):
    return desk.post(address, {"action": "save"} | fields)


def test_a_file_and_its_replies_become_a_draft(desk, owner):
    answer = post(desk, file=file(study_source("fresh")), replies=replies())
    version = StudyVersion.objects.get()

    assert answer.url == "/studies/fresh/"
    assert (version.study.owner, version.study.state, version.is_draft) == (owner, "draft", True)
    assert bytes(version.source) == study_source("fresh")


def test_the_text_in_the_box_becomes_a_draft(desk):
    post(desk, text=text().replace("\n", "\r\n"), replies=replies())

    assert bytes(StudyVersion.objects.get().source) == study_source("fresh")


def test_a_file_wins_over_the_text(desk):
    post(desk, text="nonsense", file=file(study_source("fresh")), replies=replies())

    assert Study.objects.get().slug == "fresh"


def test_saving_again_replaces_the_draft_and_keeps_the_replies(desk):
    post(desk, text=text(), replies=replies())
    post(desk, "/studies/fresh/edit/", text=text(minutes=9))
    version = StudyVersion.objects.get()

    assert version.definition["minutes"] == 9
    assert version.reply_files.get().name == "replies.csv"


def test_replies_uploaded_anew_take_the_place_of_the_kept_ones(desk):
    post(desk, text=text(), replies=replies())
    post(desk, "/studies/fresh/edit/", text=text(), replies=file(replies_csv(8), "replies.csv"))

    assert StudyVersion.objects.get().items.count() == 8


def test_after_publishing_an_edit_makes_the_next_version(desk, study):
    post(desk, "/studies/small-study/edit/", text=study_source(minutes=9).decode())
    study.refresh_from_db()

    assert (study.current_version.number, study.draft.number) == (1, 2)


def test_the_published_text_saved_again_makes_no_draft(desk, study):
    answer = post(desk, "/studies/small-study/edit/", text=study_source().decode())

    assert study.draft is None
    assert "unchanged" in desk.get(answer.url).content.decode()


def test_faults_come_all_at_once_with_their_lines_and_the_text_stays(desk):
    wrong = text().replace("mode: stored", "mode: stord").replace("items_each: 4", "items_each: many")
    page = post(desk, text=wrong, replies=replies()).content.decode()
    line = {word: wrong.split(word)[0].count("\n") + 1 for word in ("stord", "many")}

    assert "2 faults to mend" in page
    assert all(f'href="#L{number}"' in page and f'<p id="L{number}" class="error"' in page for number in line.values())
    assert "did you mean `stored`?" in page
    assert "mode: stord" in page.split("<textarea")[1].split("</textarea>")[0]
    assert not Study.objects.exists()


def test_the_text_of_an_uploaded_file_with_faults_can_be_mended_in_the_box(desk):
    page = post(desk, file=file(study_source("fresh", mode="stord"))).content.decode()

    assert "mode: stord" in page.split("<textarea")[1].split("</textarea>")[0]


def test_markup_in_a_study_file_stays_text(desk):
    page = post(desk, text="title: </textarea><script>alert(1)</script>\n").content.decode()

    assert "<script>alert" not in page


def test_warnings_stand_apart_and_do_not_keep_from_saving(desk):
    page = post(desk, text=text(), replies=replies(), action="check").content.decode()

    assert "No faults" in page
    assert re.search(r"\d things? to look at", page)
    assert not Study.objects.exists()


def test_a_fault_in_the_replies_is_told_with_the_line_of_that_file(desk):
    bad = replies_csv() + b"item-1,linden,Worry number 1.,Once more.\n"
    page = post(desk, text=text(), replies=file(bad, "replies.csv")).content.decode()

    assert "<strong>replies.csv</strong> line 14" in page


def test_a_file_of_replies_that_the_study_does_not_name_is_mentioned(desk):
    page = post(desk, text=text(), replies=file(replies_csv(), "mine.csv")).content.decode()

    assert "“mine.csv” was not read" in page


def test_the_replies_of_one_study_are_not_taken_for_another(desk, study):
    page = post(desk, text=text()).content.decode()

    assert "there is no file" in page
    assert "replies.csv" in page


def test_a_slug_that_exists_is_refused_for_a_new_study_and_that_study_is_untouched(desk, study):
    page = post(desk, text=study_source(minutes=9).decode(), replies=replies()).content.decode()

    assert "there is a study called" in page
    assert study.draft is None


def test_the_slug_of_a_study_cannot_be_edited(desk, study):
    page = post(desk, "/studies/small-study/edit/", text=text()).content.decode()

    assert "its slug stays" in page
    assert Study.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "There is nothing to read yet"),
        ({"text": "  \n "}, "There is nothing to read yet"),
        ({"file": file(b"x" * 5_000_000)}, "has 5.0 MB; at most 2 MB"),
        ({"file": file(b"")}, "the file is empty"),
        ({"file": file(b"format: \xff\xfe")}, "this is not UTF-8 text"),
        ({"file": file(b"format: 1\x00")}, "a NUL character"),
        ({"text": "format: 1\x00"}, "Null characters are not allowed"),
        ({"file": file(BOMB.encode())}, "aliases make this file grow"),
        ({"file": file(b"PK\x03\x04", "study.docx")}, "A study file ends in .yaml or .yml"),
        ({"file": file(b"x", "study.yaml.exe")}, "A study file ends in .yaml or .yml"),
        ({"text": "x: 1", "replies": file(b"x", "replies.xlsx")}, "A file of replies ends in .csv"),
        ({"text": "x: 1", "file": "not a file"}, "unknown key"),
        ({"text": "- a list"}, "a study file is a block of keys"),
        ({"text": "a: b: c"}, "colon"),
        ({"text": "!!python/object/apply:os.system ['true']"}, "tags are not used"),
    ],
)
def test_bad_input_gets_a_message_and_stores_nothing(desk, fields, message):
    answer = post(desk, **fields)

    assert answer.status_code == 200
    assert message in answer.content.decode()
    assert not Study.objects.exists()


def test_the_editor_is_answered_with_the_findings_only(desk):
    answer = desk.post("/studies/-/check/", {"text": text(mode="stord")}, headers={"hx-request": "true"})
    page = answer.content.decode()

    assert "did you mean `stored`?" in page
    assert "<html" not in page


def test_checking_the_text_of_a_study_knows_the_replies_that_it_keeps(desk, study):
    fields = {"slug": study.slug, "text": study_source().decode()}

    assert "No faults" in desk.post("/studies/-/check/", fields).content.decode()


def test_checking_for_a_study_of_somebody_else_is_not_possible(stranger, study):
    assert stranger.post("/studies/-/check/", {"slug": study.slug, "text": "x"}).status_code == 404


def test_a_save_from_the_script_leads_on_when_it_worked_and_keeps_the_page_when_not(desk):
    headers = {"hx-request": "true"}
    worked = desk.post("/studies/-/new/", {"text": text(), "replies": replies(), "action": "save"}, headers=headers)
    failed = desk.post("/studies/-/new/", {"text": "x: 1", "action": "save"}, headers=headers)

    assert worked.headers["HX-Redirect"] == "/studies/fresh/"
    assert "autofocus" in failed.content.decode()
    assert "<html" not in failed.content.decode()


@pytest.mark.parametrize("key", ["own-replies", "support-view", "support-chat"])
def test_an_example_opens_in_the_editor_without_a_fault_and_can_be_saved(desk, key):
    page = desk.get(f"/studies/-/new/?example={key}")
    assert page.context["findings"].ok

    post(desk, text=page.context["findings"].text)
    assert Study.objects.get().slug == key


def test_an_example_gets_a_slug_that_is_free(desk):
    for slug in ("own-replies", "own-replies-2"):
        post(desk, text=desk.get("/studies/-/new/?example=own-replies").context["findings"].text)
        assert Study.objects.filter(slug=slug).exists()


@pytest.mark.parametrize("key", ["nothing", "../manage", "own-replies.csv", "*"])
def test_only_examples_are_examples(desk, key):
    assert desk.get("/studies/-/new/", {"example": key}).status_code == 404


def test_the_study_file_comes_back_byte_by_byte(desk, study):
    answer = desk.get("/studies/small-study/versions/1/study.yaml")

    assert answer.content == study_source()
    assert answer.headers["Content-Disposition"] == 'attachment; filename="small-study-version-1.yaml"'


def test_the_schema_is_json(desk):
    assert desk.get("/studies/-/schema.json").json()["properties"]["slug"]
