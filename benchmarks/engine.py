"""Tokens per second of the batching engine beside `generate()` and beside transformers' own continuous batching.

    python -m benchmarks.engine [--rows 1 4 8 16 32] [--tokens 24] [--rounds 2] [--device cuda] [--shape tiny|1b|7b]

Everything runs in one process, and the methods take turns, round by round. All give the same greedy replies to the same
prompts, without an early end. Decoding is counted over the steps in which all rows get one token, everything between
two steps included; "whole" counts reading the prompts too. On a CPU rates are also given per second of the processor,
all threads together: with one thread that is what an idle machine would take, whoever else is on it.

One by one: `generate()` for one prompt after the other. Fixed batch: `generate()` for all, padded. Continuous:
transformers' ContinuousBatchingManager with sdpa attention, pages of 64 tokens, as many blocks as are needed, and as
many prompt tokens at once as our engine reads. The limit is what the measured copying speed allows when each step reads
all weights, and all keys and values, once.

With --shape weights are random and only in memory: speed alone, for models whose weights are not at hand.
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inference.conversion import convert
from inference.engines import huggingface
from inference.engines.base import GenRequest, Sampling
from inference.engines.huggingface import HuggingFaceEngine

WORRIES = [
    "I failed my exam and I don't know how to tell my parents.",
    "My flatmate plays music all night.",
    "I miss home so much that I can't think about anything else this week.",
    "Money is short and rent is due on Friday.",
]
# hidden, intermediate, layers, heads, heads of keys and values: of Llama 3.2 1B and of Llama 2 7B, for instance
SHAPES = {"tiny": (256, 512, 4, 4, 2), "1b": (2048, 8192, 16, 32, 8), "7b": (4096, 11008, 32, 32, 32)}
PAGE = 64
ALONE = 3  # replies that are made one by one


@dataclass
class Step:
    """One pass through the model: how many tokens it read, and when it ended."""

    tokens: int
    wall: float
    cpu: float


@dataclass
class Run:
    """What making some replies took."""

    replies: int
    tokens: int
    wall: float
    cpu: float
    steps: list[Step]
    first: list[float] = field(default_factory=list)  # seconds until each reply's first token

    def whole(self, clock: str) -> float:
        return self.tokens / getattr(self, clock)

    def decoding(self, clock: str) -> float:
        """Tokens a second in steps that gave each row one token."""
        pairs = zip(self.steps, self.steps[1:], strict=False)
        periods = [getattr(b, clock) - getattr(a, clock) for a, b in pairs if b.tokens == self.replies]
        return self.replies * len(periods) / sum(periods)


class Meter:
    """Looks on as a model computes, whoever runs it."""

    def __init__(self, model: Any):
        self.steps: list[Step] = []
        model.get_input_embeddings().register_forward_hook(self._read)
        model.get_output_embeddings().register_forward_hook(self._computed)

    def _read(self, module: Any, inputs: tuple, output: Any) -> None:
        self._tokens = inputs[0].numel()

    def _computed(self, module: Any, inputs: tuple, output: Any) -> None:
        self.steps.append(Step(self._tokens, time.perf_counter(), time.process_time()))

    def run(self, replies: int, tokens: int, work: Callable[[float], list[float]]) -> Run:
        """`work` gets the time it began, and gives each reply's seconds to its first token."""
        self.steps.clear()
        wall, cpu = time.perf_counter(), time.process_time()
        first = work(wall)
        spent = time.perf_counter() - wall, time.process_time() - cpu
        return Run(replies, replies * tokens, *spent, list(self.steps), first)


def ask(number: int, tokens: int) -> GenRequest:
    messages = [
        {"role": "system", "content": "You are a warm listener who answers in a few sentences."},
        {"role": "user", "content": WORRIES[number % len(WORRIES)]},
    ]
    return GenRequest(str(number), messages, Sampling(temperature=0, max_new_tokens=tokens))


class Methods:
    """The ways to make a number of replies: our engine's, and those of a plain model with the same weights."""

    def __init__(self, engine: HuggingFaceEngine, plain: Any, tokens: int):
        self.engine, self.plain, self.tokens = engine, plain, tokens
        self.meters = Meter(engine._model), Meter(plain)
        self.prompts = [engine._encode(ask(number, 1).messages) for number in range(len(WORRIES))]

    def ours(self, rows: int) -> Run:
        def work(began: float) -> list[float]:
            streams = [self.engine.submit(ask(number, self.tokens)) for number in range(rows)]
            return [list(stream)[-1].timings.first_token for stream in streams]

        return self.meters[0].run(rows, self.tokens, work)

    def fixed(self, rows: int) -> Run:
        """All wait for the end; told is when the first token was known."""

        def work(began: float) -> list[float]:
            self._generate([self.prompts[number % len(self.prompts)] for number in range(rows)])
            return [self.meters[1].steps[0].wall - began] * rows

        return self.meters[1].run(rows, self.tokens, work)

    def one_by_one(self) -> Run:
        """Of some; what does not depend on how many there are."""

        def work(began: float) -> list[float]:
            for number in range(ALONE):
                self._generate([self.prompts[number]])
            return []

        return self.meters[1].run(1, ALONE * self.tokens, work)

    def continuous(self, rows: int) -> Run:
        from transformers import ContinuousBatchingConfig, GenerationConfig

        blocks = -(-(max(map(len, self.prompts)) + self.tokens + 1) // PAGE)
        config = ContinuousBatchingConfig(
            page_size=PAGE,
            num_blocks=rows * blocks + 2,
            max_batch_tokens=self.engine._prompt_tokens,
            max_requests_per_batch=rows,
            allow_block_sharing=False,
            auto_switch_to_flash=False,  # it would be fetched from the network
        )
        generation = GenerationConfig(do_sample=False, max_new_tokens=self.tokens, eos_token_id=-1)
        prompts = [self.prompts[number % len(self.prompts)] for number in range(rows)]
        with self.plain.continuous_batching_context_manager(
            generation_config=generation, continuous_batching_config=config
        ) as manager:

            def work(began: float) -> list[float]:
                manager.add_requests(prompts, max_new_tokens=self.tokens, streaming=True)
                first: dict[str, float] = {}
                ended = 0
                while ended < rows:
                    if (result := manager.get_result(timeout=60)) is None:
                        raise SystemExit("transformers' continuous batching gave no result.")
                    first.setdefault(result.request_id, time.perf_counter() - began)
                    ended += result.is_finished()
                return list(first.values())

            return self.meters[1].run(rows, self.tokens, work)

    def _generate(self, prompts: list[list[int]]) -> None:
        import torch

        width = max(map(len, prompts))
        ids = torch.tensor([[0] * (width - len(prompt)) + prompt for prompt in prompts], device=self.plain.device)
        mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=ids.device)
        length = {"max_new_tokens": self.tokens, "min_new_tokens": self.tokens}
        self.plain.generate(ids, attention_mask=mask, do_sample=False, eos_token_id=[], **length)


def load(options: argparse.Namespace) -> tuple[HuggingFaceEngine, Any]:
    """The engine, and for the others a plain model with the same weights."""
    import torch
    from transformers import AutoModelForCausalLM

    folder = options.folder or small_model()
    if options.shape:
        read = huggingface.load
        huggingface.load = lambda folder, adapters, device, dtype: (
            packed(random_model(options.shape, device, dtype)),
            read(folder, {}, "cpu", "float32")[1],
        )
    engine = HuggingFaceEngine(folder, max_batch=max(options.rows), device=options.device, threads=options.threads)
    engine._ends = set()
    device, dtype = engine._device, str(engine._model.dtype).removeprefix("torch.")
    if options.shape:
        engine._decode = lambda ids: "x" * len(ids)  # random weights say nothing
        plain = random_model(options.shape, device, dtype)
    else:
        plain = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).to(device).eval()
    return engine, plain


def small_model() -> Path:
    data = Path(os.environ.get("EVALSITE_DATA") or "var")
    return convert(Path(os.environ.get("EVALSITE_MODELS") or data / "models"), print)


def random_model(shape: str, device: str, dtype: str) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    hidden, intermediate, layers, heads, kv_heads = SHAPES[shape]
    config = LlamaConfig(
        vocab_size=49152,  # the small model's, whose tokenizer is used
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        max_position_embeddings=4096,
        pad_token_id=0,
        dtype=dtype,
    )
    torch.manual_seed(0)
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        with torch.device(device):
            return LlamaForCausalLM(config).eval()
    finally:
        torch.set_default_dtype(torch.float32)


def packed(model: Any) -> Any:
    from inference.engines.packing import can_pack, pack

    if can_pack(model):
        pack(model)
    return model


def bytes_of_a_step(plain: Any, rows: int, tokens: int) -> int:
    """All weights once, and the keys and values of rows so long."""
    config = plain.config
    weights = {weight.data_ptr(): weight for name, weight in plain.named_parameters()}
    embedding = plain.get_input_embeddings().weight
    if embedding.data_ptr() != plain.get_output_embeddings().weight.data_ptr():
        del weights[embedding.data_ptr()]  # of which a row a token is read
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    values = 2 * config.num_hidden_layers * config.num_key_value_heads * width * rows * tokens
    return sum(weight.numel() * weight.element_size() for weight in weights.values()) + values * plain.dtype.itemsize


def bandwidth(device: str) -> float:
    """Bytes a second that a large copy reads and writes."""
    import torch

    size = 2**28 if device == "cpu" else 2**30
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    wait = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    best = 0.0
    for _ in range(5):
        wait()
        began = time.perf_counter()
        target.copy_(source)
        wait()
        best = max(best, 2 * size / (time.perf_counter() - began))
    return best


@contextmanager
def closing(engine: HuggingFaceEngine) -> Iterator[HuggingFaceEngine]:
    try:
        yield engine
    finally:
        engine.close()


def compare(methods: Methods, options: argparse.Namespace) -> None:
    on_cpu = methods.engine._device == "cpu"
    clock = "cpu" if on_cpu else "wall"
    found: dict[tuple[str, int], list[Run]] = {}
    for number in range(options.rounds):
        found.setdefault(("one by one", 1), []).append(methods.one_by_one())
        for rows in options.rows:
            for name, method in ways(methods):
                found.setdefault((name, rows), []).append(method(rows))
        print(f"  round {number + 1} of {options.rounds}, load {os.getloadavg()[0]:.1f}", flush=True)

    def middle(key: tuple[str, int], value: Callable[[Run], float]) -> float:
        return statistics.median(value(run) for run in found[key])

    print(f"\n{'tokens a second':<22}{'decoding':>20}{'whole':>20}{'first token':>18}")
    print(f"{'rows, method':<22}{'CPU time':>10}{'wall':>10}{'CPU time':>10}{'wall':>10}{'p50 / max s':>18}")
    for key in found:
        rates = [
            middle(key, lambda run, of=of, c=c: getattr(run, of)(c))
            for of in ("decoding", "whole")
            for c in ("cpu", "wall")
        ]
        first = "-"
        if found[key][0].first:
            half = middle(key, lambda run: statistics.median(run.first))
            first = f"{half:.2f} / {middle(key, lambda run: max(run.first)):.2f}"
        print(f"{key[1]:>4} {key[0]:<17}{''.join(f'{rate:>10.1f}' for rate in rates)}{first:>18}")

    speed = bandwidth(methods.engine._device)
    length = len(methods.prompts[0]) + options.tokens
    print(
        f"\nratios of decoding by {'CPU time' if on_cpu else 'wall time'}; this machine copies {speed / 1e9:.1f} GB/s"
    )
    print(
        "rows   engine / its one row   / one by one   / fixed   / continuous   whole: / fixed   / continuous   of limit"
    )
    for rows in options.rows:
        ours, whole = (
            {name: middle((name, rows), lambda run, of=of: getattr(run, of)(clock)) for name, _ in ways(methods)}
            for of in ("decoding", "whole")
        )
        mine = ours["engine"]
        alone = middle(("one by one", 1), lambda run: run.decoding(clock))
        single = middle(("engine", 1), lambda run: run.decoding(clock)) if ("engine", 1) in found else alone
        limit = rows * speed / bytes_of_a_step(methods.plain, rows, length)
        print(
            f"{rows:4}{mine / single:>26.2f}{mine / alone:>15.2f}{mine / ours['fixed']:>10.2f}"
            f"{mine / ours['continuous']:>15.2f}{whole['engine'] / whole['fixed']:>17.2f}"
            f"{whole['engine'] / whole['continuous']:>15.2f}{mine / limit:>8.0%}"
        )


def ways(methods: Methods) -> list[tuple[str, Callable[[int], Run]]]:
    return [("fixed", methods.fixed), ("continuous", methods.continuous), ("engine", methods.ours)]


def talk(engine: HuggingFaceEngine, name: str, turns: int = 5, tokens: int = 64) -> tuple[list, list[float]]:
    """The ends of a conversation's turns, and what reading took until each one's first token."""
    clock = time.process_time if engine._device == "cpu" else time.perf_counter
    messages, ends, seconds = ask(0, 1).messages[:1], [], []
    for number in range(turns):
        messages = [*messages, {"role": "user", "content": WORRIES[number % len(WORRIES)]}]
        sampling = Sampling(temperature=0, max_new_tokens=tokens)
        began = clock()
        stream = engine.submit(GenRequest(f"{name}-{number}", messages, sampling, conversation=name))
        next(stream)
        seconds.append(clock() - began)
        *_, end = stream
        messages = [*messages, {"role": "assistant", "content": end.text}]
        ends.append(end)
    return ends, seconds


def compare_prefixes(engine: HuggingFaceEngine) -> None:
    """What reading a conversation takes at each of its turns, with and without what is known of the turns before."""
    keeps, most = engine._prefixes, engine._prefixes._most_bytes
    keeps._most_bytes = 0
    _, anew = talk(engine, "anew")
    keeps._most_bytes = most
    ends, known = talk(engine, "known")
    print(f"\nreading, in seconds of {'CPU' if engine._device == 'cpu' else 'wall'} time")
    print("turn   tokens   of them known     anew   with what is known   anew / known")
    for turn, (end, long, short) in enumerate(zip(ends, anew, known, strict=True), 1):
        print(f"{turn:4}{len(end.prompt_ids):>9}{end.cached_tokens:>16}{long:>9.3f}{short:>21.3f}{long / short:>15.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 4, 8, 16, 32])
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="default: the small model, converted if need be")
    parser.add_argument("--shape", choices=SHAPES, help="random weights of this shape, in memory")
    parser.add_argument("--device", help="default: a GPU if there is one")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()

    engine, plain = load(options)
    with closing(engine):
        told = engine.describe()
        print(
            f"{options.shape or told['model']} on {told['device']} ({platform.machine()}), {told['dtype']}, "
            f"{told['threads']} threads, {os.cpu_count()} cores, "
            + ", ".join(f"{name} {number}" for name, number in told["versions"].items())
            + f"; {options.tokens} tokens a reply"
        )
        methods = Methods(engine, plain, options.tokens)
        methods.ours(1)
        methods.one_by_one()
        compare(methods, options)
        if not options.shape:  # random weights say nothing to go on from
            compare_prefixes(engine)


if __name__ == "__main__":
    main()
