"""Laws of typical, complaining and seed users, of identity and of community."""

import itertools
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from userops.errors import InvalidValue, NaiveTimeError, UseropsError
from userops.segments import (
    Case,
    CaseState,
    ClosedLoop,
    Survival,
    choose_seeds,
    circle_reach,
    complaining_users,
    complaint_load,
    coverage,
    gower,
    medoids,
    resolve,
    seed_users,
    tie_strength,
    typical_users,
    verified_reach,
)
from userops.segments.labelling import summable

T0 = datetime(2027, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)

# --- typical users ---

PEOPLE = st.lists(
    st.tuples(
        st.integers(-5, 5),
        st.sampled_from([0.0, 0.25, 1.0, 7.5]),
        st.sampled_from(["Hefei", "Shanghai"]),
        st.booleans(),
        st.sampled_from(["ES8", "ET5"]),
    ),
    min_size=1,
    max_size=9,
)


def table_of(people):
    age, spent, city, kids, model = (list(column) for column in zip(*people, strict=True))
    return {"age": age, "spent": spent, "city": city, "kids": kids, "model": model}


def plain_gower(columns, weights=None):
    names = list(columns)
    share = {name: (weights or {}).get(name, 1.0) for name in names}
    rows = len(columns[names[0]])

    def apart(name, i, j):
        one, other = columns[name][i], columns[name][j]
        if isinstance(one, str | bool):
            return float(one != other)
        spread = max(columns[name]) - min(columns[name])
        return abs(one - other) / spread if spread else 0.0

    total = sum(share.values())
    return [[sum(share[n] * apart(n, i, j) for n in names) / total for j in range(rows)] for i in range(rows)]


@given(PEOPLE, st.floats(0.25, 4))
def test_gower_is_the_plain_sum(people, weight):
    columns = table_of(people)
    weights = {"age": weight, "city": 2.0}
    assert gower(columns, weights=weights) == pytest.approx(
        np.array(plain_gower(columns, weights)), abs=1e-12
    )


@given(PEOPLE)
def test_the_medoid_minimises_the_sum_of_distances(people):
    columns = table_of(people)
    sums = gower(columns).sum(axis=1)
    found = typical_users(columns)
    (row,) = found.medoids
    assert sums[row] <= sums.min() + 1e-9
    worst = sums.max()
    expected = 1 - sums / worst if worst > 0 else np.ones(len(people))
    assert found.representativeness == pytest.approx(expected, abs=1e-9)
    assert medoids(gower(columns), 1) == pytest.approx((row,)) or sums[
        medoids(gower(columns), 1)[0]
    ] == pytest.approx(sums[row])


@given(PEOPLE, st.integers(1, 3))
def test_duplicating_everybody_changes_nothing(people, k):
    assume(k <= len(people))
    columns = table_of(people)
    once, twice = typical_users(columns, k=k), typical_users({n: c + c for n, c in columns.items()}, k=k)
    assert once.medoids == twice.medoids
    assert twice.representativeness[: len(people)] == pytest.approx(once.representativeness, abs=1e-9)
    assert once.mean_distance == pytest.approx(twice.mean_distance, abs=1e-9)


@given(PEOPLE, st.permutations(["age", "spent", "city", "kids", "model"]))
def test_column_order_is_irrelevant(people, order):
    columns = table_of(people)
    shuffled = {name: columns[name] for name in order}
    assert np.array_equal(gower(columns), gower(shuffled))
    assert typical_users(columns).medoids == typical_users(shuffled).medoids


@given(st.lists(st.integers(0, 10), min_size=3, max_size=9), st.integers(100, 10**6))
def test_one_outlier_never_becomes_the_medoid(ages, far):
    assert typical_users({"age": [*ages, far]}).medoids != (len(ages),)


@given(PEOPLE)
def test_strata_are_treated_by_themselves(people):
    columns = table_of(people)
    rest = {name: values for name, values in columns.items() if name not in ("city", "model")}
    found = typical_users(columns, ["city", "model"])
    by_array = typical_users(
        rest, [f"{c}/{m}" for c, m in zip(columns["city"], columns["model"], strict=True)]
    )
    assert sorted(found.medoids) == sorted(by_array.medoids)
    for stratum in found.strata:
        rows = stratum.rows
        alone = typical_users({name: [values[r] for r in rows] for name, values in rest.items()})
        assert stratum.medoids == (rows[alone.medoids[0]],)


@given(st.integers(2, 8), st.integers(1, 4), st.integers(0, 10**6))
def test_medoids_are_the_best_panel(n, k, seed):
    assume(k <= n)
    points = np.random.default_rng(seed).integers(0, 6, (n, 2)).astype(float)
    distances = np.abs(points[:, None] - points).sum(-1)
    found = medoids(distances, k)
    cost = distances[:, found].min(axis=1).sum()
    best = min(distances[:, panel].min(axis=1).sum() for panel in itertools.combinations(range(n), k))
    assert len(set(found)) == k
    assert cost == best


def test_pam_is_a_local_optimum_on_larger_data():
    points = np.random.default_rng(5).normal(size=(120, 2))
    distances = np.sqrt(((points[:, None] - points) ** 2).sum(-1))
    found = list(medoids(distances, 5))
    cost = distances[:, found].min(axis=1).sum()
    for place, row in itertools.product(range(5), range(120)):
        swapped = [*found[:place], row, *found[place + 1 :]]
        assert distances[:, swapped].min(axis=1).sum() >= cost - 1e-6


def test_missing_values_drop_out_of_pairs():
    columns = {"age": [30, None, 50], "city": ["a", "a", None], "km": [1.0, float("nan"), 3.0]}
    with pytest.raises(InvalidValue, match="undefined"):
        gower(columns)
    kept = {"age": [30, None, 50], "city": ["a", "b", "b"]}
    assert gower(kept).tolist() == [[0, 1, 1], [1, 0, 0], [1, 0, 0]]
    found = typical_users(kept)
    assert found.medoids == (1,)
    assert found[1].missing == ("age",)


@given(PEOPLE, st.lists(st.booleans(), min_size=9, max_size=9))
def test_the_quick_means_equal_the_matrix_with_missing_values(people, gone):
    columns = table_of(people)
    columns["age"] = [None if away else age for age, away in zip(columns["age"], gone, strict=False)]
    sums = gower(columns).mean(axis=1)
    found = typical_users(columns).representativeness
    worst = sums.max()
    assert found == pytest.approx(1 - sums / worst if worst else np.ones(len(people)), abs=1e-9)


def test_samples_stay_within_their_bound():
    rng = np.random.default_rng(3)
    columns = {
        "a": rng.random(1_200),
        "b": rng.integers(0, 4, 1_200),
        "c": rng.choice(["x", "y", "z"], 1_200),
    }
    found = typical_users(columns, k=3, seed=4)
    assert found.medoids == typical_users(columns, k=3, seed=4).medoids
    whole = medoids(gower(columns), 3)
    best = gower(columns)[:, whole].min(axis=1).mean()
    assert 0 < found.bound < 0.2
    assert found.mean_distance <= best + 2 * found.bound
    assert found.mean_distance <= best * 1.1
    assert found.coverage(1.0) == 1.0
    assert set(found.differences) == {"a", "b", "c = x", "c = y", "c = z"}


@pytest.mark.parametrize(
    "call",
    [
        lambda: gower({}),
        lambda: gower({"a": []}),
        lambda: gower({"a": [1.0, float("inf")]}),
        lambda: gower({"a": [1, 2]}, weights={"b": 1}),
        lambda: gower({"a": [1, 2]}, weights={"a": 0}),
        lambda: gower({"a": [1, 2]}, weights={"a": -1}),
        lambda: gower({"a": [1, 2]}, weights={"a": True}),
        lambda: gower({"a": [[1], [2]]}),
        lambda: medoids([[0, 1], [2, 0]], 1),
        lambda: medoids([[0, 1]], 1),
        lambda: medoids([[0, float("nan")], [float("nan"), 0]], 1),
        lambda: medoids([[0, 1], [1, 0]], 3),
        lambda: medoids([[0, 1], [1, 0]], 0),
        lambda: medoids([[0, 1], [1, 0]], True),
        lambda: medoids("x", 1),
        lambda: typical_users({"a": [1, 2]}, k=3),
        lambda: typical_users({"a": [1, 2]}, ["x"]),
        lambda: typical_users({"a": [1, 2]}, "a"),
        lambda: typical_users({"a": [1, 2]}, seed=-1),
        lambda: typical_users({"a": [1, 2]}).coverage(-1),
    ],
)
def test_bad_portraits_are_refused(call):
    with pytest.raises(UseropsError):
        call()


# --- complaints ---


@st.composite
def cases(draw, prefix="c"):
    made = []
    for k in range(draw(st.integers(0, 6))):
        received = T0 + DAY * draw(st.integers(0, 20))
        steps = sorted(draw(st.lists(st.integers(0, 30), min_size=4, max_size=4)))
        given_steps = draw(st.lists(st.booleans(), min_size=4, max_size=4))
        at = [
            received + DAY * step if there else None for step, there in zip(steps, given_steps, strict=True)
        ]
        reopened = (
            at[3] + DAY * draw(st.integers(0, 5)) if at[3] is not None and draw(st.booleans()) else None
        )
        made.append(
            Case(
                f"{prefix}{k}",
                draw(st.sampled_from(["ann", "bo", "cy"])),
                draw(st.integers(0, 5) | st.sampled_from([0.1, 2.5])),
                received,
                *at,
                reopened,
                region=draw(st.sampled_from(["east", "west"])),
            )
        )
    return made


LOADS = st.fixed_dictionaries(
    {
        "age_scale_days": st.floats(0.5, 60),
        "gamma": st.floats(0, 3),
        "rho": st.floats(0, 1),
        "half_life_days": st.floats(1, 90),
    }
)


def plain_load(found, as_of, age_scale_days, gamma, rho, half_life_days):
    total = 0.0
    for case in found:
        if case.received_at > as_of:
            continue
        closed = case.closed_at is not None and case.closed_at <= as_of
        if closed and case.reopened_at is not None and case.closed_at <= case.reopened_at <= as_of:
            closed = False
        if closed:
            total += rho * case.severity * 0.5 ** ((as_of - case.closed_at) / DAY / half_life_days)
        else:
            total += case.severity * (1 + (as_of - case.received_at) / DAY / age_scale_days) ** gamma
    return total


@given(cases(), st.integers(0, 60), LOADS)
def test_the_load_is_the_formula_and_its_parts_rebuild_it(found, days, load):
    as_of = T0 + DAY * days
    value = complaint_load(found, as_of, **load)
    assert float(value) == pytest.approx(plain_load(found, as_of, **load), rel=1e-12, abs=1e-12)
    parts = list(value.contributions.values())
    assert sum(parts) == sum(reversed(parts)) == value
    assert set(value.contributions) == {case.id for case in found}


@given(
    cases(),
    st.integers(0, 60),
    LOADS,
    st.floats(0.1, 10),
    st.dictionaries(st.sampled_from(["ann", "bo", "di"]), st.integers(0, 10)),
)
def test_complaining_users_follow_the_definition(found, days, load, threshold, answers):
    as_of = T0 + DAY * days
    result = complaining_users(found, as_of, threshold, answers=answers, **load)
    for member in {case.member for case in found if case.received_at <= as_of} | set(answers):
        mine = [case for case in found if case.member == member and case.received_at <= as_of]
        row = result[member]
        assert row.score == sum(row.contributions.values()) == result.score[member]
        assert row.as_of == as_of
        detractor = answers.get(member, 10) <= 6
        late = any(
            case.is_open(as_of)
            and min(
                (t for t in (case.answered_at, case.accepted_at, case.closed_at) if t), default=as_of + DAY
            )
            > case.received_at + 3 * DAY
            and as_of > case.received_at + 3 * DAY
            for case in mine
        )
        expected = "none"
        if mine and (row.score >= threshold or (detractor and late)):
            expected = "complaining"
        elif detractor and not mine:
            expected = "silent detractor"
        assert row.label == result.label[member] == expected
        assert row.reasons


@given(st.lists(st.floats(0, 1e12), min_size=1, max_size=30), st.randoms())
def test_parts_sum_exactly_in_any_order(values, random):
    parts = list(summable({str(k): v for k, v in enumerate(values)}).values())
    total = sum(parts)
    random.shuffle(parts)
    assert sum(parts) == total
    assert total == pytest.approx(sum(values), rel=1e-14)


def test_plain_floats_would_break_that_law():
    values = [0.1, 0.2, 0.3]
    assert sum(values) != sum(reversed(values))


def test_a_reopened_case_ages_from_its_first_receipt():
    case = Case("c", "ann", 2, T0, closed_at=T0 + 4 * DAY, reopened_at=T0 + 6 * DAY)
    load = {"age_scale_days": 7, "gamma": 1, "rho": 0.5, "half_life_days": 2}
    assert complaint_load([case], T0 + 5 * DAY, **load) == pytest.approx(2 * 0.5 * 0.5**0.5)
    assert complaint_load([case], T0 + 14 * DAY, **load) == 6.0
    assert case.state(T0 + 6 * DAY) is CaseState.REOPENED


def test_case_states_and_moves():
    case = Case("c", "ann", 2, T0)
    case = case.moved(CaseState.ACKNOWLEDGED, T0 + DAY)
    case = case.moved(CaseState.IN_PROGRESS, T0 + DAY, handler="li")
    for k, state in enumerate([CaseState.ANSWERED, CaseState.ACCEPTED, CaseState.CLOSED, CaseState.REOPENED]):
        case = case.moved(state, T0 + (2 + k) * DAY)
        assert case.state(T0 + (2 + k) * DAY) is state
    assert case.state(T0 - DAY) is None
    assert case.state(T0).label(lang="zh") == "已受理"
    for bad in (CaseState.RECEIVED, CaseState.ACKNOWLEDGED):
        with pytest.raises(InvalidValue):
            case.moved(bad, T0 + 9 * DAY)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"received_at": datetime(2027, 1, 1)}, NaiveTimeError),
        ({"severity": -1}, InvalidValue),
        ({"severity": True}, InvalidValue),
        ({"severity": float("nan")}, InvalidValue),
        ({"severity": float("inf")}, InvalidValue),
        ({"severity": "3"}, InvalidValue),
        ({"id": ""}, InvalidValue),
        ({"answered_at": T0 - DAY}, InvalidValue),
        ({"answered_at": T0 + 2 * DAY, "closed_at": T0 + DAY}, InvalidValue),
        ({"reopened_at": T0 + DAY}, InvalidValue),
        ({"compensation": -1}, InvalidValue),
    ],
)
def test_bad_cases_are_refused(fields, error):
    with pytest.raises(error):
        Case(**({"id": "c", "member": "ann", "severity": 1, "received_at": T0} | fields))


@pytest.mark.parametrize(
    "load",
    [
        {"rho": 1.1},
        {"rho": -0.1},
        {"gamma": -1},
        {"gamma": float("nan")},
        {"age_scale_days": 0},
        {"half_life_days": 0},
        {"rho": True},
        {"speed": 1},
    ],
)
def test_bad_loads_are_refused(load):
    with pytest.raises(InvalidValue):
        complaining_users([], T0, 1, **load)


@given(cases(), st.integers(0, 60))
def test_the_loop_counts_what_happened_by_then(found, days):
    as_of = T0 + DAY * days
    loop = ClosedLoop(found, as_of=as_of)
    known = [case for case in found if case.received_at <= as_of]
    assert len(loop.cases) == len(known)
    if not known:
        with pytest.raises(InvalidValue):
            _ = loop.share_closed
        return
    closed = [case for case in known if case.state(as_of) is CaseState.CLOSED]
    assert loop.share_closed == len(closed) / len(known)
    low, high = loop.share_closed.interval
    assert low <= loop.share_closed <= high
    groups = loop.by("region")
    assert sum(len(group.cases) for group in groups.values()) == len(known)
    assert str(groups)
    # Nothing is censored when everything is closed: then the curve is the plain share still open.
    if len(closed) == len(known):
        waited = [(case.closed_at - case.received_at) / DAY for case in known]
        for day in range(0, 40, 3):
            assert loop.time_to_close.survival(day) == pytest.approx(
                sum(w > day for w in waited) / len(waited)
            )


@given(st.lists(st.tuples(st.integers(0, 10), st.booleans()), min_size=1, max_size=12))
def test_kaplan_meier_is_the_product_of_the_steps(rows):
    curve = Survival([float(d) for d, _ in rows], [done for _, done in rows])
    value = 1.0
    for day in range(11):
        risk = sum(d >= day for d, _ in rows)
        ends = sum(d == day and done for d, done in rows)
        value *= 1 - ends / risk if risk else 1
        assert curve.survival(day) == pytest.approx(value)
        low, high = curve.interval(day)
        assert low - 1e-9 <= curve.survival(day) <= high + 1e-9
    assert curve.median is None or curve.survival(curve.median) <= 0.5 + 1e-9


# --- seed users ---

PARTS = ("activity", "fit", "content", "spread", "conversion")


@st.composite
def candidates(draw):
    rows = draw(st.integers(1, 8))

    def listed(values):
        return draw(st.lists(values, min_size=rows, max_size=rows))

    return {
        "kind": listed(st.sampled_from(["owner", "verified fan", "fan"])),
        "active": listed(st.booleans()),
        "nps": listed(st.sampled_from(["promoter", "passive", "detractor", None])),
        "open_severe": listed(st.integers(0, 2)),
        "flagged": listed(st.booleans()),
        **{name: listed(st.integers(0, 5)) for name in PARTS},
    }


@given(candidates())
def test_gates_and_parts_rebuild_the_score(columns):
    found = seed_users(columns, T0)
    for row, explained in enumerate(found):
        passes = (
            columns["kind"][row] != "fan"
            and columns["active"][row]
            and columns["nps"][row] != "detractor"
            and columns["open_severe"][row] == 0
            and not columns["flagged"][row]
        )
        assert found.eligible[row] == passes
        assert sum(explained.contributions.values()) == explained.score == found.score[row]
        assert sum(part[row] for part in found.contributions.values()) == found.score[row]
        if passes:
            expected = sum(
                sum(v < columns[name][row] for v in columns[name]) / len(columns[name]) / 5 for name in PARTS
            )
            assert found.score[row] == pytest.approx(expected)
            assert explained.label == "seed"
        else:
            assert explained.label is None
        assert ("nps" in explained.missing) == (columns["nps"][row] is None)
    assert all(columns["nps"][row] != "detractor" for row in found.top(10))


@given(candidates(), st.data())
def test_more_of_anything_never_lowers_a_score(columns, data):
    row = data.draw(st.integers(0, len(columns["kind"]) - 1))
    name = data.draw(st.sampled_from(PARTS))
    more = {key: list(values) for key, values in columns.items()}
    more[name][row] += data.draw(st.integers(1, 5))
    assert seed_users(more, T0).score[row] >= seed_users(columns, T0).score[row]


GRAPHS = st.dictionaries(st.integers(0, 7), st.sets(st.integers(0, 9), max_size=5), min_size=1, max_size=8)


@given(GRAPHS, st.integers(0, 5))
def test_greedy_is_nested_near_the_best_and_blind_to_self_loops(contacts, k):
    chosen = choose_seeds(contacts, k)
    assert chosen == choose_seeds(contacts, k + 1)[:k]
    assert chosen == choose_seeds({m: {m, *c} for m, c in contacts.items()}, k)
    assert len(chosen) == min(k, len(contacts))
    best = max(coverage(panel, contacts) for panel in itertools.combinations(contacts, len(chosen)))
    assert coverage(chosen, contacts) >= (1 - 1 / np.e) * best - 1e-9
    covered = set()
    for member in chosen:
        gains = {
            m: len({m, *c} - covered) for m, c in contacts.items() if m not in chosen[: chosen.index(member)]
        }
        assert gains[member] == max(gains.values())
        assert member == min(m for m, gain in gains.items() if gain == gains[member])
        covered |= {member, *contacts[member]}


@given(GRAPHS)
def test_duplicate_accounts_add_nothing(contacts):
    doubled = {**{f"a{m}": {f"a{c}" for c in cs} for m, cs in contacts.items()}}
    twins = {f"z{m}": {f"a{c}" for c in cs} for m, cs in contacts.items()}
    pairs = [(f"a{m}", f"z{m}") for m in contacts]
    assert choose_seeds({**doubled, **twins}, 3, same_person=pairs) == choose_seeds(doubled, 3)


def test_quotas_bound_each_group():
    contacts = {"a": ["u", "v", "w"], "b": ["x", "y"], "c": ["z"], "d": []}
    groups = {"a": "Hefei", "b": "Hefei", "c": "Shanghai"}
    assert choose_seeds(contacts, 3, {"Hefei": 1}, groups=groups) == ("a", "c", "d")
    with pytest.raises(InvalidValue):
        choose_seeds(contacts, 3, {"Hefei": 1})


REFERRALS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12)


@given(REFERRALS, st.tuples(st.integers(0, 6), st.integers(0, 6)))
def test_reach_grows_and_ignores_loops_and_duplicates(referrals, extra):
    before, after = verified_reach(referrals), verified_reach([*referrals, extra])
    assert all(after[member] >= reach for member, reach in before.items())
    assert verified_reach([*referrals, *referrals, *((m, m) for m in before)]) == before
    twins = verified_reach(
        [*referrals, *((a, b + 100) for a, b in referrals)], same_person=[(m, m + 100) for m in range(7)]
    )
    assert {m: twins[m] for m in before} == before


# --- identity and community ---

LINKS = st.lists(
    st.tuples(st.sampled_from("abcdefg"), st.sampled_from(["p1", "p2", "v1", "v2", "u1"])), max_size=15
)


@given(LINKS, st.integers(1, 4), st.randoms())
def test_persons_are_the_components(links, limit, random):
    import networkx as nx

    found = resolve(links, limit=limit)
    holders = {i: {a for a, j in links if j == i} for _, i in links}
    graph = nx.Graph()
    graph.add_nodes_from(a for a, _ in links)
    for accounts in holders.values():
        if len(accounts) <= limit:
            graph.add_edges_from(itertools.combinations(accounts, 2))
    for component in nx.connected_components(graph):
        assert {found.person[account] for account in component} == {min(component)}
    assert found.set_aside == tuple(sorted(i for i, accounts in holders.items() if len(accounts) > limit))
    # As many reasons as joins, each of which is one.
    assert len(found.reasons) == graph.number_of_nodes() - nx.number_connected_components(graph)
    for merge in found.reasons:
        assert {(merge.account, merge.identifier), (merge.into, merge.identifier)} <= set(links)
        assert merge.identifier not in repr(merge)
    shuffled = list(links)
    random.shuffle(shuffled)
    again = resolve(shuffled, limit=limit)
    assert (again.person, again.reasons) == (found.person, found.reasons)


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from("xy"), st.integers(0, 20)), min_size=1, max_size=12
    )
)
def test_ties_are_sums_of_meetings(rows):
    attendance = [(m, a, T0 + DAY * d) for m, a, d in rows]
    found = tie_strength(attendance, 7)
    now = max(d for _, _, d in rows)
    came = {}
    for m, a, d in rows:
        came[a, m] = min(d, came.get((a, m), d))
    for one, other in itertools.combinations("abc", 2):
        met = [max(came[a, one], came[a, other]) for a in "xy" if (a, one) in came and (a, other) in came]
        if met:
            tie = found[other, one]
            strength = sum(0.5 ** ((now - d) / 7) for d in met)
            before = sum(0.5 ** ((now - 7 - d) / 7) for d in met if d <= now - 7)
            assert tie.strength == pytest.approx(strength)
            assert tie.growth == pytest.approx(strength - before)
            assert tie.meetings == len(met)
    assert tie_strength(attendance, 7, largest=2).set_aside == tuple(
        a for a in "xy" if len({m for m, b, _ in rows if b == a}) > 2
    )


def test_reach_counts_people_not_followers():
    contacts = {"ann": ["x", "y", "y"], "bo": ["y", "z"]}
    assert circle_reach({"hikers": ["ann", "bo"], "empty": []}, contacts) == {"hikers": 3, "empty": 0}
    assert circle_reach(["ann", "bo"], contacts).followers == 4
