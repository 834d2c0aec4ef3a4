import pytest

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("slug", ["view", "talk"])
def test_a_study_runs_from_the_link_to_the_completion_code_without_javascript(participant, slug):
    person = participant(slug, java_script_enabled=False).go_to("debrief")

    assert person.page.locator("body").get_attribute("data-outcome") == "completed"
    assert person.page.locator("body").get_attribute("data-completion-code")
