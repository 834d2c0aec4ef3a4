from otree.api import BaseConstants, BaseGroup, BasePlayer, BaseSubsession, Page, models, widgets

from benchmarks.load_prepare import ITEMS, SENTENCE


class C(BaseConstants):
    NAME_IN_URL = "rating"
    PLAYERS_PER_GROUP = None
    NUM_ROUNDS = ITEMS


class Subsession(BaseSubsession):
    pass


class Group(BaseGroup):
    pass


def scale(label: str):
    return models.IntegerField(label=label, choices=list(range(1, 11)), widget=widgets.RadioSelectHorizontal)


class Player(BasePlayer):
    empathy_support = scale("Empathy and Support")
    fluency_quality = scale("Fluency and Response Quality")


class Rate(Page):
    form_model = "player"
    form_fields = ["empathy_support", "fluency_quality"]

    @staticmethod
    def vars_for_template(player: Player) -> dict:
        return {"reply": f"{SENTENCE * 9}{player.round_number}"}


page_sequence = [Rate]
