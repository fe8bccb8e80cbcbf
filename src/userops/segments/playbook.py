"""Playbook: what to do for whom: one treatment per label, and one label per member when they must be chosen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from attrs import field, frozen

from userops.core.ids import identifier, text
from userops.core.quantities import choice, hashable, listed
from userops.core.tables import Table
from userops.errors import InvalidValue
from userops.segments.labelling import Label

#: Labels are not exclusive; for outreach, a problem comes before a request, and a request before a portrait.
PRECEDENCE: Final = ("complaining", "seed", "typical")
TREATMENTS: Final = ("heavy", "normal", "light")


def outreach(labels: Iterable[Any]) -> Label | None:
    """Return the label to approach a member by: complaining before seed before typical; None without any.

    >>> outreach(["typical", "complaining"])
    'complaining'
    """
    found = (
        {labels}
        if isinstance(labels, str)
        else set(labels)
        if isinstance(labels, set | frozenset | Mapping)
        else {hashable(label, "a label") for label in listed(labels, "labels")}
    )
    return next((Label(name) for name in PRECEDENCE if name in found), None)


@frozen
class Action:
    """What is done for members of a label, and how much of it: heavy, normal or light operation."""

    treatment: str
    what: str = ""

    def __attrs_post_init__(self) -> None:
        """Refuse an unknown treatment."""
        choice(self.treatment, TREATMENTS, "a treatment")
        object.__setattr__(self, "what", text(self.what, "what"))

    def label(self, lang: str = "en") -> str:
        """Return the name of the treatment in a language."""
        return Label(self.treatment)(lang=lang)


def _actions(given: Any) -> dict[str, Action]:
    if not isinstance(given, Mapping) or not given:
        raise InvalidValue("a playbook maps labels to actions")
    return {identifier(label, "a label"): _action(action) for label, action in given.items()}


def _action(given: Any) -> Action:
    if isinstance(given, Action):
        return given
    if isinstance(given, str):
        return Action(given) if given in TREATMENTS else Action("normal", given)
    if isinstance(given, tuple) and 1 <= len(given) <= 2:
        return Action(*given)
    raise InvalidValue("an action is a treatment, a text, (treatment, text) or an Action")


@frozen
class Playbook:
    """The treatment of every label.

    An action is a treatment ("heavy", "normal", "light"), a text (treated normally), a pair of both, or an
    `Action`.

    >>> book = Playbook({"complaining": ("heavy", "call within a day"), "typical": "light"})
    >>> book.action(["typical", "complaining"]).what
    'call within a day'
    """

    actions: Mapping[str, Action] = field(converter=_actions, hash=False)

    def __getitem__(self, label: str) -> Action:
        return self.actions[label]

    def action(self, labels: Any) -> Action | None:
        """Return the action for a member's labels: one label, or several, of which precedence picks.

        Labels outside the precedence come after it, in the playbook's order. None where none has an action.
        """
        found = (
            {labels} if isinstance(labels, str) else {label for label in labels or () if label is not None}
        )
        order = [*(name for name in PRECEDENCE if name in self.actions), *self.actions]
        return next((self.actions[name] for name in order if name in found), None)

    def attach(self, labels: Mapping[Any, Any]) -> dict[Any, Action | None]:
        """Return the action of every member, from {member: label or labels}.

        >>> Playbook({"seed": "normal"}).attach({"ann": "seed", "bo": None})
        {'ann': Action(treatment='normal', what=''), 'bo': None}
        """
        return {member: self.action(found) for member, found in labels.items()}

    def table(self) -> Table:
        """Return the actions."""
        return Table(
            {
                "label": list(self.actions),
                "treatment": [action.treatment for action in self.actions.values()],
                "action": [action.what for action in self.actions.values()],
            }
        )

    def __str__(self) -> str:
        return str(self.table())
