"""Two things at the same moment: a double click, two tabs."""

from threading import Barrier, Thread

import pytest
from django.db import connection
from django.test import Client

from ratings.models import Event, Rating
from ratings.path import pagetime
from tests.factories import published_study
from tests.path.person import RATINGS, Person


@pytest.mark.django_db(transaction=True)
def test_a_double_click_is_stored_once_and_goes_on_once():
    person = Person(published_study())
    page = person.go_to("rate")
    cookie = person.client.cookies["visit-small-study"].value
    answers, start = [], Barrier(4)

    def send(score: int) -> None:
        client = Client()
        client.cookies["visit-small-study"] = cookie
        scores = {"empathy_support": str(score), "fluency_quality": str(score)}
        start.wait()
        try:
            form = page.hidden | RATINGS | scores | {"action": "next", "page_time": pagetime.sign(60)}
            answers.append(client.post(page.address, form))
        finally:
            connection.close()

    threads = [Thread(target=send, args=(score,)) for score in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [answer.status_code for answer in answers] == [303] * 4
    assert {answer["Location"].split("?")[0] for answer in answers} == {"/s/small-study/rate/2/"}
    assert sum("old-page" in answer["Location"] for answer in answers) == 3
    values = set(Rating.objects.values_list("value", flat=True))
    assert (Rating.objects.count(), len(values)) == (2, 1)
    assert Event.objects.filter(kind=Event.Kind.SUBMITTED, stage="rate").count() == 1
