"""Plotly's script, out of the installed package: served from our own host, without a copy in the repository."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from django.contrib.staticfiles.finders import BaseFinder
from django.contrib.staticfiles.utils import matches_patterns
from django.core.files.storage import FileSystemStorage

SCRIPT = "plotly.min.js"
PREFIX = "plotly"


class PlotlyFinder(BaseFinder):
    def __init__(self, app_names=None, *args, **kwargs):
        # Found without importing Plotly, which takes a while.
        spec = find_spec("plotly")
        folders = (spec.submodule_search_locations if spec else None) or [""]
        self.storage = FileSystemStorage(Path(folders[0]) / "package_data")
        self.storage.prefix = PREFIX

    def find(self, path: str, find_all: bool = False, **kwargs) -> str | list[str]:  # type: ignore[override]
        found = self.storage.path(SCRIPT) if path == f"{PREFIX}/{SCRIPT}" and self.storage.exists(SCRIPT) else ""
        return [found] * bool(found) if find_all else found

    def list(self, ignore_patterns) -> Iterator[tuple[str, FileSystemStorage]]:
        if self.storage.exists(SCRIPT) and not matches_patterns(f"{PREFIX}/{SCRIPT}", ignore_patterns):
            yield SCRIPT, self.storage
