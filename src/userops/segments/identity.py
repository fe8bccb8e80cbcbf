"""Identity: which accounts are one person, by identifiers they share; and which identifiers prove nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import field, frozen

from userops.core.amounts import whole
from userops.core.columns import columns as taken_columns
from userops.core.components import representatives
from userops.core.ids import identifier as checked_id
from userops.core.quantities import is_table, tuples
from userops.core.tables import Table
from userops.errors import InvalidValue


@frozen
class Merge:
    """Two accounts found to be one person, and the identifier that both have."""

    account: str
    into: str
    #: Personal as a rule (a phone, a VIN): kept out of representations.
    identifier: str = field(repr=False)

    @property
    def why(self) -> str:
        """The reason in words."""
        return f"{self.account} and {self.into} share {self.identifier}"

    def __str__(self) -> str:
        return self.why


@frozen(eq=False)
class Identities:
    """Who is who: `.person` by account, `.reasons` of the merges, `.set_aside` identifiers."""

    person: Mapping[str, str]
    reasons: tuple[Merge, ...]
    set_aside: tuple[str, ...] = field(repr=False)
    limit: int

    @property
    def persons(self) -> dict[str, tuple[str, ...]]:
        """The accounts of every person, under the smallest of them."""
        found: dict[str, list[str]] = {}
        for account in sorted(self.person):
            found.setdefault(self.person[account], []).append(account)
        return {person: tuple(accounts) for person, accounts in sorted(found.items())}

    def why(self, account: str) -> tuple[Merge, ...]:
        """Return the merges that made this account's person."""
        if account not in self.person:
            raise InvalidValue("no such account among the links")
        mine = self.person[account]
        return tuple(merge for merge in self.reasons if self.person[merge.account] == mine)

    def table(self) -> Table:
        """Return the sizes: accounts, persons, merges, identifiers set aside."""
        sizes = [len(accounts) for accounts in self.persons.values()]
        return Table(
            {
                "": [
                    "accounts",
                    "persons",
                    "with several accounts",
                    "most accounts",
                    "identifiers set aside",
                ],
                "number": [
                    len(self.person),
                    len(sizes),
                    sum(size > 1 for size in sizes),
                    max(sizes, default=0),
                    len(self.set_aside),
                ],
            },
            notes=(f"an identifier of more than {self.limit} accounts joins nobody",),
        )

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def resolve(links: Any, limit: int = 5) -> Identities:
    """Return which accounts are one person, from pairs (account, identifier) or columns of these names.

    Accounts that share an identifier (phone, union id, VIN) are one person, and so are those joined through
    others; the smallest account stands for the person. An identifier that more than `limit` accounts have (a
    dealer's phone, a placeholder) is set aside and listed, and joins nobody. Write the kind into the
    identifier, as in "phone:138…", so that equal numbers of different kinds stay apart. The order of the
    links is irrelevant.

    >>> found = resolve([("app-1", "phone:1"), ("mini-7", "phone:1"), ("mini-7", "vin:A"), ("dms-3", "vin:A")], limit=3)
    >>> found.person["mini-7"], [str(merge) for merge in found.reasons]
    ('app-1', ['app-1 and mini-7 share phone:1', 'dms-3 and mini-7 share vin:A'])
    """
    most = whole(limit, "limit", at_least=1)
    holders: dict[str, set[str]] = {}
    accounts: set[str] = set()
    for account, shared in _pairs(links):
        accounts.add(account)
        holders.setdefault(shared, set()).add(account)
    set_aside = tuple(sorted(shared for shared, found in holders.items() if len(found) > most))
    pairs: list[tuple[str, str, str]] = []
    for shared in sorted(holders):
        found = sorted(holders[shared])
        if 1 < len(found) <= most:
            pairs.extend((found[0], other, shared) for other in found[1:])
    person = representatives((first, second) for first, second, _ in pairs)
    return Identities(
        {account: person.get(account, account) for account in sorted(accounts)},
        tuple(_forest(pairs)),
        set_aside,
        most,
    )


def _forest(pairs: list[tuple[str, str, str]]) -> Iterable[Merge]:
    """Yield one merge for each account that joined a person: enough to explain every person, and no more."""
    parent: dict[str, str] = {}

    def root(account: str) -> str:
        top = account
        while parent.setdefault(top, top) != top:
            top = parent[top]
        while parent[account] != top:
            parent[account], account = top, parent[account]
        return top

    for first, second, shared in pairs:
        one, other = root(first), root(second)
        if one != other:
            parent[max(one, other)] = min(one, other)
            yield Merge(first, second, shared)


def _pairs(links: Any) -> Iterable[tuple[str, str]]:
    names = ("account", "identifier")
    if is_table(links):
        taken = taken_columns(links, names=names)
        rows: Iterable[Any] = zip(*(taken[name].tolist() for name in names), strict=True)
    else:
        rows = tuples(links, names, "links")
    for account, shared in rows:
        yield checked_id(account, "account"), checked_id(shared, "identifier")
