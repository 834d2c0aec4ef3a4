"""Which token comes next: each row by its own rules and its own dice."""

from collections.abc import Sequence

import torch

from inference.engines.base import Sampling

# Almost always the likeliest few hundred hold the whole nucleus, and finding them is far cheaper than a full sort.
LIKELY = 256


@torch.inference_mode()
def choose(
    logits: torch.Tensor,
    samplings: Sequence[Sampling],
    seen: Sequence[Sequence[int]],
    generators: Sequence[torch.Generator],
) -> list[int]:
    """One token id a row. `seen` holds a row's prompt and output so far, which its repetition penalty looks at."""
    logits = logits.float()
    if logits.isnan().any():
        raise FloatingPointError("The model's output is not a number.")
    for row, sampling in enumerate(samplings):
        if sampling.repetition_penalty != 1:
            logits[row] = penalised(logits[row], seen[row], sampling.repetition_penalty)
    chosen = logits.argmax(-1)
    drawing = [row for row, sampling in enumerate(samplings) if sampling.temperature > 0]
    if drawing:
        rolls = torch.cat([torch.rand(1, generator=generators[row]) for row in drawing])
        chosen[drawing] = draw(logits[drawing], [samplings[row] for row in drawing], rolls)
    return chosen.tolist()


def penalised(row: torch.Tensor, seen: Sequence[int], penalty: float) -> torch.Tensor:
    ids = torch.tensor(sorted(set(seen)), device=row.device)
    scores = row[ids]
    return row.index_copy(0, ids, torch.where(scores < 0, scores * penalty, scores / penalty))


def draw(logits: torch.Tensor, samplings: Sequence[Sampling], rolls: torch.Tensor) -> torch.Tensor:
    """Cut each row to its likeliest tokens and take the one its roll of dice (0 to 1) falls on.

    Tokens keep the order of their ids, so that a rounding error between two alike ones does not swap them.
    """
    device = logits.device
    scores = logits / torch.tensor([[sampling.temperature] for sampling in samplings], device=device)
    threshold = lowest_kept(scores, samplings)
    chances = torch.where(scores < threshold, float("-inf"), scores).softmax(-1).cumsum(-1)
    total = chances[:, -1:]
    marks = torch.minimum(rolls.to(device).unsqueeze(-1) * total, total.nextafter(torch.zeros_like(total)))
    return torch.searchsorted(chances, marks, right=True).squeeze(-1)


def lowest_kept(scores: torch.Tensor, samplings: Sequence[Sampling]) -> torch.Tensor:
    """The score below which a row's tokens are left out, first by top_k, then by top_p of what remains."""
    size = scores.shape[-1]
    ks = [min(sampling.top_k or size, size) for sampling in samplings]
    ps = torch.tensor([[sampling.top_p] for sampling in samplings], device=scores.device)
    if all(k == size for k in ks) and all(sampling.top_p == 1 for sampling in samplings):
        return torch.full_like(scores[:, :1], float("-inf"))
    best = scores.topk(min(size, max(LIKELY, *(k for k in ks if k < size), 1))).values
    kept, enough = nucleus(best, scores, ks, ps)
    if not enough:
        best = scores.sort(descending=True).values
        kept, _ = nucleus(best, scores, ks, ps)
    threshold = best.gather(1, kept - 1)
    free = torch.tensor([[k == size] for k in ks], device=scores.device) & (ps == 1)
    return threshold.masked_fill(free, float("-inf"))


def nucleus(best: torch.Tensor, scores: torch.Tensor, ks: Sequence[int], ps: torch.Tensor) -> tuple[torch.Tensor, bool]:
    """How many of a row's best scores are kept, and whether `best` reached far enough to tell."""
    size = scores.shape[-1]
    limit = torch.tensor([[min(k, best.shape[-1])] for k in ks], device=scores.device)
    cut = torch.tensor([[k < size] for k in ks], device=scores.device)
    among = torch.arange(best.shape[-1], device=scores.device) < limit
    likely = best.masked_fill(~among, float("-inf"))
    total = torch.where(cut, likely.logsumexp(-1, keepdim=True), scores.logsumexp(-1, keepdim=True))
    chances = (likely - total).exp()
    before = chances.cumsum(-1) - chances
    kept = ((before < ps) & among).sum(-1, keepdim=True).clamp_(min=1)
    unsure = (kept == best.shape[-1]) & ~cut & (ps < 1)
    return kept, best.shape[-1] == size or not bool(unsure.any())
