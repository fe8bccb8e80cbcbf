"""Fields run through the check of their name, their defaults too."""

import pytest
from attrs import NOTHING, Factory, field, frozen

from userops.core.fields import checked
from userops.errors import InvalidValue


def _even(value, name):
    if not isinstance(value, int | float) or value % 2:
        raise InvalidValue(f"{name} must be even")
    return float(value)


@frozen(field_transformer=checked({"size": _even, "least": _even, "most": _even, "some": _even}))
class Sizes:
    size: float
    least: float = 0
    most: float | None = None
    some: float = field(factory=lambda: 4)
    name: str = ""


def test_values_and_defaults_are_what_the_check_returns():
    sizes = Sizes(2)
    assert [type(value) for value in (sizes.size, sizes.least, sizes.some)] == [float] * 3
    assert (sizes.size, sizes.least, sizes.most, sizes.some, sizes.name) == (2, 0, None, 4, "")
    assert type(Sizes(2, 0).least) is float


@pytest.mark.parametrize("given", [(3,), (None,), (NOTHING,), (Factory(int),), (2, 1), (2, None), (2, 0, 3)])
def test_what_the_check_refuses_is_refused(given):
    with pytest.raises(InvalidValue, match="must be even"):
        Sizes(*given)


def test_a_default_that_fails_its_own_check_is_refused_when_the_class_is_made():
    with pytest.raises(InvalidValue, match="least must be even"):

        @frozen(field_transformer=checked({"least": _even}))
        class _Odd:
            least: float = 1
