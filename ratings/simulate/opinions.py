"""What synthetic participants think of replies: a model whose difference between arms is known exactly."""

from dataclasses import dataclass
from math import erf, sqrt
from random import Random

# The impression of a reply on a ten-point scale, and how far people, items and moments scatter around it.
MEAN = 6.8
PERSON, ITEM, MOMENT = 0.9, 0.4, 1.2


@dataclass(frozen=True)
class Opinions:
    """Impressions are normal; a rating is the nearest point, so that those beyond an end crowd on it.

    `effect` is added, in points and on every criterion, to the impression of replies of the arm `better`.
    """

    seed: int
    points: range
    effect: float
    better: str

    def score(self, person: int, item: str, arm: str, criterion: str) -> int:
        """The same for the same arguments, in whatever order people come."""
        impression = (
            self._centre(arm)
            + self._scatter(PERSON, person)
            + self._scatter(ITEM, item)
            + self._scatter(MOMENT, person, item, criterion)
        )
        return min(max(round(impression), self.points[0]), self.points[-1])

    def expected(self, arm: str) -> float:
        """The mean of `score` over people, items and moments."""
        sd = self._unit * sqrt(PERSON**2 + ITEM**2 + MOMENT**2)
        above = (_normal((self._centre(arm) - point + 0.5) / sd) for point in self.points[1:])
        return self.points[0] + sum(above)

    def _centre(self, arm: str) -> float:
        return self.points[0] + (MEAN - 1) * self._unit + (self.effect if arm == self.better else 0)

    def _scatter(self, sd: float, *who: object) -> float:
        return Random("/".join(map(str, (self.seed, *who)))).gauss(0, sd * self._unit)

    @property
    def _unit(self) -> float:
        return (self.points[-1] - self.points[0]) / 9


def _normal(z: float) -> float:
    return (1 + erf(z / sqrt(2))) / 2
