"""Tokens per second of the batching engine beside `generate()`, one reply after the other and as a fixed batch.

    python benchmarks/engine.py [--rows 1 4 8 16] [--tokens 32] [--folder DIR] [--device cuda]

Everything runs in one process. On a CPU seconds are those of the processor, all threads together, so that a busy
machine changes little; with one thread they are what an idle machine would take. Greedy, no early end; reading the
prompts is counted. First tokens are in real seconds.
"""

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from inference.conversion import convert
from inference.engines.base import GenRequest, Sampling
from inference.engines.huggingface import HuggingFaceEngine

WORRIES = [
    "I failed my exam and I don't know how to tell my parents.",
    "My flatmate plays music all night.",
    "I miss home so much that I can't think about anything else this week.",
    "Money is short and rent is due on Friday.",
]


clock = time.process_time


def ask(number: int, tokens: int) -> GenRequest:
    messages = [
        {"role": "system", "content": "You are a warm listener who answers in a few sentences."},
        {"role": "user", "content": WORRIES[number % len(WORRIES)]},
    ]
    return GenRequest(str(number), messages, Sampling(temperature=0, max_new_tokens=tokens))


def with_engine(engine: HuggingFaceEngine, rows: int, tokens: int) -> tuple[float, list[float], list]:
    """Seconds for all, seconds to each first token, the replies' token ids."""
    began = clock()
    streams = [engine.submit(ask(number, tokens)) for number in range(rows)]
    ends = [list(stream)[-1] for stream in streams]
    return clock() - began, [end.timings.first_token for end in ends], [end.output_ids for end in ends]


def with_generate(engine: HuggingFaceEngine, prompts: list[list[int]], tokens: int) -> float:
    import torch

    began = clock()
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(prompt)) + prompt for prompt in prompts], device=engine._model.device)
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=ids.device)
    engine._model.generate(
        ids, attention_mask=mask, do_sample=False, max_new_tokens=tokens, min_new_tokens=tokens, eos_token_id=[]
    )
    return clock() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 4, 8, 16])
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--folder", type=Path, help="default: the small model, converted if need be")
    parser.add_argument("--device")
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()

    data = Path(os.environ.get("EVALSITE_DATA") or "var")
    folder = options.folder or convert(Path(os.environ.get("EVALSITE_MODELS") or data / "models"), print)
    engine = HuggingFaceEngine(folder, max_batch=max(options.rows), device=options.device, threads=options.threads)
    engine._ends = set()
    if engine._device != "cpu":
        global clock
        clock = time.perf_counter
    described = engine.describe()
    print(
        f"{described['model']} on {described['device']}, {described['dtype']}, {described['threads']} threads, "
        f"torch {described['versions']['torch']}, load {os.getloadavg()[0]:.1f}; {options.tokens} tokens a reply\n"
    )
    with_engine(engine, 1, 4)

    print("rows   one by one   fixed batch   engine   engine / one by one   engine / batch   first token p50 / max")
    for rows in options.rows:
        prompts = [engine._encode(ask(number, 1).messages) for number in range(rows)]
        fixed = rows * options.tokens / with_generate(engine, prompts, options.tokens)
        seconds, first, _ = with_engine(engine, rows, options.tokens)
        ours = rows * options.tokens / seconds
        alone = [options.tokens / with_generate(engine, [prompt], options.tokens) for prompt in prompts[:4]]
        single = statistics.harmonic_mean(alone)
        print(
            f"{rows:4}   {single:10.1f}   {fixed:11.1f}   {ours:6.1f}   {ours / single:19.2f}   {ours / fixed:14.2f}"
            f"   {statistics.median(first):11.2f} / {max(first):.2f} s"
        )
    print("\nturn   tokens to read   of them known   first token, read anew   with what is known   anew / known")
    forgetful = HuggingFaceEngine(folder, device=options.device, threads=options.threads, prefix_bytes=0)
    for number, (anew, known) in enumerate(zip(talk(forgetful), talk(engine), strict=True), 1):
        print(
            f"{number:4}   {len(known.prompt_ids):14}   {known.cached_tokens:13}   {anew.timings.first_token:20.2f} s"
            f"   {known.timings.first_token:17.2f} s   {anew.timings.first_token / known.timings.first_token:12.1f}"
        )
    forgetful.close()
    engine.close()


def talk(engine: HuggingFaceEngine, turns: int = 5, tokens: int = 64) -> list:
    """The ends of a conversation's turns."""
    messages, ends = ask(0, 1).messages[:1], []
    for number in range(turns):
        messages = [*messages, {"role": "user", "content": WORRIES[number % len(WORRIES)]}]
        sampling = Sampling(temperature=0, max_new_tokens=tokens)
        *_, end = engine.submit(GenRequest(f"talk-{number}", messages, sampling, conversation="talk"))
        messages = [*messages, {"role": "assistant", "content": end.text}]
        ends.append(end)
    return ends


if __name__ == "__main__":
    main()
