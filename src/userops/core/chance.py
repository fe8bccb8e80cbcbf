"""Chance: one seed, any number of independent streams, each known by its name."""

from __future__ import annotations

import hashlib

import numpy as np

from userops.core.amounts import whole
from userops.core.ids import derived_id


def check_seed(seed: object) -> int:
    """Return the seed as a whole number from 0 to 2^63 - 1.

    >>> check_seed(7)
    7
    """
    return whole(seed, "seed", at_least=0)


def stream(seed: int, *name: str | int) -> np.random.Generator:
    """Return the generator of (seed, name): the same name gives the same draws, whatever else is drawn.

    The bit generator is Philox, keyed by a SHA-256 of the length-prefixed name.

    >>> a, b = stream(7, "arrivals", 3), stream(7, "arrivals", 3)
    >>> bool((a.random(4) == b.random(4)).all())
    True
    """
    text = derived_id(str(check_seed(seed)), *(f"{type(part).__name__[0]}{part}" for part in name))
    digest = hashlib.sha256(text.encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
