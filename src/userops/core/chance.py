"""Chance: one seed, any number of independent streams, each known by its name."""

from __future__ import annotations

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

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


def words(rng: np.random.Generator, *shape: int) -> NDArray[np.uint32]:
    """Return whole numbers of 32 random bits, as the generator makes them.

    What happens at a chance of `p` happens where the number is less than p · 2^32: the chance is met to 2^-32.

    >>> words(stream(7, "arrivals"), 2, 3).shape
    (2, 3)
    """
    size = math.prod(shape)
    raw = rng.bit_generator.random_raw(max(1, -(-size // 2)))
    return np.asarray(raw, dtype=np.uint64).view(np.uint32)[:size].reshape(shape)
