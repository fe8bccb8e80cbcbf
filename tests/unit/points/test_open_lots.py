"""Open lots in blocks, against a sorted list: thousands of them, so that blocks split, shrink and vanish."""

import random
from decimal import Decimal

import pytest

from userops.points.values import NEVER, LotState
from userops.points.wallet import Wallet, in_order, living, spending_order, with_lot, with_lots

CURRENCIES = ("points", "growth", "point", "pointss")


def lot(number, expires_at, left=10, written=0, currency="points"):
    ends = NEVER if expires_at is None else expires_at
    return LotState(
        currency, ends, number % 3, (number, 0), f"l{number}", "u1", "sales", Decimal(0), 0, "", f"l{number}",
        10, True, left, written,
    )  # fmt: skip


def expected(known):
    return sorted((one for one in known.values() if one.left > one.written), key=spending_order)


def flat(lots):
    return [one for block in lots for one in block]


def check(lots, known, at):
    assert flat(lots) == expected(known)
    for currency in CURRENCIES:
        alive = [one for one in expected(known) if one.currency == currency and one.is_alive(at)]
        assert list(living(lots, currency, at)) == alive
    assert all(0 < len(block) <= 128 for block in lots)


@pytest.mark.parametrize("seed", range(4))
def test_one_lot_at_a_time_is_as_a_sorted_list(seed):
    rng = random.Random(seed)
    lots, known = (), {}
    for step in range(1_200):
        if known and rng.random() < 0.4:
            was = rng.choice(list(known.values()))
            changed = was.with_left(rng.choice([0, 3, 10]), rng.choice([0, 0, 3]))
        else:
            ends = rng.choice([None, rng.randrange(400), 1_000 + step])
            changed = lot(step, ends, currency=rng.choice(CURRENCIES[:2]) if seed % 2 else "points")
        known[changed.id] = changed
        lots = with_lot(lots, changed)
        if step % 40 == 0:
            check(lots, known, rng.choice([-1, rng.randrange(2_400), 10_000]))
    for one in rng.sample(list(known.values()), len(known)):
        known[one.id] = one.with_left(0, 0)
        lots = with_lot(lots, known[one.id])
    check(lots, known, 0)
    assert lots == ()


@pytest.mark.parametrize("count", [1, 7, 40, 900])
def test_many_at_once_are_as_one_by_one_whether_placed_or_sorted(count):
    rng = random.Random(count)
    known = {one.id: one for one in (lot(number, rng.randrange(5_000)) for number in range(1_000))}
    lots = in_order(known.values())
    check(lots, known, 2_500)
    changed = [one.with_left(rng.choice([0, 5]), 0) for one in rng.sample(list(known.values()), count)]
    changed += [lot(number, rng.randrange(5_000)) for number in range(2_000, 2_000 + count)]
    known.update((one.id, one) for one in changed)
    check(with_lots(lots, changed), known, 2_500)


def test_moved_lots_stand_in_their_new_place():
    lots = in_order([lot(1, 100), lot(2, 200), lot(3, 300)])
    moved = with_lots(lots, [lot(1, 900)], is_moved=True)
    assert [one.id for one in flat(moved)] == ["l2", "l3", "l1"]


def test_earlier_values_stay_as_they_were():
    first = in_order(lot(number, number) for number in range(300))
    before = flat(first)
    with_lot(with_lot(first, lot(5, 5, left=0)), lot(700, 2))
    assert flat(first) == before


def test_a_wallet_keeps_currencies_apart():
    wallet = Wallet("u1").after(9, [lot(1, 100), lot(2, 100, currency="growth")])
    assert [one.id for one in wallet.alive("points", 50)] == ["l1"]
    assert [one.id for one in wallet.alive("growth", 50)] == ["l2"]
    assert list(wallet.alive("miles", 50)) == list(wallet.alive("point", 50)) == []
    assert (wallet.latest, wallet.length) == (9, 1)
