"""Tamper evidence: every wallet's entries are a chain of hashes, and the head is the root over all chains.

Members appear in the chains as commitments, HMAC-SHA256(salt, id and generation), so that a chain verifies
after a member's id was erased. The salt is the caller's and is stored nowhere.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs

from userops.core.ids import derived_id
from userops.points import recording
from userops.points.values import Entry

ERASED = "erased:"
_TAGS = {str: "s", int: "i", bytes: "b"}
EMPTY_TIP = bytes(32)
#: Fields of commands and entries that name members, and accounts that do.
_MEMBER_FIELDS = ("member", "to")
_MEMBER_ACCOUNTS = ("wallet:", "debt:")

Name = Callable[[str], str]


def commitment(salt: bytes, member: str, generation: int) -> str:
    """Return what stands for a member in the chains, and in the books once the id is erased.

    >>> commitment(b"", "u1", 0) == commitment(b"", "u1", 1)
    False
    """
    text = derived_id(member, str(generation)).encode()
    return ERASED + hmac.digest(salt, text, "sha256").hex()


def canonical(value: Any) -> bytes:
    """Return the bytes of a text, number, bytes or tuple of them: tagged and length-prefixed.

    >>> canonical(("a", 1)) == canonical(("a1",))
    False
    """
    if isinstance(value, tuple):
        parts = b"".join([canonical(part) for part in value])
        return f"t{len(value)}:{len(parts)}:".encode() + parts
    content = value if isinstance(value, bytes) else str(value).encode()
    return f"{_TAGS[type(value)]}{len(content)}:".encode() + content


def named_command(command: Any, name: Name) -> Any:
    """Return a command with its members renamed; fields that are no members stay."""
    renamed = {
        field: name(value)
        for field in _MEMBER_FIELDS
        if isinstance(value := getattr(command, field, None), str)
    }
    return attrs.evolve(command, **renamed) if renamed else command


def named_account(account: str, name: Name) -> str:
    """Return an account with its member renamed."""
    for prefix in _MEMBER_ACCOUNTS:
        if account.startswith(prefix):
            return prefix + name(account.removeprefix(prefix))
    return account


def named_entry(entry: Entry, name: Name) -> Entry:
    """Return an entry with its members renamed."""
    legs = entry.own_legs
    return entry._replace(
        members=tuple(name(member) for member in entry.members),
        command=named_command(entry.command, name),
        own_legs=legs and tuple((named_account(leg[0], name), *leg[1:]) for leg in legs),
        created=tuple(lot._replace(member=name(lot.member)) for lot in entry.created),
    )


def entry_bytes(entry: Entry, name: Name) -> bytes:
    """Return what a chain covers of an entry: all but its place in the order of recording."""
    return link_bytes(entry.id, recording.write(entry), [name(member) for member in entry.members])


def counted_words(changes: Mapping[str, int]) -> tuple[str, ...]:
    """Return the words of counting done without an entry: they stand in the chain of declarations.

    >>> counted_words({"a": 2})
    ('counted', 'a', '2')
    """
    return ("counted", *(word for name, change in sorted(changes.items()) for word in (name, str(change))))


def link_bytes(id_: str, content: str, commitments: Sequence[str]) -> bytes:
    """Return the bytes of an entry as it is written down, each part preceded by its length.

    >>> link_bytes("ab", "c", ()) == link_bytes("a", "bc", ())
    False
    """
    parts = [text.encode() for text in (id_, content, *commitments)]
    return b"".join([f"{len(part)}:".encode() + part for part in parts])


def extend(tip: bytes, content: bytes) -> bytes:
    """Return the tip of a chain after one more link.

    >>> extend(EMPTY_TIP, b"a") == extend(EMPTY_TIP, b"b")
    False
    """
    return hashlib.sha256(tip + hashlib.sha256(content).digest()).digest()


def tip_of(entries: Iterable[Entry], name: Name, tip: bytes = EMPTY_TIP) -> bytes:
    """Return the tip of a wallet's chain."""
    for entry in entries:
        tip = extend(tip, entry_bytes(entry, name))
    return tip


def root(chains: Iterable[tuple[str, int, bytes]]) -> str:
    """Return the head over all chains: (commitment, length, tip), in order of commitment."""
    return hashlib.sha256(b"".join(canonical(chain) for chain in sorted(chains))).hexdigest()
