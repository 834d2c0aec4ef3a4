import pytest

from inference import conversations
from inference.models import ChatModel, Setup


@pytest.fixture
def chat_model(db):
    return ChatModel.objects.create(key="test-model", engine=ChatModel.Engine.SCRIPTED, names=["Larkspur"])


@pytest.fixture
def setup_of_model(chat_model):
    return Setup.objects.of(chat_model, "You listen.", {"temperature": 0.7, "max_new_tokens": 40}, [])


@pytest.fixture
def open_conversation(setup_of_model):
    def open_one(**policy):
        return conversations.open_live(setup_of_model, seed=7, policy=policy)

    return open_one
