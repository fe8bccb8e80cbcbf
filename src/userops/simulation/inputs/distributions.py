"""What a planner does not know: a number, or a distribution that one value is drawn from per replication."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np
from attrs import frozen

from userops.core.amounts import MAX_POINTS
from userops.core.files import did_you_mean
from userops.errors import InvalidValue

#: The forms of a distribution, and how many numbers each takes.
FORMS = {"normal": 2, "lognormal": 2, "beta": 2, "triangular": 3, "uniform": 2, "empirical": None}
#: No rate, share or amount of a plan goes beyond this.
MOST = 1e15


@frozen
class Parameter:
    """A number, or a distribution: `normal` [mean, sd], `lognormal` [mean and sd of the logarithm], `beta`
    [a, b], `triangular` [low, mode, high], `uniform` [low, high], `empirical` [values seen].

    Draws stay within `low` and `high`: what a normal or lognormal tail puts outside is set to the bound.

    >>> Parameter("beta", (2.0, 8.0), 0.0, 1.0).mean()
    0.2
    """

    form: str
    values: tuple[float, ...]
    low: float = 0.0
    high: float = MOST

    @property
    def is_uncertain(self) -> bool:
        """Say whether replications differ in it."""
        return self.form != "number" and len(set(self.values)) > 1

    def draw(self, rng: np.random.Generator, size: int | None = None) -> Any:
        """Return one value, or an array of `size`."""
        v = self.values
        found: Any
        if self.form == "number":
            found = v[0] if size is None else np.full(size, v[0])
        elif self.form == "normal":
            found = rng.normal(v[0], v[1], size)
        elif self.form == "lognormal":
            found = rng.lognormal(v[0], v[1], size)
        elif self.form == "beta":
            found = rng.beta(v[0], v[1], size)
        elif self.form == "triangular":
            found = rng.triangular(v[0], v[1], v[2], size) if v[0] < v[2] else rng.uniform(v[0], v[2], size)
        elif self.form == "uniform":
            found = rng.uniform(v[0], v[1], size)
        else:
            found = np.asarray(v)[rng.integers(0, len(v), size)]
        return (
            np.clip(found, self.low, self.high)
            if size is not None
            else float(min(max(found, self.low), self.high))
        )

    def mean(self) -> float:
        """Return the expected value, bounds aside."""
        v = self.values
        if self.form == "lognormal":
            return math.exp(v[0] + v[1] ** 2 / 2)
        if self.form == "beta":
            return v[0] / (v[0] + v[1])
        if self.form in ("triangular", "uniform", "empirical"):
            return sum(v) / len(v)
        return v[0]

    def to_toml(self) -> Any:
        """Return what a plan file says for it."""
        return self.values[0] if self.form == "number" else {self.form: list(self.values)}


def number(value: Any, name: str = "it") -> float:
    """Return a finite number of a plan as a float.

    >>> number(True)
    Traceback (most recent call last):
    userops.errors.InvalidValue: it must be a number, not bool
    """
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | np.integer | np.floating):
        raise InvalidValue(f"{name} must be a number, not {type(value).__name__}")
    if isinstance(value, int) and abs(value) > MAX_POINTS:
        raise InvalidValue(f"{name} is beyond 64 bits")
    if isinstance(value, Decimal) and (not value.is_finite() or (value and abs(value.adjusted()) > 40)):
        raise InvalidValue(f"{name} must be a finite number of moderate size")
    found = float(value)
    if not math.isfinite(found) or abs(found) > MOST:
        raise InvalidValue(f"{name} must be a finite number of at most {MOST:g}")
    return found


def parameter(value: Any, *, low: float = 0.0, high: float = MOST) -> Parameter:
    """Read a number or a distribution, refusing what could not be within `low` and `high`.

    >>> parameter({"beta": [2, 8]}, high=1).form
    'beta'
    >>> parameter({"uniform": [0.5, 1.5]}, high=1)
    Traceback (most recent call last):
    userops.errors.InvalidValue: uniform must stay between 0 and 1, not 0.5 to 1.5
    """
    if isinstance(value, Parameter):
        return value
    if not isinstance(value, Mapping):
        found = number(value)
        if not low <= found <= high:
            raise InvalidValue(f"must be {_range(low, high)}, not {found:g}")
        return Parameter("number", (found,), low, high)
    if len(value) != 1:
        raise InvalidValue("a distribution is a table of one form, such as { beta = [2, 8] }")
    ((form, given),) = value.items()
    if form not in FORMS:
        raise InvalidValue(f"{str(form)[:40]!r} is not a distribution{did_you_mean(str(form), FORMS)}")
    if not isinstance(given, list | tuple) or len(given) != (FORMS[form] or max(1, len(given))):
        wanted = (
            f"a list of {FORMS[form]} numbers" if FORMS[form] else "a list of the values seen, at least one"
        )
        raise InvalidValue(f"{form} takes {wanted}")
    values = tuple(number(part, form) for part in given)
    _CHECKS[form](values)
    if form in ("triangular", "uniform", "empirical") and not (low <= min(values) and max(values) <= high):
        raise InvalidValue(f"{form} must stay {_range(low, high)}, not {min(values):g} to {max(values):g}")
    if form == "normal" and not low <= values[0] <= high:
        raise InvalidValue(f"the mean of a normal must be {_range(low, high)}, not {values[0]:g}")
    if form in ("normal", "lognormal") and (outside := _outside(form, values, low, high)) > _MOST_OUTSIDE:
        raise InvalidValue(
            f"{outside:.0%} of this {form} lies outside what it must be, {_range(low, high)}; draws are moved to "
            "the nearest bound, which would decide too many of them: give a narrower one, a beta or a triangular"
        )
    if form == "beta" and (low > 0 or high < 1):
        raise InvalidValue("a beta lies between 0 and 1")
    return Parameter(form, values, low, high)


#: Draws beyond a bound are moved to it: so large a share of them may be.
_MOST_OUTSIDE = 0.25


def _outside(form: str, values: tuple[float, ...], low: float, high: float) -> float:
    """Return the chance of a draw outside the bounds."""

    def below(x: float) -> float:
        if form == "lognormal":
            if x <= 0:
                return 0.0
            x = math.log(x)
        mean, deviation = values
        if deviation == 0:
            return 1.0 if x >= mean else 0.0
        return 0.5 * (1 + math.erf((x - mean) / deviation / math.sqrt(2)))

    return (below(low) if values[1] else 0.0) + 1 - below(high)


def _range(low: float, high: float) -> str:
    return f"at least {low:g}" if high >= MOST else f"between {low:g} and {high:g}"


def _check_scale(values: tuple[float, ...], *, form: str) -> None:
    if values[1] < 0:
        raise InvalidValue(f"the standard deviation of a {form} must not be negative")
    if form == "lognormal" and (abs(values[0]) > 30 or values[1] > 5):
        raise InvalidValue("a lognormal takes the mean and the standard deviation of the logarithm")


def _check_beta(values: tuple[float, ...]) -> None:
    if min(values) <= 0:
        raise InvalidValue("the two numbers of a beta must be more than 0")


def _check_ordered(values: tuple[float, ...], *, form: str) -> None:
    if list(values) != sorted(values):
        raise InvalidValue(f"the numbers of a {form} must not fall: {', '.join(f'{v:g}' for v in values)}")


_CHECKS: dict[str, Callable[[tuple[float, ...]], None]] = {
    "normal": partial(_check_scale, form="normal"),
    "lognormal": partial(_check_scale, form="lognormal"),
    "beta": _check_beta,
    "triangular": partial(_check_ordered, form="triangular"),
    "uniform": partial(_check_ordered, form="uniform"),
    "empirical": lambda _values: None,
}
