"""Hypothesis strategies drawn from a program: what its members do, and what is known of them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING, Any

from userops.core.amounts import whole
from userops.core.events import Event
from userops.errors import InvalidValue, MissingExtraError
from userops.program import Program
from userops.testing.checking import MEMBERS, MOST_EVENTS
from userops.testing.drawing import Choose, Scene, Step, draw_member, draw_step, events_of
from userops.testing.vocabulary import Vocabulary

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy


def events(
    program: Program,
    *,
    members: Collection[str] = MEMBERS,
    start: datetime | None = None,
    end: datetime | None = None,
    max_size: int = MOST_EVENTS,
) -> SearchStrategy[list[Event]]:
    r"""Return a strategy of histories: lists of events as the rules may hear them, within `[start, end)`.

    Drawn as `check_program` draws them; what cancels follows what it cancels, some events come late or twice.

    >>> from hypothesis import find, settings
    >>> program = Program.load('schema = 1\nname = "club"\n')
    >>> len(find(events(program, members=["u1"], max_size=3), bool, settings=settings(database=None)))
    1
    """
    scene, most = _scene(program, members, start, end), whole(max_size, "max_size", at_least=0)
    st = _hypothesis()

    @st.composite  # type: ignore[untyped-decorator, unused-ignore]
    def step(draw: Any, part: Scene) -> Step:
        return draw_step(_chooser(draw), part)

    @st.composite  # type: ignore[untyped-decorator, unused-ignore]
    def history(draw: Any) -> list[Event]:
        choose = _chooser(draw)
        part = scene.part(choose)
        return events_of(draw(st.lists(step(part), max_size=most)), choose(scene.anchors), scene)[:most]

    return history()  # type: ignore[no-any-return]


def members(
    program: Program, *, names: Collection[str] = MEMBERS
) -> SearchStrategy[dict[str, dict[str, Any]]]:
    r"""Return a strategy of what is known of members: {id: record} with the fields that the rules read.

    >>> from hypothesis import find, settings
    >>> program = Program.load('schema = 1\nname = "club"\n')
    >>> find(members(program, names=["u1"]), lambda known: True, settings=settings(database=None))
    {'u1': {}}
    """
    scene = _scene(program, names, None, None)
    st = _hypothesis()

    @st.composite  # type: ignore[untyped-decorator, unused-ignore]
    def record(draw: Any) -> dict[str, Any]:
        return draw_member(_chooser(draw), scene)

    return st.fixed_dictionaries({name: record() for name in scene.members})  # type: ignore[no-any-return]


def _scene(program: Program, names: Collection[str], start: datetime | None, end: datetime | None) -> Scene:
    if not isinstance(program, Program):
        raise InvalidValue(f"a Program was expected, not {type(program).__name__}")
    return Scene.of(Vocabulary.of(program), names, start, end)


def _chooser(draw: Any) -> Choose:
    st = _hypothesis()
    return lambda options: draw(st.sampled_from(options))


def _hypothesis() -> Any:
    try:
        from hypothesis import strategies
    except ModuleNotFoundError:
        raise MissingExtraError(
            "strategies need the extra 'testing': pip install 'userops[testing]'"
        ) from None
    return strategies
