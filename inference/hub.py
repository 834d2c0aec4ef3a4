"""A model's folder from a hub such as huggingface.co, as one fixed revision: complete or absent, never half."""

import os
import re
import shutil
from pathlib import Path

from inference.conversion import Progress, whole_or_absent

WANTED = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model")
OLD_WEIGHTS = "pytorch_model*.bin"
NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


class HubError(ValueError):
    """The model cannot be had from the hub; the message says why."""


def downloaded(
    name: str, models_dir: Path, revision: str = "", progress: Progress = lambda line: None
) -> tuple[Path, str]:
    """The model's folder among ours, and the full id of the revision that it is."""
    if not NAME.fullmatch(name):
        raise HubError(f"{name!r} is no model's name on a hub, such as organisation/model.")
    from huggingface_hub import errors

    at = f" at revision {revision}" if revision else ""
    try:
        return _downloaded(name, models_dir, revision, progress)
    except errors.GatedRepoError:
        problem = f"{name} is given to those only who accept its terms. Do so on its page, and set HF_TOKEN."
    except errors.RevisionNotFoundError:
        problem = f"The hub knows {name}, but no revision {revision}."
    except errors.RepositoryNotFoundError:
        problem = f"The hub has no model {name}, or only for those who set HF_TOKEN."
    except errors.HfHubHTTPError as error:
        problem = f"The hub does not give out {name}{at}: HTTP {error.response.status_code}."
    except (errors.HTTPError, OSError) as error:
        problem = f"{name}{at} cannot be downloaded: {error}."
    raise HubError(problem)


def _downloaded(name: str, models_dir: Path, revision: str, progress: Progress) -> tuple[Path, str]:
    from huggingface_hub import HfApi

    # Read here, because the package reads it once only, when it is imported.
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
    found = api.model_info(name, revision=revision or None)
    commit = str(found.sha)
    folder = models_dir / f"{name.rpartition('/')[2]}-{commit[:16]}"
    if folder.is_dir():
        return folder, commit
    files = [file.rfilename for file in found.siblings or ()]
    is_old = not any(file.endswith(".safetensors") and "/" not in file for file in files)
    models_dir.mkdir(parents=True, exist_ok=True)
    progress(f"Downloading {name}, revision {commit[:12]}")
    with whole_or_absent(folder) as partial:
        api.snapshot_download(
            name,
            revision=commit,
            local_dir=partial,
            allow_patterns=[*WANTED, *([OLD_WEIGHTS] if is_old else [])],
            ignore_patterns=["*/*"],
        )
        shutil.rmtree(partial / ".cache", ignore_errors=True)
    return folder, commit
