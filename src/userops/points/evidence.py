"""Evidence over a store: who stands in the chains under which name, the heads, and the audit against one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache, partial

from attrs import frozen

from userops.points import auditing, chain
from userops.points.books import Store
from userops.points.chain import Name
from userops.points.values import Currency, Finding, Fund

#: The (commitment, length, tip) of wallets' chains.
Tips = Iterable[tuple[str, int, bytes]]


@frozen(repr=False)
class Naming:
    """How members are named in the chains of one ledger; the salt is the caller's and is said nowhere."""

    _salt: bytes

    def generations(self, store: Store, member: str) -> list[str]:
        """Return the names under which erased wallets of this id stand."""
        names: list[str] = []
        while True:
            name = chain.commitment(self._salt, member, len(names))
            if store.wallet(name) is None:
                return names
            names.append(name)

    def name(self, store: Store, member: str) -> str:
        """Return the commitment that stands for a member's present wallet, or stands there already."""
        if member.startswith(chain.ERASED):
            return member
        return chain.commitment(self._salt, member, len(self.generations(store, member)))

    def names(self, store: Store) -> Name:
        """Return what names members, each looked up once."""
        return cache(partial(self.name, store))


def declared_words(what: Currency | Fund) -> tuple[str, ...]:
    """Return the words of a declaration: they stand in the chain of declarations.

    >>> declared_words(Currency("points"))
    ('currency', 'points', 'True')
    """
    if isinstance(what, Currency):
        return ("currency", what.name, str(what.spendable))
    budget = ("", "") if what.budget is None else (str(what.budget.points), what.budget.per)
    return ("fund", what.name, str(what.unit_cost), what.kind, what.timezone, *budget)


def heads(store: Store, naming: Naming, known_at: int, tips: Tips | None = None) -> list[str]:
    """Return the heads that the ledger had while `known_at` was the last sequence, in order.

    Chains are made again from the entries, unless their tips are given.
    """
    chains = list(_tips(store, naming, known_at) if tips is None else tips)
    found, tip = [chain.root([*chains, ("declarations", 0, chain.EMPTY_TIP)])], chain.EMPTY_TIP
    for count, (after, words) in enumerate(store.declarations, start=1):
        if after > known_at:
            break
        tip = chain.extend(tip, chain.canonical(words))
        if after < known_at:
            found.clear()
        found.append(chain.root([*chains, ("declarations", count, tip)]))
    return found


def _tips(store: Store, naming: Naming, known_at: int) -> Iterator[tuple[str, int, bytes]]:
    name = naming.names(store)
    for member in store.members():
        entries = [entry for entry in store.entries(member) if entry.sequence <= known_at]
        if entries:
            yield name(member), len(entries), chain.tip_of(entries, name)


def audit(store: Store, naming: Naming, settled: int, known_at: int, head: str | None) -> tuple[Finding, ...]:
    """Return what is wrong with the rows, or with the books, or with them beside a head that was kept."""
    findings = list(store.findings(naming.names(store)))
    if findings:  # Rows that are not what was written need not even make sense.
        return tuple(findings)
    findings += auditing.audit(store)
    if head is not None and known_at > settled:
        findings.append(Finding("truncated", "", f"{known_at} entries were known, {settled} are there"))
    elif head is not None and head not in heads(store, naming, known_at):
        findings.append(Finding("head", "", "the entries known then are not the ones here now"))
    return tuple(findings)
