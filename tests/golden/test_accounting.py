"""IFRS 15 Example 52, and Mack's standard errors on the triangle of Taylor and Ashe."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from userops.errors import InvalidValue
from userops.points import allocate_price, chain_ladder, revenue_schedule

ONE = Decimal(1)


def test_ifrs_15_example_52():
    goods, points = allocate_price(100_000, 100_000, 9_500, rounding=ONE)
    assert (goods, points) == (91_324, 8_676)
    first, second = revenue_schedule(points, [(4_500, 9_500), (8_500, 9_700)], rounding=ONE)
    assert (first.revenue, first.cumulative, first.liability) == (4_110, 4_110, 4_566)
    assert (second.revenue, second.cumulative, second.liability) == (3_493, 7_603, 1_073)


def test_exact_unless_a_quantum_is_given():
    goods, points = allocate_price(100_000, 100_000, 9_500)
    assert points == Fraction(100_000 * 9_500, 109_500)
    assert goods + points == 100_000
    rows = revenue_schedule(points, [(4_500, 9_500), (8_500, 9_700), (9_700, 9_700)])
    assert sum(row.revenue for row in rows) == points
    assert rows[-1].liability == 0


def test_parts_sum_to_the_price_at_any_quantum():
    for cents in range(1, 400, 7):
        price = Decimal(cents) / 100
        goods, points = allocate_price(price, 3, 7, rounding=Decimal("0.01"))
        assert goods + points == price


@pytest.mark.parametrize(
    "call",
    [
        lambda: revenue_schedule(100, [(11, 10)]),
        lambda: revenue_schedule(100, [(0, 0)]),
        lambda: revenue_schedule(100, [(-1, 10)]),
        lambda: revenue_schedule(-100, [(1, 10)]),
        lambda: revenue_schedule(100.0, [(1, 10)]),
        lambda: revenue_schedule(Decimal("NaN"), [(1, 10)]),
        lambda: revenue_schedule(100, [(1, Decimal("Infinity"))]),
        lambda: allocate_price(100, 0, 0),
        lambda: allocate_price(100, -1, 2),
        lambda: allocate_price(True, 1, 2),
        lambda: allocate_price(100, 1, 2, rounding=Decimal(0)),
        lambda: allocate_price(Decimal("1e400000"), 1, 2),
    ],
)
def test_what_cannot_be_accounted_for_is_refused(call):
    with pytest.raises(InvalidValue):
        call()


#: Taylor and Ashe (1983), as in Mack, "Distribution-free calculation of the standard error of chain ladder
#: reserve estimates", ASTIN Bulletin 23 (1993).
TAYLOR_ASHE = """
357848 1124788 1735330 2218270 2745596 3319994 3466336 3606286 3833515 3901463
352118 1236139 2170033 3353322 3799067 4120063 4647867 4914039 5339085
290507 1292306 2218525 3235179 3985995 4132918 4628910 4909315
310608 1418858 2195047 3757447 4029929 4381982 4588268
443160 1136350 2128333 2897821 3402672 3873311
396132 1333217 2180715 2985752 3691712
440832 1288463 2419861 3483130
359480 1421128 2864498
376686 1363294
344014
"""


def test_mack_1993():
    table = np.full((10, 10), np.nan)
    for row, line in enumerate(TAYLOR_ASHE.split("\n")[1:11]):
        values = [float(x) for x in line.split()]
        table[row, : len(values)] = values
    found = chain_ladder(table)
    assert round(found.total_reserve / 1_000) == 18_681
    assert round(found.total_standard_error / 1_000) == 2_447
    # Reserves and standard errors of the accident years, in thousands, as Mack prints them.
    assert [round(x / 1_000) for x in found.reserve] == [0, 95, 470, 710, 985, 1419, 2178, 3920, 4279, 4626]
    assert [round(x / 1_000) for x in found.standard_error] == [
        0,
        76,
        122,
        134,
        261,
        411,
        558,
        875,
        971,
        1363,
    ]


@pytest.mark.parametrize(
    "bad",
    [
        [[1]],
        [[1, 2]],
        [[1, 2], [3, 4]],
        [[np.nan, 2], [1, np.nan]],
        [[-1, 2], [1, np.nan]],
        "x",
        [[0, 1], [0, np.nan]],
        [[0, 0], [0, np.nan]],
    ],
)
def test_what_is_no_triangle_is_refused(bad):
    with pytest.raises(InvalidValue):
        chain_ladder(bad)
