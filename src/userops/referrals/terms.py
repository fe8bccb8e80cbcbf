"""Terms: what a scheme pays to whom, as values; shares are exact and never sum to more than the pot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, tzinfo
from fractions import Fraction
from functools import partial
from typing import Any

from attrs import field, fields, frozen

from userops.core import amounts
from userops.core.calendar import instant, zone
from userops.core.caps import Cap
from userops.core.commands import Clawback
from userops.core.conditions import Condition
from userops.core.expiry import Expiry
from userops.core.fields import checked
from userops.core.ids import MAX_EVENT_ID_BYTES, MAX_ID_BYTES, MAX_NAME_BYTES, identifier, text
from userops.core.quantities import listed, of_kind, shown
from userops.errors import InvalidValue

#: Levels beyond this need a reason in writing; none may exceed the second.
FREE_DEPTH, MAX_DEPTH = 2, 64
MAX_VEST_DAYS = 36_525

_name = partial(identifier, most=MAX_NAME_BYTES)
_dealer = partial(text, most=MAX_ID_BYTES)


def share(value: Any, name: str = "share") -> Fraction:
    """Return an exact share between 0 and 1; floats are refused.

    >>> share(0.25)
    Traceback (most recent call last):
    userops.errors.InvalidValue: share must be exact (int, Decimal or Fraction), not float
    """
    found = amounts.exact(value, name)
    if not 0 <= found <= 1:
        raise InvalidValue(f"{name} must lie between 0 and 1, not be {found}")
    return found


def _shares(value: Any, name: str) -> tuple[Fraction, ...]:
    found = tuple(share(one, f"{name}[{place}]") for place, one in enumerate(listed(value, name)))
    if not 1 <= len(found) <= MAX_DEPTH:
        raise InvalidValue(f"{name} must have 1 to {MAX_DEPTH} levels")
    if sum(found) > 1:
        raise InvalidValue(f"{name} sum to {sum(found)}, which is more than the pot")
    return found


@frozen(field_transformer=checked({"shares": _shares, "depth_accepted": text}))
class Levels:
    """The share of the pot that each level above the buyer gets, the direct referrer first.

    More than two levels need `depth_accepted`, a reason in writing: pay by downline is restricted by law in
    China, among others.

    >>> Levels.geometric(ratio=Fraction(1, 2), depth=2).shares
    (Fraction(2, 3), Fraction(1, 3))
    """

    shares: tuple[Fraction, ...] = (Fraction(1),)
    depth_accepted: str = ""

    def __attrs_post_init__(self) -> None:
        """Refuse depth without a reason."""
        if len(self.shares) > FREE_DEPTH and not self.depth_accepted.strip():
            raise InvalidValue(
                f"{len(self.shares)} levels: pay by downline is restricted by law in China, among others; "
                f"keep to {FREE_DEPTH}, or give the reason in depth_accepted"
            )

    @staticmethod
    def single() -> Levels:
        """Give the whole to the direct referrer."""
        return Levels()

    @staticmethod
    def table(shares: Iterable[Any], *, depth_accepted: str = "") -> Levels:
        """Give each level its own share of the pot; together at most the pot."""
        return Levels(shares, depth_accepted)  # type: ignore[arg-type]

    @staticmethod
    def geometric(*, ratio: Any, depth: int, depth_accepted: str = "") -> Levels:
        """Give each level `ratio` times the share of the one below it, scaled to sum to one."""
        step = amounts.exact(ratio, "ratio")
        if step <= 0:
            raise InvalidValue("ratio must be positive")
        steps = amounts.whole(depth, "depth", at_least=1, at_most=MAX_DEPTH)
        powers = [step**k for k in range(steps)]
        total = sum(powers, Fraction(0))
        made = Levels((Fraction(1),) + (Fraction(0),) * (steps - 1), depth_accepted)
        # Exact powers of a long fraction pass the bound on given shares, and are exact all the same.
        object.__setattr__(made, "shares", tuple(power / total for power in powers))
        return made


@frozen(kw_only=True, field_transformer=checked({"dealer": share, "agent": share}))
class Split:
    """The dealer's and the agent's shares of the pot; the levels divide what is left.

    >>> Split(dealer=Fraction(1, 4)).rest
    Fraction(3, 4)
    """

    dealer: Fraction = Fraction(0)
    agent: Fraction = Fraction(0)

    def __attrs_post_init__(self) -> None:
        """Refuse more than the pot."""
        if self.dealer + self.agent > 1:
            raise InvalidValue(f"dealer and agent sum to {self.dealer + self.agent}, more than the pot")

    @property
    def rest(self) -> Fraction:
        """What the levels divide."""
        return 1 - self.dealer - self.agent


@frozen(
    field_transformer=checked(
        {"days": partial(amounts.whole, at_least=0, at_most=MAX_VEST_DAYS), "after": partial(text, most=512)}
    )
)
class Vest:
    """Points of the milestone `after` (of every milestone without it) become usable `days` later."""

    days: int
    after: str = ""


@frozen(
    field_transformer=checked(
        {
            "id": partial(identifier, most=MAX_EVENT_ID_BYTES),
            "member": lambda value, name: (
                amounts.whole(value, name) if _is_number(value) else identifier(value, name)
            ),
            "milestone": _name,
            "at": instant,
            "cancelled_at": instant,
            "dealer": _dealer,
            "agent": _dealer,
        }
    )
)
class Conversion:
    """An invitee reached a milestone of the scheme: a fact, perhaps cancelled later.

    >>> from datetime import UTC
    >>> t = datetime(2027, 1, 2, tzinfo=UTC)
    >>> Conversion("o1", "bo", "delivery", t, cancelled_at=datetime(2027, 1, 1, tzinfo=UTC))
    Traceback (most recent call last):
    userops.errors.InvalidValue: cancelled_at lies before at
    """

    id: str
    member: Any
    milestone: str
    at: datetime
    cancelled_at: datetime | None = None
    dealer: str = ""
    agent: str = ""

    def __attrs_post_init__(self) -> None:
        """Refuse a cancellation before the fact."""
        if self.cancelled_at is not None and self.cancelled_at < self.at:
            raise InvalidValue("cancelled_at lies before at")


def _is_number(value: Any) -> bool:
    # Members of a graph whose ids are whole numbers; `bool` is none.
    return hasattr(value, "__index__") and not isinstance(value, bool | str)


def _milestones(value: Any, name: str) -> Mapping[str, int]:
    if not isinstance(value, Mapping) or not value:
        raise InvalidValue(f"{name} must map at least one milestone to its pot")
    return {
        _name(key, "a milestone"): amounts.whole(pot, f"the pot of {key!r}", at_least=0)
        for key, pot in value.items()
    }


def _caps(value: Any, name: str) -> tuple[Cap, ...]:
    if isinstance(value, Mapping | str) or not isinstance(value, Iterable):
        raise InvalidValue(f"{name} must be a list such as [{{'times': 5, 'per': 'lifetime'}}]")
    caps = []
    for one in listed(value, name):
        if isinstance(one, Mapping):
            unknown = sorted(set(map(str, one)) - {"times", "points", "per", "scope"})
            if unknown:
                raise InvalidValue(f"a cap has times or points, per and scope; not {unknown[0]!r}")
            caps.append(Cap(**one))
        elif isinstance(one, Cap):
            caps.append(one)
        else:
            raise InvalidValue(f"a cap is a mapping or a Cap, not {type(one).__name__}")
    return tuple(caps)


def _expires(value: Any, name: str) -> Expiry | None:
    if isinstance(value, str) and value == "none":
        return None
    if not isinstance(value, Mapping):
        return of_kind(value, Expiry, name)
    known = {one.name for one in fields(Expiry)}
    unknown = sorted(shown(key) for key in value if key not in known)
    if unknown:
        raise InvalidValue(f"{name} has {', '.join(sorted(known))}; not {unknown[0]}")
    return Expiry(**value)


def _of(kind: type[Any]) -> Any:
    def check(value: Any, name: str) -> Any:
        if not isinstance(value, kind):
            raise InvalidValue(f"{name} must be a {kind.__name__}, not {type(value).__name__}")
        return value

    return check


@frozen(
    kw_only=True,
    field_transformer=checked(
        {
            "name": _name,
            "milestones": _milestones,
            "levels": _of(Levels),
            "split": _of(Split),
            "caps": _caps,
            "vest": _of(Vest),
            "eligible": _of(Condition),
            "fund": identifier,
            "currency": identifier,
            "expires": _expires,
            "clawback": _of(Clawback),
            "timezone": lambda value, _name: (zone(value), str(value))[1],
        }
    ),
)
class Terms:
    """The fields of a scheme; `Scheme` adds what is done with them.

    Caps and `expires` may be given as the program file has them, such as `{"months": 24, "round_to": "month"}`.
    """

    name: str = "referral"
    milestones: Mapping[str, int] = field(hash=False)
    levels: Levels = Levels()
    split: Split | None = None
    caps: tuple[Cap, ...] = ()
    vest: Vest | None = None
    eligible: Condition | None = None
    fund: str = "referral"
    currency: str = "points"
    expires: Expiry | None = None
    clawback: Clawback = Clawback.DEBT
    #: Where the days of caps, vesting and expiry begin.
    timezone: str = "UTC"

    def __attrs_post_init__(self) -> None:
        """Refuse terms that contradict each other."""
        if self.vest is not None and self.vest.after and self.vest.after not in self.milestones:
            raise InvalidValue(f"vest.after: {self.vest.after!r} is not a milestone of the scheme")
        if self.expires is not None and self.expires.inactive_months is not None:
            raise InvalidValue(
                "expires: inactive_months needs a wallet's history; give months, days or years"
            )

    @property
    def tz(self) -> tzinfo:
        """The scheme's time zone."""
        return zone(self.timezone)

    def level_share(self, level: int) -> Fraction:
        """Return the share of the whole pot that a level gets, after dealer and agent."""
        rest = Fraction(1) if self.split is None else self.split.rest
        return rest * self.levels.shares[level - 1]

    def role_share(self, role: str) -> Fraction:
        """Return the share of the pot of the dealer or the agent."""
        return Fraction(0) if self.split is None else getattr(self.split, role)
