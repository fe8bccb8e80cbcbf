"""Components: which of many things belong together, from pairs of them; accounts of one person."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from userops.core.quantities import hashable, listed
from userops.errors import InvalidValue

Node = TypeVar("Node", bound=Hashable)


def representatives(pairs: Iterable[tuple[Node, Node]]) -> dict[Node, Node]:
    """Return, for every node of the pairs, the smallest node of its component.

    Nodes need an order, and each must equal itself (NaN does not, and would have no root); those that no pair
    names stand for themselves and are not listed.

    >>> representatives([("c", "b"), ("b", "a"), ("x", "y")])
    {'c': 'a', 'b': 'a', 'a': 'a', 'x': 'x', 'y': 'x'}
    """
    parent: dict[Node, Node] = {}

    def root(node: Node) -> Node:
        top = node
        while parent[top] != top:
            top = parent[top]
        while parent[node] != top:
            parent[node], node = top, parent[node]
        return top

    for pair in pairs if isinstance(pairs, Iterator) else listed(pairs, "pairs of accounts"):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise InvalidValue("accounts of one person are given as pairs")
        first, second = (hashable(node, "an account") for node in pair)
        parent.setdefault(first, first)
        parent.setdefault(second, second)
        one, other = root(first), root(second)
        if one != other:
            try:
                smaller, larger = (one, other) if one < other else (other, one)  # type: ignore[operator]
            except TypeError:
                raise InvalidValue("accounts must be of one kind that has an order") from None
            parent[larger] = smaller
    return {node: root(node) for node in parent}


def component_codes(nodes: int, first: NDArray[np.integer], second: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the smallest node of each node's component, for nodes 0 to `nodes` - 1 and edges as two columns.

    Labels are lowered along edges and then along themselves until nothing changes, in a logarithmic number
    of passes for all but adversarial orders (Shiloach and Vishkin's hooking and jumping).

    >>> component_codes(5, np.array([4, 3]), np.array([3, 1])).tolist()
    [0, 1, 2, 1, 1]
    """
    one, other = np.asarray(first, dtype=np.int64), np.asarray(second, dtype=np.int64)
    if one.shape != other.shape or one.ndim != 1:
        raise InvalidValue("edges are two columns of equal length")
    if one.size and (min(one.min(), other.min()) < 0 or max(one.max(), other.max()) >= nodes):
        raise InvalidValue(f"edges name nodes outside 0 to {nodes - 1}")
    label = np.arange(nodes, dtype=np.int64)
    while True:
        low = np.minimum(label[one], label[other])
        before = label.copy()
        # Hook the roots, not only the nodes: the whole tree moves at once.
        np.minimum.at(label, before[one], low)
        np.minimum.at(label, before[other], low)
        while True:
            jumped = label[label]
            if np.array_equal(jumped, label):
                break
            label = jumped
        if np.array_equal(label, before):
            return label
