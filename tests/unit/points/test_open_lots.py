"""Open lots in blocks, against a sorted list: thousands of them, so that blocks split, shrink and vanish."""

import random
from decimal import Decimal

import pytest

from userops.points.values import LotState
from userops.points.wallet import OpenLots, Wallet, spending_order


def lot(number, expires_at, left=10, written=0, currency="points"):
    return LotState(
        f"l{number}", "u1", currency, "sales", Decimal(0), 0, number % 3, expires_at, "", f"l{number}",
        10, (number, 0), True, left, written,
    )  # fmt: skip


def expected(known):
    return sorted((one for one in known.values() if one.left > one.written), key=spending_order)


def check(lots, known, at):
    living = [one for one in expected(known) if one.is_alive(at)]
    assert list(lots) == expected(known)
    assert len(lots) == len(expected(known))
    assert list(lots.alive(at)) == living
    assert all(0 < len(block) <= 128 for block in lots.blocks)


@pytest.mark.parametrize("seed", range(4))
def test_one_lot_at_a_time_is_as_a_sorted_list(seed):
    rng = random.Random(seed)
    lots, known = OpenLots(), {}
    for step in range(1_200):
        if known and rng.random() < 0.4:
            was = rng.choice(list(known.values()))
            changed = was.with_left(rng.choice([0, 3, 10]), rng.choice([0, 0, 3]))
        else:
            changed = lot(step, rng.choice([None, rng.randrange(400), 1_000 + step]))
        known[changed.id] = changed
        lots = lots.with_lot(changed)
        if step % 40 == 0:
            check(lots, known, rng.choice([-1, rng.randrange(2_400), 10_000]))
    for one in rng.sample(list(known.values()), len(known)):
        known[one.id] = one.with_left(0, 0)
        lots = lots.with_lot(known[one.id])
    check(lots, known, 0)
    assert lots == OpenLots()


@pytest.mark.parametrize("count", [1, 7, 40, 900])
def test_many_at_once_are_as_one_by_one_whether_placed_or_sorted(count):
    rng = random.Random(count)
    known = {one.id: one for one in (lot(number, rng.randrange(5_000)) for number in range(1_000))}
    lots = OpenLots.of(known.values())
    check(lots, known, 2_500)
    changed = [one.with_left(rng.choice([0, 5]), 0) for one in rng.sample(list(known.values()), count)]
    changed += [lot(number, rng.randrange(5_000)) for number in range(2_000, 2_000 + count)]
    known.update((one.id, one) for one in changed)
    check(lots.with_lots(changed, is_moved=False), known, 2_500)


def test_moved_lots_stand_in_their_new_place():
    lots = OpenLots.of([lot(1, 100), lot(2, 200), lot(3, 300)])
    assert [one.id for one in lots.with_lots([lot(1, 900)], is_moved=True)] == ["l2", "l3", "l1"]


def test_earlier_values_stay_as_they_were():
    first = OpenLots.of(lot(number, number) for number in range(300))
    before = list(first)
    first.with_lot(lot(5, 5, left=0)).with_lot(lot(700, 2))
    assert list(first) == before


def test_a_wallet_keeps_currencies_apart():
    wallet = Wallet("u1").after(9, [lot(1, 100), lot(2, 100, currency="growth")])
    assert [one.id for one in wallet.alive("points", 50)] == ["l1"]
    assert [one.id for one in wallet.alive("growth", 50)] == ["l2"]
    assert list(wallet.alive("miles", 50)) == []
    assert (wallet.latest, wallet.length) == (9, 1)
