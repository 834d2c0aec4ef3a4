from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import ApiToken


def test_it_prints_a_token_that_opens_the_api(owner, client, capsys):
    call_command("create_token", "ada", "--scope", "read", "--days", "30")

    token = capsys.readouterr().out.strip()
    answer = client.get("/api/v1/studies/", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200


def test_only_a_hash_of_it_is_kept(owner, capsys):
    call_command("create_token", "ada", "--days", "2")

    token, kept = capsys.readouterr().out.strip(), ApiToken.objects.get()
    assert token not in (kept.hash, str(kept))
    assert kept.hash == ApiToken.hash_of(token)
    assert timedelta(days=1) < kept.expires_at - timezone.now() <= timedelta(days=2)


def test_an_unknown_user_is_named(db):
    with pytest.raises(CommandError, match="no active user called 'nobody'"):
        call_command("create_token", "nobody")


@pytest.mark.parametrize("days", ["0", "-3", "x", "99999"])
def test_days_are_checked(owner, days):
    with pytest.raises(CommandError, match="number of days"):
        call_command("create_token", "ada", f"--days={days}")
