"""How many processor cores the model may take, settled before torch is imported."""

import os
from types import ModuleType


def prepare(threads: int | None = None) -> ModuleType:
    """Import torch so that it leaves room for everybody else, and return it.

    Waiting OpenMP threads spin by default, which on a busy machine makes two threads slower than one; the policy is
    read only once, when torch is loaded. OMP_NUM_THREADS, when set, is obeyed.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import torch

    if threads or not os.environ.get("OMP_NUM_THREADS"):
        torch.set_num_threads(threads or usable_cores())
    return torch


def usable_cores() -> int:
    """All physical cores that this process may use, but one: pages and streams need it."""
    import psutil

    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = min(cores, len(os.sched_getaffinity(0)))
    return max(1, cores - 1)
