"""Writing expiries, each dated at its own instant, and moving them later."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve

from userops.core.calendar import from_micros, micros
from userops.core.commands import Expire, Extend
from userops.core.ids import derived_id
from userops.errors import IdConflict
from userops.points.books import Books
from userops.points.draft import Draft
from userops.points.history import extended_lots
from userops.points.values import EXPIRED, LotState, Receipt, wallet_account
from userops.points.wallet import Wallet


def post_expire(books: Books, command: Expire) -> Receipt:
    """Write the expiries due by the command's instant: one entry per wallet and instant."""
    done = books.sweep(command.id)
    if done is not None:
        return evolve(done[1], replayed=True)
    until = micros(command.at)
    expired: list[tuple[str, int]] = []
    for member in books.due_members(until) if command.member is None else [command.member]:
        for at, lots in sorted(_due(books.due_wallet(member), until).items()):
            # Named by a lot, not by the member: an id outlives the erasure of a member.
            id_ = derived_id(command.id, lots[0][0].id, str(at))
            if books.entry(id_) is not None:
                raise IdConflict(
                    f"an entry {id_!r} exists already, which this expiry would make; give it another id",
                    id=id_, field="id", was="an entry", given="an expiry",
                )  # fmt: skip
            draft = Draft(
                books, evolve(command, id=id_, member=member, at=from_micros(at)), member, command.currency
            )
            for lot, points in lots:
                draft.currency = lot.currency
                draft.write_expired(lot.id, points, points)
            draft.currency = command.currency
            draft.commit()
            expired.extend(draft.expired)
        _forget_lapsed(books, member, until)
    receipt = Receipt(command.id, books.last_sequence(), (), tuple(expired))
    books.changes.sweeps[command.id] = (command, receipt)
    return receipt


def _due(wallet: Wallet, until: int) -> dict[int, list[tuple[LotState, int]]]:
    """Return what expires by `until`: by instant, (lot, points). Points of a lapsed hold expire as it lapses."""
    due: dict[int, list[tuple[LotState, int]]] = {}
    # In an order that no store's own order enters: the chain depends on it.
    holds = sorted(wallet.holds, key=lambda hold: (hold.at, hold.id))
    for lot in wallet.open_lots():
        if lot.ends > until:
            continue
        left = lot.left - lot.written
        for hold in holds:
            reserved = sum(n for lot_id, n in hold.allocations if lot_id == lot.id)
            if not reserved or (hold.expires_at is not None and hold.expires_at <= lot.ends):
                continue
            left -= reserved
            if hold.expires_at is not None and hold.expires_at <= until:
                due.setdefault(hold.expires_at, []).append((lot, reserved))
        if left > 0:
            due.setdefault(lot.ends, []).append((lot, left))
    return due


def _forget_lapsed(books: Books, member: str, until: int) -> None:
    """Drop the holds that nothing reads from the running state any more: before `latest` the entries tell."""
    wallet = books.wallet(member)
    past = min(until, wallet.latest)
    live = tuple(hold for hold in wallet.holds if hold.expires_at is None or hold.expires_at > past)
    if len(live) < len(wallet.holds):
        books.changes.wallets[member] = wallet._replace(holds=live)


def post_extend(books: Books, command: Extend) -> Receipt:
    """Move the expiry of living lots later; an entry without a list of them, however many they are."""
    draft = Draft(books, command, command.member, command.currency)
    lots: Iterable[LotState] = books.wallet_lots(command.member, draft.at)
    if draft.at < draft.wallet().latest:
        lots = books.history(command.member).there(draft.at)
    for lot in extended_lots(lots, command):
        draft.leg(EXPIRED, -lot.written, lot.id)
        draft.leg(wallet_account(command.member), lot.written, lot.id)
        draft.keep(lot.with_left(lot.left, 0))
    return draft.commit()
