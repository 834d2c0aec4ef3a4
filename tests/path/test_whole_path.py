from ratings.models import Rating, Visit


def test_a_person_walks_from_the_invitation_to_the_completion_code(person):
    page = person.go_to("debrief")

    assert page.outcome == "completed"
    assert page.completion_code
    assert Visit.objects.get().outcome == Visit.Outcome.COMPLETED
    assert Rating.objects.count() == 4 * 2
