"""What kinds of people come, and how many of each."""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Character:
    name: str
    share: float
    # Answers before anybody can have read the page.
    hurries: bool = False
    # Gives every reply the same number.
    is_straight: bool = False
    drops_out: bool = False
    # How often an attention check is missed.
    misses_checks: float = 0.02


CHARACTERS = {
    character.name: character
    for character in (
        Character("careful", 0.7),
        Character("fast", 0.1, hurries=True, misses_checks=0.4),
        Character("straight", 0.1, is_straight=True, misses_checks=0.9),
        Character("dropout", 0.1, drops_out=True),
    )
}
Mix = dict[str, float]
DEFAULT_MIX: Mix = {name: character.share for name, character in CHARACTERS.items()}


def read_mix(text: str) -> Mix:
    """`careful=.8,fast=.2` as shares; what is not named does not come. Raises ValueError in plain words."""
    mix: Mix = {}
    for part in text.split(","):
        name, _, share = part.partition("=")
        if name.strip() not in CHARACTERS:
            raise ValueError(f"{name.strip()!r} is no character: choose from {', '.join(CHARACTERS)}.")
        try:
            mix[name.strip()] = float(share)
        except ValueError:
            raise ValueError(f"{part.strip()!r} has no share: write {name.strip()}=0.5.") from None
    if not all(0 <= share < float("inf") for share in mix.values()) or not sum(mix.values()):
        raise ValueError("Shares must be 0 or more, and at least one above 0.")
    return mix


def crowd(count: int, mix: Mix, seed: int) -> list[Character]:
    """So many people in these shares, to the nearest whole person, in an order of chance."""
    exact = {name: count * share / sum(mix.values()) for name, share in mix.items()}
    whole = {name: int(number) for name, number in exact.items()}
    nearest = sorted(exact, key=lambda name: whole[name] - exact[name])
    for name in nearest[: count - sum(whole.values())]:
        whole[name] += 1
    people = [CHARACTERS[name] for name, number in whole.items() for _ in range(number)]
    Random(f"crowd/{seed}").shuffle(people)
    return people
