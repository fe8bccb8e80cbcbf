"""Files: bounded TOML read into values, with every fault collected under its path.

A `Section` is one table. Its readers return the value of a key, or a default after noting a fault; nothing
raises until `load` has seen the whole file, and then one `PlanError` carries all the faults.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

from userops.core import amounts
from userops.core.ids import identifier
from userops.errors import InvalidValue, PlanError, PlanFault

T = TypeVar("T")

#: A program is some hundred lines; what is larger is not one.
MAX_BYTES = 256 * 1024
MAX_DEPTH = 24
#: Faults beyond these many are counted, not listed.
MAX_FAULTS = 100
# A dotted key of thousands of parts, or brackets without end, cost the TOML parser quadratic time.
_TOO_DOTTED = re.compile(rf"(?:[^\s.=\[\]]{{1,80}}[ \t]*\.[ \t]*){{{MAX_DEPTH}}}")
_TOO_NESTED = re.compile(rf"(?:[\[{{][\s]*){{{MAX_DEPTH}}}")
_PLAIN_DECIMAL = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?")
_PATH_MARK = re.compile(r"[.\[]")
_REQUIRED: Any = object()


def read_text(path_or_text: str | Path, *, what: str) -> tuple[str, Path | None]:
    r"""Return the text of a file, and its path; a text with a newline is taken as the file's content.

    >>> read_text("name = 'x'\n", what="program")
    ("name = 'x'\n", None)
    """
    if isinstance(path_or_text, str) and "\n" in path_or_text:
        return path_or_text, None
    if not isinstance(path_or_text, str | Path):
        raise InvalidValue(f"a {what} is a path, or text with a newline, not {type(path_or_text).__name__}")
    path = Path(path_or_text)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        return content.decode("utf-8-sig"), path
    except (OSError, ValueError) as fault:
        reason = "is not UTF-8 text" if isinstance(fault, UnicodeDecodeError) else "cannot be read"
        detail = getattr(fault, "strerror", None)
        raise PlanError(
            f"the {what} cannot be used", [PlanFault("", f"{path} {reason}{f': {detail}' if detail else ''}")]
        ) from None


def parse(text: str, *, what: str) -> dict[str, Any]:
    """Parse TOML within bounds of size and depth; decimals stay exact.

    >>> parse("rate = 0.10", what="program")
    {'rate': Decimal('0.10')}
    """
    try:
        if len(text.encode(errors="surrogatepass")) > MAX_BYTES:
            raise InvalidValue(f"larger than {MAX_BYTES // 1024} KiB")
        if _TOO_DOTTED.search(text) or _TOO_NESTED.search(text):
            raise InvalidValue(f"nests more than {MAX_DEPTH} deep")
        table = tomllib.loads(text, parse_float=_decimal)
        _check_depth(table, MAX_DEPTH)
    except (ValueError, RecursionError, ArithmeticError) as fault:
        message = str(fault) if isinstance(fault, ValueError) else "not TOML within bounds"
        raise PlanError(f"the {what} cannot be used", [PlanFault("", f"not TOML: {message}")]) from None
    return table


def _decimal(text: str) -> Decimal:
    if len(text) > 100:
        raise InvalidValue("a number of more than 100 digits")
    return Decimal(text.replace("_", ""))


def _check_depth(value: Any, left: int) -> None:
    if left == 0:
        raise InvalidValue(f"nests more than {MAX_DEPTH} deep")
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in parts:
        _check_depth(part, left - 1)


def load(table: Mapping[str, Any], build: Callable[[Section], T], *, what: str) -> T:
    """Build a value from a table, raising one `PlanError` with every fault found on the way."""
    faults = Faults()
    root = Section(table, "", faults)
    value = root.build(lambda: build(root))
    root.finish()
    if faults.count or value is None:
        listed = faults.listed or [PlanFault("", "nothing to load")]
        if faults.count > len(listed):
            listed.append(PlanFault("", f"and {faults.count - len(listed)} more"))
        count = f"{faults.count} fault{'' if faults.count == 1 else 's'}"
        raise PlanError(f"the {what} has {count}", listed)
    return value


def did_you_mean(given: object, known: Iterable[str]) -> str:
    """Return '; did you mean …?' for the nearest known name, or the known names.

    >>> did_you_mean("ponits", ["points", "per"])
    "; did you mean 'points'?"
    """
    names = sorted(known)
    if not isinstance(given, str):
        return f"; known: {', '.join(names[:12])}" if names else ""
    near = difflib.get_close_matches(given[:200], names, 1, 0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known: {', '.join(names[:12])}" if names else ""


class Faults:
    """The faults of one file as they are found, and the tables that hold any."""

    def __init__(self) -> None:
        """Begin with none."""
        self.count = 0
        self.listed: list[PlanFault] = []
        self._faulty: set[str] = set()

    def add(self, path: str, message: str) -> None:
        """Note a fault; beyond `MAX_FAULTS` they are counted, not kept."""
        self.count += 1
        if len(self.listed) < MAX_FAULTS:
            self.listed.append(PlanFault(path, message))
        self._faulty.update(path[: mark.start()] for mark in _PATH_MARK.finditer(path))
        self._faulty.update(("", path))

    def touch(self, path: str) -> bool:
        """Say whether a fault was noted at a path or below."""
        return path in self._faulty


class Section:
    """One table of a file, read key by key; what is wrong is noted with its path."""

    def __init__(self, table: Mapping[str, Any], path: str, faults: Faults) -> None:
        """Read `table`, found at `path`, noting faults in the list shared by the whole file."""
        self._table = table
        self._read: set[str] = set()
        self._faults = faults
        self.path = path

    def __contains__(self, key: str) -> bool:
        return key in self._table

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def at(self, key: str | int) -> str:
        """Return the path of a key of this table."""
        if isinstance(key, int):
            return f"{self.path}[{key}]"
        shown = key if re.fullmatch(r"[A-Za-z0-9_-]{1,80}", key) else repr(key[:80])
        return f"{self.path}.{shown}" if self.path else shown

    def fault(self, key: str | None, message: str) -> None:
        """Note a fault of a key, or of the table itself."""
        self._faults.add(self.path if key is None else self.at(key), message)

    def build(self, make: Callable[[], T]) -> T | None:
        """Return what `make` returns, or None when it, or a reading before, found this table faulty."""
        before = self._faults.count
        try:
            value = make()
        except InvalidValue as fault:
            # A faulty field already noted often makes the whole invalid too: say the cause only.
            if self._faults.count == before and not self.is_faulty():
                self.fault(None, str(fault))
            return None
        return None if self.is_faulty() else value

    def is_faulty(self) -> bool:
        """Say whether a fault was noted in this table or below."""
        return self._faults.touch(self.path)

    def value(self, key: str, convert: Callable[[Any], T], default: Any = _REQUIRED) -> T:
        """Return `convert(value)` of a key; what it refuses is a fault of the key."""
        self._read.add(key)
        if key not in self._table:
            if default is _REQUIRED:
                self.fault(key, "is missing")
                return None  # type: ignore[return-value]
            return default  # type: ignore[no-any-return]
        try:
            return convert(self._table[key])
        except InvalidValue as fault:
            self.fault(key, str(fault))
            return None if default is _REQUIRED else default  # type: ignore[return-value]

    def name(self, key: str, default: Any = _REQUIRED) -> str:
        """Read a non-empty text."""
        return self.value(key, lambda value: identifier(value, "it"), default)

    def whole(
        self, key: str, default: Any = _REQUIRED, *, at_least: int = 0, at_most: int = amounts.MAX_POINTS
    ) -> int:
        """Read a whole number within bounds."""
        return self.value(
            key, lambda value: amounts.whole(value, "it", at_least=at_least, at_most=at_most), default
        )

    def exact(self, key: str, default: Any = _REQUIRED, *, at_least: int = 0) -> Fraction:
        """Read an exact number: a TOML number, or a decimal in quotes."""
        return self.value(key, lambda value: exact_number(value, at_least=at_least), default)

    def choice(self, key: str, choices: Mapping[str, T], default: Any = _REQUIRED) -> T:
        """Read one of the known words."""

        def convert(value: Any) -> T:
            if isinstance(value, str) and value in choices:
                return choices[value]
            raise InvalidValue(f"{_shown(value)} is not known{did_you_mean(str(value), choices)}")

        return self.value(key, convert, default)

    def truth(self, key: str, default: Any = _REQUIRED) -> bool:
        """Read true or false."""

        def convert(value: Any) -> bool:
            if isinstance(value, bool):
                return value
            raise InvalidValue(f"must be true or false, not {_shown(value)}")

        return self.value(key, convert, default)

    def day(self, key: str, default: Any = _REQUIRED) -> date:
        """Read a local date."""

        def convert(value: Any) -> date:
            if isinstance(value, date) and not isinstance(value, datetime):
                return value
            raise InvalidValue(f"must be a date such as 2027-01-01, not {_shown(value)}")

        return self.value(key, convert, default)

    def section(self, key: str) -> Section | None:
        """Return a table inside this one, or None where the key is absent or no table."""
        self._read.add(key)
        value = self._table.get(key)
        if value is None:
            return None
        if isinstance(value, Mapping):
            return Section(value, self.at(key), self._faults)
        self.fault(key, f"must be a table, not {_shown(value)}")
        return None

    def sections(self, key: str) -> list[Section]:
        """Return the tables of a list of tables; of an absent key, none."""
        self._read.add(key)
        value = self._table.get(key, [])
        if not isinstance(value, list):
            self.fault(key, f"must be a list of tables, not {_shown(value)}")
            return []
        found = []
        for place, item in enumerate(value):
            path = f"{self.at(key)}[{place}]"
            if isinstance(item, Mapping):
                found.append(Section(item, path, self._faults))
            else:
                self._faults.add(path, f"must be a table, not {_shown(item)}")
        return found

    def named_sections(self, key: str) -> dict[str, Section]:
        """Return the tables of a table by their names."""
        outer = self.section(key)
        return {} if outer is None else {name: s for name in outer if (s := outer.section(name)) is not None}

    def raw(self, key: str, default: Any = None) -> Any:
        """Return the value of a key as TOML has it, for a reader of its own."""
        self._read.add(key)
        return self._table.get(key, default)

    def finish(self, known: Iterable[str] = ()) -> None:
        """Note every key that nobody read; `known` adds names worth suggesting."""
        candidates = {*self._read, *known}
        for key in self._table:
            if key not in self._read:
                self.fault(key, f"unknown key{did_you_mean(key, candidates)}")


def exact_number(value: Any, *, at_least: int | None = None) -> Fraction:
    """Return a number of a file as a `Fraction`: whole, decimal, or a decimal in quotes.

    >>> exact_number("0.10")
    Fraction(1, 10)
    """
    if isinstance(value, str):
        if not _PLAIN_DECIMAL.fullmatch(value, 0):
            raise InvalidValue(f"{_shown(value)} is not a decimal number")
        value = Decimal(value)
    number = amounts.exact(value, "it")
    if at_least is not None and number < at_least:
        raise InvalidValue(f"must be at least {at_least}")
    return number


def _shown(value: Any) -> str:
    if isinstance(value, str | int | Decimal | date):
        return repr(str(value)[:40]) if not isinstance(value, int) or abs(value) < 10**40 else "a huge number"
    return {dict: "a table", list: "a list", bool: "a truth value"}.get(type(value), type(value).__name__)
