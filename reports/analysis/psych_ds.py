"""Copy the tables of this data package under the names that Psych-DS asks for.

    python analysis/psych_ds.py NEW_FOLDER

Psych-DS wants every table in data/, with a name such as study-myStudy_description-ratingsLong_data.csv. The names in
this package are promised to other programs, so the copy gets those names, and the package keeps its own. Needs nothing
beyond Python. Exit status: 0 copied, 1 the folder is there already.
"""

import json
import re
import shutil
import sys
from pathlib import Path

TABLES = ["ratings_long.csv", "ratings_wide.csv", "participants.csv", "events.csv", "checks.csv"]


def main(package: Path, copy: Path) -> int:
    if copy.exists():
        print(f"{copy} is there already. Name a new folder.", file=sys.stderr)
        return 1
    (copy / "data").mkdir(parents=True)
    study = json.loads((package / "manifest.json").read_text(encoding="utf-8"))["study"]
    for name in TABLES:
        shutil.copy(package / name, copy / "data" / psych_ds_name(study, name))
    shutil.copy(package / "dataset_description.json", copy)
    shutil.copy(package / "README.md", copy)
    (copy / "documentation").mkdir()
    for name in ("study.yaml", "report.json", "manifest.json"):
        shutil.copy(package / name, copy / "documentation")
    print(f"{copy}: {len(TABLES)} tables")
    return 0


def psych_ds_name(study: str, name: str) -> str:
    return f"study-{one_word(study)}_description-{one_word(Path(name).stem)}_data.csv"


def one_word(text: str) -> str:
    """Letters and digits only, as values in Psych-DS names are: `ratings_long` becomes `ratingsLong`."""
    first, *others = re.findall(r"[A-Za-z0-9]+", text)
    return first + "".join(word.capitalize() for word in others)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python analysis/psych_ds.py NEW_FOLDER")
    sys.exit(main(Path(__file__).resolve().parent.parent, Path(sys.argv[1])))
