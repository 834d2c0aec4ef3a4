"""Signing in, changing the password, signing out."""

import pytest
from django.urls import reverse

from accounts.models import AuditEntry, User
from tests.factories import UserFactory

PASSWORD = "a long enough password"


@pytest.fixture
def researcher(db) -> User:
    user = UserFactory(username="researcher")
    user.set_password(PASSWORD)
    user.save()
    return user


def sign_in(client, password=PASSWORD, **fields):
    return client.post(reverse("accounts:login"), {"username": "researcher", "password": password} | fields)


def test_a_researcher_signs_in_and_sees_the_studies(client, researcher):
    assert sign_in(client).url == "/studies/"
    assert "You have no studies yet" in client.get("/studies/").content.decode()


def test_a_login_is_written_down(client, researcher):
    sign_in(client)

    assert AuditEntry.objects.get().user == researcher


def test_a_wrong_password_gets_one_message_that_does_not_say_which_was_wrong(client, researcher):
    wrong = sign_in(client, "wrong").content.decode()
    unknown = sign_in(client, "wrong", username="nobody").content.decode()

    assert "do not belong together" in wrong
    assert "do not belong together" in unknown
    assert not AuditEntry.objects.exists()


def test_after_signing_in_the_page_that_was_wanted_opens(client, researcher):
    assert sign_in(client, next="/studies/-/new/").url == "/studies/-/new/"


def test_no_other_site_is_opened(client, researcher):
    assert sign_in(client, next="https://elsewhere.example/").url == "/studies/"


def test_the_first_password_opens_only_the_page_that_asks_for_another(client, researcher):
    User.objects.update(must_change_password=True)
    sign_in(client)

    assert client.get("/studies/").url == reverse("accounts:change_password")
    assert "opens this page only" in client.get(reverse("accounts:change_password")).content.decode()


def test_a_changed_password_opens_everything(client, researcher):
    User.objects.update(must_change_password=True)
    sign_in(client)
    new = "another good pass phrase"
    client.post(
        reverse("accounts:change_password"), {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    )

    assert "Your password is changed" in client.get("/studies/").content.decode()
    assert not User.objects.get().must_change_password


@pytest.mark.parametrize("new", ["short", "password1234", "researcher1"])
def test_a_weak_password_is_refused_with_the_reason_at_its_field(client, researcher, new):
    sign_in(client)
    fields = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    page = client.post(reverse("accounts:change_password"), fields).content.decode()

    assert 'class="fault"' in page
    assert User.objects.get().check_password(PASSWORD)


def test_signing_out_is_a_post(client, researcher):
    sign_in(client)
    assert client.get(reverse("accounts:logout")).status_code == 405

    client.post(reverse("accounts:logout"))
    assert client.get("/studies/").status_code == 302
