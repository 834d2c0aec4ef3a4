import os
from pathlib import Path

import pytest

from inference.engines.threads import prepare


@pytest.fixture(scope="session")
def torch():
    return prepare(threads=1)


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory) -> Path:
    """Where converted models are kept between runs, if EVALSITE_TEST_MODELS says where."""
    return Path(os.environ.get("EVALSITE_TEST_MODELS") or tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def default_model(models_dir) -> Path:
    from inference.conversion import convert

    return convert(models_dir)
