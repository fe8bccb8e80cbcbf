"""Amounts: integer points, exact money and rates, and a division that loses nothing."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from userops.errors import InvalidValue

#: The greatest number of points, the greatest signed 64-bit integer.
MAX_POINTS = 2**63 - 1
#: Decimals outside 10^±this are refused before anything converts them, which could take seconds.
MAX_EXPONENT = 40


def whole(value: object, name: str, *, at_least: int = -MAX_POINTS, at_most: int = MAX_POINTS) -> int:
    """Return `value` as a Python `int`; numpy integers are taken, `bool`, floats and decimals are not.

    >>> whole(True, "points")
    Traceback (most recent call last):
    userops.errors.InvalidValue: points must be a whole number, not bool
    """
    if type(value) is not int:
        if type(value).__name__ in ("bool", "bool_"):  # NumPy's too, which older ones take for an index.
            raise InvalidValue(f"{name} must be a whole number, not bool")
        try:
            value = int(operator.index(value))  # type: ignore[arg-type]
        except TypeError:
            raise InvalidValue(f"{name} must be a whole number, not {type(value).__name__}") from None
    if not at_least <= value <= at_most:
        raise InvalidValue(f"{name} must be {_bounds(at_least, at_most, is_large=value > at_most)}")
    return value


def points(value: object, name: str = "points") -> int:
    """Return `value` as a positive number of points.

    >>> points(300)
    300
    """
    if type(value) is int and 0 < value <= MAX_POINTS:
        return value  # As nearly all are.
    return whole(value, name, at_least=1)


def _bounds(at_least: int, at_most: int, *, is_large: bool) -> str:
    if at_most == MAX_POINTS:
        if at_least == -MAX_POINTS:
            return "within 64 bits"
        return f"at least {at_least}{' and at most 2^63 - 1' if is_large else ''}"
    return f"between {at_least} and {at_most}"


def exact(value: object, name: str) -> Fraction:
    """Return an `int`, `Decimal` or `Fraction` as a `Fraction`; floats and non-finite values are refused.

    >>> exact(Decimal("0.10"), "unit_cost")
    Fraction(1, 10)
    """
    if isinstance(value, Fraction):
        if max(abs(value.numerator), value.denominator) > 10**MAX_EXPONENT:
            raise InvalidValue(f"{name} is beyond 10^±{MAX_EXPONENT}")
        return Fraction(value.numerator, value.denominator)
    if isinstance(value, Decimal):
        return Fraction(bounded_decimal(value, name))
    if isinstance(value, float):
        raise InvalidValue(f"{name} must be exact (int, Decimal or Fraction), not float")
    return Fraction(whole(value, name))


def bounded_decimal(value: object, name: str) -> Decimal:
    """Return an `int` or `Decimal` as a finite `Decimal` of bounded magnitude.

    >>> bounded_decimal(Decimal("1e400000"), "amount")
    Traceback (most recent call last):
    userops.errors.InvalidValue: amount is beyond 10^±40
    """
    if not isinstance(value, Decimal):
        if isinstance(value, float):
            raise InvalidValue(f"{name} must be exact (int or Decimal), not float")
        return Decimal(whole(value, name))
    if not value.is_finite():
        raise InvalidValue(f"{name} must be finite")
    exponent = value.as_tuple().exponent
    if (value and abs(value.adjusted()) > MAX_EXPONENT) or abs(int(exponent)) > MAX_EXPONENT:
        raise InvalidValue(f"{name} is beyond 10^±{MAX_EXPONENT}")
    return Decimal(value)


def amount(value: object, name: str = "amount") -> int | Decimal:
    """Return an event's amount: a whole number or a finite `Decimal`.

    >>> amount(Decimal("29.33"))
    Decimal('29.33')
    """
    return bounded_decimal(value, name) if isinstance(value, Decimal | float) else whole(value, name)


def largest_remainder(total: int, shares: Mapping[Any, Fraction]) -> dict[Any, int]:
    """Divide `total` by `shares`, each rounded down, the rest one by one to the largest remainders.

    Shares may sum to less than one: what nobody has a share in stays undivided. Ties go to the smallest
    key. (Method of Hamilton.)

    >>> largest_remainder(10, {"b": Fraction(1, 3), "a": Fraction(1, 3), "c": Fraction(1, 3)})
    {'b': 3, 'a': 4, 'c': 3}
    """
    if any(share < 0 for share in shares.values()) or sum(shares.values(), Fraction(0)) > 1:
        raise InvalidValue("shares must not be negative, nor sum to more than 1")
    quotas = {key: total * Fraction(share) for key, share in shares.items()}
    given = {key: quota.__floor__() for key, quota in quotas.items()}
    rest = sum(quotas.values(), Fraction(0)).__floor__() - sum(given.values())
    by_remainder = sorted(quotas, key=lambda key: (given[key] - quotas[key], key))
    for key in by_remainder[:rest]:
        given[key] += 1
    return given
