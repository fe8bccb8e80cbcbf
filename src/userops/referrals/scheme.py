"""Schemes: terms with the verbs that apply them: credit conversions, and prove what they can cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import frozen

from userops.core.quantities import listed, of_kind
from userops.errors import InvalidValue
from userops.referrals.certificate import Certificate, certify
from userops.referrals.crediting import Crediting, credit, credit_each
from userops.referrals.credits import Credits
from userops.referrals.graph import ReferralGraph
from userops.referrals.terms import Conversion, Terms


@frozen(kw_only=True)
class Scheme(Terms):
    """Who is credited for what: a pot per milestone, divided over levels, dealer and agent.

    >>> from fractions import Fraction
    >>> from userops.referrals.terms import Levels
    >>> Scheme(milestones={"delivery": 12_000}, levels=Levels.geometric(ratio=Fraction(1, 2), depth=2)
    ...        ).certificate().identity_cost
    8000
    """

    def credit(self, graph: ReferralGraph, conversions: Iterable[Conversion]) -> Credits:
        """Return a line for every payout and refusal; the credits never sum to more than the pots.

        >>> import networkx as nx
        >>> from datetime import UTC, datetime
        >>> graph = ReferralGraph.from_networkx(nx.DiGraph([("ann", "bo")]))
        >>> order = Conversion("o1", "bo", "delivery", datetime(2027, 1, 5, tzinfo=UTC))
        >>> Scheme(milestones={"delivery": 12_000}).credit(graph, [order, order]).total
        12000
        """
        return credit(self, graph, conversions)

    def certificate(self) -> Certificate:
        """Return what the rules alone prove: the most a conversion costs, and what fake identities gain."""
        return certify(self)


def credit_all(schemes: Sequence[Scheme], graph: ReferralGraph, conversions: Iterable[Conversion]) -> Credits:
    """Credit each conversion by the scheme whose `eligible` holds for its direct referrer.

    For classes of referrers (owner, employee, broker, store): an overlap, a member for whom two schemes
    hold, is an error, and so are two schemes of one name.
    """
    engines: dict[str, Crediting] = {}
    for one in listed(schemes, "schemes"):
        scheme = of_kind(one, Scheme, "a scheme")
        if scheme.name in engines:
            raise InvalidValue(f"two schemes are named {scheme.name!r}: their credits would share ids")
        engines[scheme.name] = Crediting(scheme, graph)
    if not engines:
        raise InvalidValue("credit_all needs at least one scheme")
    _refuse_overlap(engines, graph)

    def choose(conversion: Conversion) -> str:
        referrer = graph.referrer(conversion.member, at=conversion.at)
        holding = (
            [] if referrer is None else [name for name, one in engines.items() if one.is_eligible(referrer)]
        )
        return holding[0] if holding else next(iter(engines))

    return credit_each(engines, conversions, choose)


def _refuse_overlap(engines: dict[str, Crediting], graph: ReferralGraph) -> None:
    for member in graph.members:
        holding = [name for name, one in engines.items() if one.is_eligible(member)]
        if len(holding) > 1:
            raise InvalidValue(
                f"the schemes {holding[0]!r} and {holding[1]!r} overlap: both pay the referrer {member!r}"
            )
