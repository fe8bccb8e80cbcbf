"""Two doors into one forest; its arrays, paths and rings against networkx."""

from datetime import UTC, datetime, timedelta

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from userops.errors import InvalidValue, NaiveTimeError
from userops.referrals import ReferralGraph, ordering
from userops.referrals.forest import Forest
from userops.referrals.ordering import cycle_of

T = datetime(2027, 1, 1, tzinfo=UTC)


@st.composite
def parents(draw, most=60):
    """A forest in any order of members."""
    n = draw(st.integers(0, most))
    shape = draw(st.sampled_from(["any", "path", "star"]))
    links = []
    for k in range(n):
        least = {"any": -1, "path": k - 1, "star": -1}[shape]
        links.append(draw(st.integers(least, 0 if shape == "star" and k else k - 1)) if k else -1)
    order = draw(st.permutations(range(n)))
    found = [-1] * n
    for k, above in enumerate(links):
        found[order[k]] = -1 if above < 0 else order[above]
    return found


def as_networkx(links):
    graph = nx.DiGraph()
    graph.add_nodes_from(range(len(links)))
    graph.add_edges_from((above, k) for k, above in enumerate(links) if above >= 0)
    return graph


@pytest.mark.parametrize("narrow", [0, 3, 48])
@given(links=parents())
def test_the_arrays_agree_with_networkx(links, narrow):
    """With wide levels only, mixed, and narrow levels only."""
    before, ordering.NARROW = ordering.NARROW, narrow
    try:
        graph = ReferralGraph.from_parents(links)
        depth, root, size = graph.depth.tolist(), graph.root.tolist(), graph.subtree_size.tolist()
        weights = np.arange(len(links), dtype=np.float64)
        sums = graph.forest.scatter(graph.forest.up_sweep(weights[graph.forest.order]))
    finally:
        ordering.NARROW = before
    peer = as_networkx(links)
    for k in range(len(links)):
        below = nx.descendants(peer, k) | {k}
        above = nx.ancestors(peer, k)
        assert depth[k] == len(above)
        assert size[k] == len(below)
        assert sums[k] == sum(below)
        assert root[k] == next(n for n in above | {k} if peer.in_degree(n) == 0)
        rings = {}
        for node, distance in nx.single_source_shortest_path_length(peer, k).items():
            rings.setdefault(distance, set()).add(node)
        assert [set(ring) for ring in graph.generations(k)] == [rings[d] for d in range(1, len(rings))]
        assert graph.path(k) == tuple(nx.shortest_path(peer, root[k], k))


@given(st.lists(st.integers(-1, 11), max_size=12))
def test_cycles_are_found_exactly_when_there_are_any(links):
    links = [min(above, len(links) - 1) for above in links]
    peer = as_networkx(links)
    has_cycle = not nx.is_directed_acyclic_graph(peer)
    cycle = cycle_of(np.array(links, dtype=np.int64))
    assert bool(cycle) == has_cycle
    if cycle:
        assert all(
            links[one] == following for one, following in zip(cycle, [*cycle[1:], cycle[0]], strict=True)
        )
        with pytest.raises(InvalidValue, match="cycle"):
            Forest(np.array(links))


def test_a_finished_graph_with_faults_is_an_error_that_names_them():
    cases = [
        ([("a", "a")], "themselves: 'a'"),
        ([("a", "c"), ("b", "c")], "'c' \\(by 'a' and 'b'\\)"),
        ([("a", "b"), ("b", "a")], "circle of 2 members: '[ab]', '[ab]'"),
        ([("a", 1)], "beside 'a' there are 1"),
        ([((1, 2), "b")], "not tuple"),
        ([(True, "b")], "not bool"),
        ([(1.5, 2.5)], "not float"),
    ]
    for edges, words in cases:
        with pytest.raises(InvalidValue, match=words):
            ReferralGraph.from_networkx(nx.DiGraph(edges))
    naive = nx.DiGraph()
    naive.add_edge("ann", "bo", at=datetime(2027, 1, 1))
    with pytest.raises(NaiveTimeError, match="'bo' by 'ann'"):
        ReferralGraph.from_networkx(naive)
    naive.add_edge("ann", "bo", at="2027-01-01")
    with pytest.raises(InvalidValue, match="'bo' by 'ann'"):
        ReferralGraph.from_networkx(naive)
    with pytest.raises(InvalidValue, match="directed"):
        ReferralGraph.from_networkx(nx.Graph([("a", "b")]))
    with pytest.raises(InvalidValue, match="DiGraph"):
        ReferralGraph.from_networkx([("a", "b")])
    twice = nx.MultiDiGraph([("a", "b"), ("a", "b")])
    with pytest.raises(InvalidValue, match="two of"):
        ReferralGraph.from_networkx(twice)


def test_a_cycle_of_fifty_thousand_does_not_exhaust_the_stack():
    n = 50_000
    with pytest.raises(InvalidValue, match=r"circle of 50000 members: .* and 49995 more"):
        ReferralGraph.from_networkx(nx.DiGraph((k, (k + 1) % n) for k in range(n)))


def test_a_graph_is_a_value():
    peer = nx.DiGraph()
    peer.add_node("ann", tags=["owner"], city="Hefei")
    peer.add_edge("ann", "bo", at=T, code="C1", channel="app", note="x")
    graph = ReferralGraph.from_networkx(peer)
    peer.nodes["ann"]["tags"].append("staff")
    peer.add_edge("bo", "cy")
    assert graph.attributes("ann") == {"tags": ["owner"], "city": "Hefei"}
    graph.attributes("ann")["tags"].append("staff")
    assert graph.attributes("ann")["tags"] == ["owner"]
    assert graph.members == ("ann", "bo")
    back = graph.to_networkx()
    assert back.edges["ann", "bo"] == {"at": T, "code": "C1", "channel": "app", "note": "x"}
    assert back.nodes["ann"]["city"] == "Hefei"
    with pytest.raises(ValueError, match="read-only"):
        graph.parent[0] = 1


def test_a_graph_dispatched_to_a_backend_is_read_like_any_other():
    class Elsewhere(nx.DiGraph):
        __networkx_backend__ = "elsewhere"

    graph = ReferralGraph.from_networkx(Elsewhere([("a", "b")]))
    assert graph.path("b") == ("a", "b")


def test_unknown_members_raise_where_an_answer_is_impossible_and_are_unreferred_elsewhere():
    graph = ReferralGraph.from_networkx(nx.DiGraph([("a", "b")]))
    assert graph.referrer("nobody") is None
    assert "nobody" not in graph
    for ask in (graph.path, graph.generations, graph.ripple, graph.attributes):
        with pytest.raises(InvalidValue, match="nobody"):
            ask("nobody")
    with pytest.raises(NaiveTimeError):
        graph.referrer("b", at=datetime(2027, 1, 1))


def test_an_edge_without_a_time_was_always_in_force():
    peer = nx.DiGraph([("a", "b")])
    peer.add_edge("b", "c", at=T)
    graph = ReferralGraph.from_networkx(peer)
    early = T - timedelta(days=9)
    assert graph.referrer("b", at=early) == "a"
    assert graph.referrer("c", at=early) is None
    assert graph.referrers("c", at=T) == ["b", "a"]


def test_columns_of_parents_are_checked():
    for bad in ([5], [-2], [0.5], [[-1]], [0]):
        with pytest.raises(InvalidValue):
            ReferralGraph.from_parents(bad)
    with pytest.raises(InvalidValue, match="named once"):
        ReferralGraph.from_parents([-1, 0], members=["a", "a"])
    with pytest.raises(InvalidValue):
        ReferralGraph.from_parents([-1, 0], at=[1])
    empty = ReferralGraph.from_parents([])
    assert len(empty) == 0
    assert empty.depth.tolist() == []
    assert empty.ripple().size == 0
