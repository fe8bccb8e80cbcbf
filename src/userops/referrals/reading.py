"""Reading the `[referral]` table of a program file into a binding and a scheme, faults with their paths."""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction
from functools import partial
from typing import Any

from userops.core.calendar import PERIODS
from userops.core.caps import SCOPES, Cap
from userops.core.commands import Clawback
from userops.core.conditions import Condition
from userops.core.expiry import Expiry
from userops.core.files import Section, exact_number
from userops.core.ids import MAX_NAME_BYTES, identifier
from userops.errors import InvalidValue
from userops.referrals.invitations import MAX_DAYS, Binding, Touch
from userops.referrals.scheme import Scheme
from userops.referrals.terms import MAX_DEPTH, MAX_VEST_DAYS, Levels, Split, Vest

_EXPIRY_KEYS = ("months", "days", "years", "calendar", "round_to")
_name = partial(identifier, name="it", most=MAX_NAME_BYTES)


def read_referral(
    section: Section,
    *,
    timezone: str = "UTC",
    funds: Collection[str] | None = None,
    currencies: Collection[str] | None = None,
) -> tuple[Binding, Scheme] | None:
    r"""Read the fields of `Binding` and `Scheme` by name; None after noting faults.

    With `funds` and `currencies`, those of the program, others are faults. Shares are numbers, or decimals in
    quotes; `levels` is a list of them, or `{ ratio = "0.5", depth = 2 }`.

    >>> from userops.core.files import load, parse
    >>> text = '[referral]\nmilestones = { "order.delivered" = 12_000 }\nlevels = ["0.75", "0.25"]'
    >>> def build(root):
    ...     return read_referral(root.section("referral"))
    >>> load(parse(text, what="program"), build, what="program")[1].levels.shares
    (Fraction(3, 4), Fraction(1, 4))
    """
    binding = _read_binding(section)
    milestones = _read_milestones(section)
    levels, split, vest = _read_levels(section), _read_split(section), _read_vest(section)
    caps, expires = _read_caps(section), _read_expires(section)
    eligible = section.value("eligible", Condition.from_toml, None)
    clawback = section.choice("clawback", {policy.value: policy for policy in Clawback}, Clawback.DEBT)
    name = section.value("name", _name, "referral")
    fund = _one_of(section, "fund", "referral", funds)
    currency = _one_of(section, "currency", "points", currencies)
    section.finish()

    def make() -> tuple[Binding, Scheme]:
        return binding or Binding(), Scheme(
            name=name,
            milestones=milestones,
            levels=levels or Levels.single(),
            split=split,
            caps=caps,
            vest=vest,
            eligible=eligible,
            fund=fund,
            currency=currency,
            expires=expires,
            clawback=clawback,
            timezone=timezone,
        )

    return section.build(make)


def _one_of(section: Section, key: str, default: str, known: Collection[str] | None) -> str:
    if known is None:
        return section.name(key, default)
    if key not in section and default not in known:
        section.fault(key, f"{default!r} is meant, and the program has none of that name")
    return section.choice(key, {word: word for word in known}, default)


def _read_binding(section: Section) -> Binding | None:
    inner = section.section("binding")
    if inner is None:
        return None
    usual = Binding()
    window = inner.whole("window_days", usual.window_days, at_least=1, at_most=MAX_DAYS)
    locked = inner.whole("locked_days", usual.locked_days, at_most=MAX_DAYS)
    cap = inner.whole("cap", None)
    touch = inner.choice("touch", {one.value: one for one in Touch}, usual.touch)
    inner.finish()
    return inner.build(lambda: Binding(window_days=window, locked_days=locked, cap=cap, touch=touch))


def _read_milestones(section: Section) -> dict[str, int]:
    inner = section.section("milestones")
    if inner is None:
        if "milestones" not in section:
            section.fault("milestones", "is missing: name at least one milestone and its pot")
        return {}
    if not list(inner):
        inner.fault(None, "names no milestone")
    return {name: inner.whole(name) for name in inner}


def _read_levels(section: Section) -> Levels | None:
    reason = section.value("depth_accepted", lambda value: identifier(value, "it"), "")
    given = section.raw("levels")
    if isinstance(given, dict):
        inner = section.section("levels")
        if inner is None:
            return None
        ratio = inner.exact("ratio")
        depth = inner.whole("depth", at_least=1, at_most=MAX_DEPTH)
        inner.finish()
        return inner.build(lambda: Levels.geometric(ratio=ratio, depth=depth, depth_accepted=reason))

    def convert(value: Any) -> Levels:
        if not isinstance(value, list):
            raise InvalidValue('must be a list of shares such as ["0.75", "0.25"]')
        return Levels.table([exact_number(share) for share in value], depth_accepted=reason)

    return section.value("levels", convert, None)


def _read_split(section: Section) -> Split | None:
    inner = section.section("split")
    if inner is None:
        return None
    shares = {role: inner.exact(role, Fraction(0)) for role in ("dealer", "agent")}
    inner.finish()
    return inner.build(lambda: Split(**shares))


def _read_vest(section: Section) -> Vest | None:
    inner = section.section("vest")
    if inner is None:
        return None
    days = inner.whole("days", at_most=MAX_VEST_DAYS)
    after = inner.value("after", _name, "")
    inner.finish()
    return inner.build(lambda: Vest(days, after))


def _read_caps(section: Section) -> tuple[Cap, ...]:
    caps = []
    for part in section.sections("caps"):
        times, points = part.whole("times", None), part.whole("points", None)
        per = part.choice("per", {word: word for word in (*PERIODS, "reference")}, "lifetime")
        scope = part.choice("scope", {word: word for word in SCOPES}, "member")
        part.finish()
        cap = part.build(partial(Cap, times=times, points=points, per=per, scope=scope))
        if cap is not None:
            caps.append(cap)
    return tuple(caps)


def _read_expires(section: Section) -> Expiry | None:
    if section.raw("expires") in (None, "none"):
        return None
    inner = section.section("expires")
    if inner is None:
        return None
    given = {key: inner.raw(key) for key in _EXPIRY_KEYS if key in inner}
    inner.finish(_EXPIRY_KEYS)
    return inner.build(lambda: Expiry(**given))
