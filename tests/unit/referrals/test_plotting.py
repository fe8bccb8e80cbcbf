"""Pictures return Axes that show every member and generation; names may be Chinese."""

import sys

import pytest

from userops.errors import InvalidValue, MissingExtraError
from userops.referrals import ReferralGraph, plotting

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")


@pytest.fixture
def graph():
    return ReferralGraph.from_parents(
        [-1, 0, 0, 1, 1, 2, 3], members=["ann", "bo", "cy", "dee", "eve", "fay", "gus"]
    )


def test_a_tree_shows_each_member_amid_its_invitees(graph):
    from matplotlib import pyplot as plt

    axes = graph.plot_tree("ann")
    assert {text.get_text() for text in axes.texts} == set(graph.members)
    assert len(axes.lines) == 6
    at = {text.get_text(): text.xy for text in axes.texts}
    assert at["bo"][0] == (at["dee"][0] + at["eve"][0]) / 2
    assert at["gus"][1] == -3
    assert len({tuple(xy) for xy in at.values()}) == 7
    plt.close("all")


def test_a_branch_and_a_given_axes(graph):
    from matplotlib import pyplot as plt

    _, axes = plt.subplots()
    assert graph.plot_tree("bo", ax=axes) is axes
    assert "4 members below bo" in axes.get_title()
    with pytest.raises(InvalidValue, match="more than `most`"):
        graph.plot_tree("ann", most=3)
    plt.close("all")


def test_generations_are_bars_of_their_counts(graph):
    from matplotlib import pyplot as plt

    axes = graph.ripple().plot()
    assert [bar.get_height() for bar in axes.patches] == [1, 2, 3, 1]
    plt.close("all")


def test_a_deep_tree_needs_no_recursion():
    from matplotlib import pyplot as plt

    n = 1_500
    graph = ReferralGraph.from_parents(range(-1, n - 1))
    across = plotting._places_across([[k] for k in range(n)], graph.parent)
    assert set(across.values()) == {0.0}
    plt.close("all")


def test_chinese_names_are_written_in_a_font_that_has_them(monkeypatch):
    from matplotlib import pyplot as plt

    from userops.core import fonts

    chinese = ReferralGraph.from_parents([-1, 0, 0], members=["王芳", "李伟", "ann"])
    monkeypatch.setattr(fonts, "_chinese_font", lambda: "DejaVu Serif")
    assert {text.get_fontfamily()[0] for text in chinese.plot_tree("王芳").texts} == {"DejaVu Serif"}
    monkeypatch.setattr(fonts, "_chinese_font", lambda: None)
    with pytest.warns(UserWarning, match="fonts-noto-cjk"):
        chinese.plot_tree("王芳")
    plt.close("all")


def test_without_matplotlib_the_extra_is_named(graph, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(MissingExtraError, match=r"userops\[plot\]"):
        graph.plot_tree("ann")
