"""One try of a transaction: how it begins and ends, and what it teaches the next one."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType

from attrs import define, field

from userops.points.stores.wire import NO_CLAIMS, Driver, Wire


@define
class Try:
    """What earlier tries of a transaction taught: what to lock before anything is read."""

    members: set[str]
    claims: Mapping[str, bool] = NO_CLAIMS
    periods: set[tuple[str, str]] = field(factory=set)
    counters: set[str] = field(factory=set)
    lockings: int = 0
    failures: int = 0
    #: A commit failed: it may have been kept all the same, and the next try will see.
    is_in_doubt: bool = False
    #: What the doubtful commit would have kept: an entry's id, or a posted `Expire`'s.
    doubtful: str = ""
    erased: str = ""


class Transaction:
    """Begins to post (to read, without a try), and at the end commits, or rolls back when `keep` is false.

    An error always rolls back; one while committing leaves in doubt whether it was kept. (No generator: that
    takes longer than most statements do.)
    """

    __slots__ = ("_driver", "_trial", "_wire", "keep")

    def __init__(self, driver: Driver, wire: Wire, trial: Try | None = None) -> None:
        """Speak to a driver through its wire."""
        self._driver, self._wire, self._trial = driver, wire, trial
        self.keep = trial is not None

    def __enter__(self) -> Transaction:
        """Begin."""
        trial = self._trial
        try:
            claims = NO_CLAIMS if trial is None else trial.claims
            self._driver.begin(self._wire, posting=trial is not None, claims=claims)
        except BaseException:
            self._roll_back()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commit, or roll back."""
        if kind is not None:
            self._roll_back()
            return
        try:
            if self._trial is not None and self.keep:
                self._trial.is_in_doubt = True
            self._driver.end(self._wire, keep=self.keep)
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        # Nothing may have begun, or the connection be gone; the driver drops it when it is stuck.
        with suppress(self._driver.error):
            self._driver.end(self._wire, keep=False)
