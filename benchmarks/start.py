"""How long the process of an engine takes from its start until it answers, once the model has been converted.

    python -m benchmarks.start [--rounds 3]

Each round is a fresh process. Told apart are: importing the libraries; reading the weights, laying them out and making
the tokenizer, which ends with an engine that takes requests; its first token; and what a worker measures of itself
before it says that it is ready (`inference.capacity`). The goal is less than two seconds from the imports to an engine
that takes requests.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

STEPS = {
    "imports": "importing torch, transformers and our own",
    "load": "an engine that takes requests",
    "first": "its first token",
    "measured": "measuring its pace",
}


def start(folder: Path, threads: int | None) -> dict:
    """In a fresh process: what each step takes, in real seconds and in those of the processor."""
    moments = [(time.perf_counter(), time.process_time())]

    def now() -> None:
        moments.append((time.perf_counter(), time.process_time()))

    from inference.engines import threads as policy

    policy.prepare(threads)
    import peft  # noqa: F401
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM  # noqa: F401

    import inference.engines.batch
    import inference.engines.choosing
    import inference.engines.packing  # noqa: F401
    from benchmarks.engine import ask
    from inference import capacity
    from inference.engines.huggingface import HuggingFaceEngine

    now()
    engine = HuggingFaceEngine(folder, threads=threads)
    now()
    next(engine.submit(ask(0, 8)))
    now()
    capacity.measure("started", engine)
    now()
    engine.close()
    pairs = zip(STEPS, zip(moments, moments[1:], strict=False), strict=True)
    return {step: (after[0] - before[0], after[1] - before[1]) for step, (before, after) in pairs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--once", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.once:
        json.dump(start(options.once, options.threads), sys.stdout)
        return
    from benchmarks.engine import small_model

    command = [sys.executable, "-m", "benchmarks.start", "--threads", str(options.threads), "--once", small_model()]
    rounds = [
        json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(options.rounds)
    ]
    print(f"{options.rounds} fresh processes, medians; load {os.getloadavg()[0]:.1f}")
    print(f"  {'':<44}{'seconds':>9}{'CPU':>9}")
    for step, name in STEPS.items():
        wall, cpu = (median(found[step][which] for found in rounds) for which in (0, 1))
        print(f"  {name:<44}{wall:>9.2f}{cpu:>9.2f}")


if __name__ == "__main__":
    main()
