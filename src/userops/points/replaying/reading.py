"""Events from a file: CSV or Parquet, by the extra `frames`."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from userops.errors import InvalidValue, MissingExtraError


def read_events(path: str | PathLike[str], *, names: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the event columns of a CSV or Parquet file, as `replay` takes them.

    `names` says which column of the file is which ({"member": "customer_id"}); without it the columns have
    the names that `replay` knows, and others are left out. Times are integers of microseconds, or timestamps
    (UTC when the file gives no zone). Needs the extra `frames`.
    """
    try:
        import pyarrow as pa
        from pyarrow import csv, parquet
    except ImportError:
        raise MissingExtraError(
            "reading files needs the extra 'frames': pip install 'userops[frames]'"
        ) from None
    from userops.points.replaying.events import COLUMNS

    file, suffix = fspath(path), Path(fspath(path)).suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise InvalidValue(f"a file of events ends in .csv or .parquet, not {suffix or 'nothing'!r}")
    try:
        table = csv.read_csv(file) if suffix == ".csv" else parquet.read_table(file)
    except (pa.ArrowException, OSError) as fault:
        raise InvalidValue(f"the file could not be read: {fault}") from fault
    wanted = {name: name for name in COLUMNS if name in table.column_names} if names is None else dict(names)
    absent = [source for source in wanted.values() if source not in table.column_names]
    if absent:
        raise InvalidValue(f"no column {absent[0]!r}; the file has {', '.join(table.column_names)}")
    return {name: table.column(source) for name, source in wanted.items()}
