"""Events from a file: CSV or Parquet, by the extra `frames`."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from userops.errors import InvalidValue, MissingExtraError
from userops.points.replaying.events import COLUMNS


def read_columns(path: str | PathLike[str], *, names: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the event columns of a CSV or Parquet file, as `replay` takes them.

    `names` says which column of the file is which ({"member": "customer_id"}); without it the columns have
    the names that `replay` knows, and others are left out. Times are integers of microseconds, or timestamps
    (UTC when the file gives no zone). Needs the extra `frames`.
    """
    frame = read_frame(path)
    wanted = {name: name for name in COLUMNS if name in frame.columns} if names is None else dict(names)
    absent = [source for source in wanted.values() if source not in frame.columns]
    if absent:
        raise InvalidValue(f"no column {absent[0]!r}; the file has {', '.join(frame.columns)}")
    return {name: frame[source].to_native() for name, source in wanted.items()}


def read_frame(path: str | PathLike[str]) -> Any:
    """Return the table of a CSV or Parquet file, by the extra `frames`."""
    try:
        import narwhals as nw
    except ImportError:
        raise _missing() from None
    file, suffix = fspath(path), Path(fspath(path)).suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise InvalidValue(f"a file of events ends in .csv or .parquet, not in {suffix!r}")
    read = nw.read_csv if suffix == ".csv" else nw.read_parquet
    try:
        return read(file, backend="pyarrow")
    except ImportError:
        raise _missing() from None
    except (OSError, ValueError, KeyError) as fault:
        raise InvalidValue(f"the file could not be read: {fault}") from fault


def _missing() -> MissingExtraError:
    return MissingExtraError("reading files needs the extra 'frames': pip install 'userops[frames]'")
