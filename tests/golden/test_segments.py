"""Published figures that the segments reproduce, each with its source."""

from datetime import UTC, datetime

import networkx as nx
import numpy as np
import pytest

from userops.segments import Survival, active_states, choose_seeds, coverage, medoids, rfm, sbg

# E. H. Ruspini (1970), Numerical methods for fuzzy clustering, Inform. Sci. 2, 319-350; as in R's `cluster`.
RUSPINI = """4 53 5 63 10 59 9 77 13 49 13 69 12 88 15 75 18 61 19 65 22 74 27 72 28 76 24 58 27 55 28 60 30 52 31 60
32 61 36 72 28 147 32 149 35 153 33 154 38 151 41 150 38 145 38 143 32 143 34 141 44 156 44 149 44 143 46 142
47 149 49 152 50 142 53 144 52 152 55 155 54 124 60 136 63 139 86 132 85 115 85 96 78 94 74 96 97 122 98 116
98 124 99 119 99 128 101 115 108 111 110 111 108 116 111 126 115 117 117 115 70 4 77 12 83 21 61 15 69 15 78 16
66 18 58 13 64 20 69 21 66 23 61 25 76 27 72 31 64 30"""


def ruspini_distances():
    points = np.array(RUSPINI.split(), dtype=float).reshape(-1, 2)
    return np.sqrt(((points[:, None] - points) ** 2).sum(-1))


def test_ruspini_medoids():
    # pam(ruspini, 4) of R's cluster: medoids 10, 32, 52, 70 (one-based), mean distance 11.486375.
    distances = ruspini_distances()
    found = medoids(distances, 4)
    assert [row + 1 for row in found] == [10, 32, 52, 70]
    assert distances[:, found].min(axis=1).mean() == pytest.approx(11.486375, abs=1e-6)


def test_ruspini_twice_is_ruspini():
    assert medoids(np.kron(np.ones((2, 2)), ruspini_distances()), 4) == (9, 31, 51, 69)


@pytest.mark.parametrize(("k", "chosen", "covered"), [(1, {33}, 18), (2, {0, 33}, 31), (3, {0, 24, 33}, 33)])
def test_karate_club_coverage(k, chosen, covered):
    # Zachary (1977), as in networkx; closed neighbourhoods.
    graph = nx.karate_club_graph()
    closed = {node: {node, *graph[node]} for node in graph}
    for contacts in (closed, {node: list(graph[node]) for node in graph}):
        found = choose_seeds(contacts, k)
        assert set(found) == chosen
        assert coverage(found, closed) == covered


@pytest.mark.parametrize(
    ("column", "alpha", "beta", "seventh"), [(1, 0.668, 3.806, 0.491), (2, 0.704, 1.182, 0.241)]
)
def test_sbg_of_fader_and_hardie(shared_data, column, alpha, beta, seventh):
    # Fader and Hardie (2007), How to project customer retention: high-end and regular customers.
    rows = (shared_data / "sbg_retention.csv").read_text().split()[1:]
    survivors = [int(row.split(",")[column]) for row in rows]
    model = sbg(survivors)
    assert (round(model.alpha, 3), round(model.beta, 3)) == (alpha, beta)
    assert model.survival(7) == pytest.approx(seventh, abs=0.02)
    product = 1.0
    for year in range(1, 13):
        product *= model.retention(year)
        assert model.survival(year) == pytest.approx(product, rel=1e-10)
        assert model.retention(year + 1) > model.retention(year)


def purchases(folder):
    rows = [line.split() for line in (folder / "cdnow_sample.txt").read_text().splitlines()]
    return [(r[1], datetime.strptime(r[2], "%Y%m%d").replace(tzinfo=UTC), float(r[4])) for r in rows]


def test_cdnow_to_the_end_of_september_1997(shared_data):
    # Fader, Hardie and Lee (2005), calibration period of 39 weeks.
    found = rfm(purchases(shared_data), datetime(1997, 9, 30, tzinfo=UTC))
    assert len(found) == 2_357
    assert (found.frequency > 0).sum() == 946
    assert found.frequency.sum() == 2_457


def test_cdnow_against_a_plain_count(shared_data):
    orders = purchases(shared_data)
    as_of = datetime(1997, 9, 30, tzinfo=UTC)
    days, total = {}, {}
    for member, at, amount in orders:
        if at <= as_of:
            days.setdefault(member, set()).add(at.date())
            total[member] = total.get(member, 0) + amount
    found = rfm(orders, as_of)
    for k, member in enumerate(found.member):
        assert found.frequency[k] == len(days[member]) - 1
        assert found.recency_days[k] == (as_of.date() - max(days[member])).days
        assert found.value[k] == pytest.approx(total[member])
    states = active_states([(m, at) for m, at, _ in orders], "month", new="history")
    assert states.new.sum() == 2_357
    assert states.active[0] == len({m for m, at, _ in orders if at.month == 1 and at.year == 1997})


def test_kaplan_meier_of_freireich():
    # Freireich et al. (1963), 6-MP arm, weeks of remission; curve as in Kalbfleisch and Prentice, table 1.
    ended = [6, 6, 6, 7, 10, 13, 16, 22, 23]
    censored = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
    curve = Survival((*ended, *censored), (True,) * 9 + (False,) * 12)
    published = {5: 1.0, 6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448, 34: 0.448}
    for week, share in published.items():
        assert curve.survival(week) == pytest.approx(share, abs=6e-4)
    assert curve.median == 23
    # survfit(conf.type = "log-log") at week 10.
    assert curve.interval(10) == pytest.approx((0.503, 0.889), abs=2e-3)


def test_orders_of_the_r_package_rfm(shared_data):
    # rsquaredacademy/rfm, README: rfm_table_order at 2006-12-31, 995 customers; here numbered in the order of their
    # names. Recency in days, orders, amount. (Versions of the page differ in whom
    # they show; two customers in between are not on the page that was read.)
    published = [(205, 6, 472), (140, 3, 340), (194, 4, 405), None, (132, 5, 448), (90, 9, 843), (84, 9, 763), (281, 8, 699), (246, 4, 157), None, (349, 3, 363)]  # fmt: skip
    rows = [line.split(",") for line in (shared_data / "r_rfm_orders.csv").read_text().split()[1:]]
    orders = [
        (int(c), datetime.fromisoformat(day).replace(tzinfo=UTC), int(amount)) for c, day, amount in rows
    ]
    found = rfm(orders, datetime(2006, 12, 31, tzinfo=UTC))
    assert len(found) == 995
    for place, row in enumerate(published):
        if row is not None:
            # Nobody among these ordered twice on a day, so that frequency counts orders less one.
            assert (found.recency_days[place], found.frequency[place] + 1, found.value[place]) == row
