"""Schedule: who is killed when, from a seed alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

LONGEST_PAUSE_S = 6.0


@dataclass(frozen=True)
class Kill:
    """One kill.

    Attributes:
        pause_s: Time since the one before.
        victim: Name of who is killed.
    """

    pause_s: float
    victim: str


def make_schedule(seed: int, kills: int, victims: Sequence[str]) -> list[Kill]:
    """The kills of a run: every victim as often as the others, in random order, after random pauses."""
    chance = random.Random(seed)
    who = [victims[number % len(victims)] for number in range(kills)]
    chance.shuffle(who)
    return [Kill(round(chance.uniform(0.3, LONGEST_PAUSE_S), 2), victim) for victim in who]
