"""What is to be computed, chosen before the data are seen: the scale, the estimand, the question, the seed."""

from __future__ import annotations

from dataclasses import dataclass

# The smallest difference that matters, in points, where a study declared none.
SUGGESTED_MARGIN = 0.5


@dataclass(frozen=True)
class Primary:
    """The comparison the study was planned for; all others are exploratory beside it."""

    criterion: str
    a: str
    b: str
    margin: float | None = None


@dataclass(frozen=True)
class Analysis:
    """`items_are`: "random" for items like these, "fixed" for exactly these. `seed` and `draws`: for everything that is
    resampled, so that the same ratings give the same report."""

    scale: tuple[int, int]
    items_are: str = "random"
    primary: Primary | None = None
    seed: int = 1
    draws: int = 2000

    @property
    def margin(self) -> float:
        return self.primary.margin if self.primary and self.primary.margin else SUGGESTED_MARGIN

    @property
    def margin_is_declared(self) -> bool:
        return bool(self.primary and self.primary.margin)
