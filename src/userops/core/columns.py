"""Columns: arrays, lists and any data frame, taken in as numpy columns of equal length."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from userops.core.calendar import micros
from userops.core.quantities import shown
from userops.errors import InvalidValue, MissingExtraError

Column = NDArray[Any]


def column(values: Any, name: str) -> Column:
    """Return one column: 1-D, masked where the source says that values are missing.

    Lists that mix kinds, or hold Decimals or None, become columns of objects.

    >>> column([1, 2], "n").dtype.kind
    'i'
    """
    if not isinstance(values, np.ndarray):
        values = _of_series(values) if _is_series(values) else _of_list(values, name)
    if values.ndim != 1:
        raise InvalidValue(f"{name} must have one dimension, not {values.ndim}")
    found: Column = values
    return found


def columns(data: Any, *, names: Iterable[str] | None = None) -> dict[str, Column]:
    """Return a table's columns by name: from a mapping of columns, a structured array, or any data frame.

    `names` asks for these columns; one that is absent is an error. Data frames need the extra `frames`.

    >>> sorted(columns({"a": [1], "b": ["x"]}, names=["a"]))
    ['a']
    """
    if isinstance(data, Mapping):
        found = {key if isinstance(key, str) else shown(key): data[key] for key in data}
    elif isinstance(data, np.ndarray) and data.dtype.names:
        found = {key: data[key] for key in data.dtype.names}
    else:
        found = _of_frame(data)
    if names is not None:
        wanted = list(names)
        absent = [name for name in wanted if name not in found]
        if absent:
            raise InvalidValue(
                f"no column {absent[0]!r}; the columns are {', '.join(sorted(found)) or 'none'}"
            )
        found = {name: found[name] for name in wanted}
    taken = {name: column(values, name) for name, values in found.items()}
    lengths = {name: len(values) for name, values in taken.items()}
    if len(set(lengths.values())) > 1:
        raise InvalidValue(f"columns differ in length: {lengths}")
    return taken


def instants(values: Any, name: str = "at") -> NDArray[np.int64]:
    """Return times as int64 microseconds since 1970 in UTC: from datetime64 (taken as UTC) or aware datetimes.

    >>> instants(np.array(["1970-01-02"], dtype="datetime64[D]")).tolist()
    [86400000000]
    """
    taken = column(values, name)
    if np.ma.getmaskarray(taken).any():
        raise InvalidValue(f"{name} has missing times")
    data = np.ma.getdata(taken)
    if data.dtype.kind == "M":
        if np.isnat(data).any():
            raise InvalidValue(f"{name} has missing times (NaT)")
        found: NDArray[np.int64] = data.astype("datetime64[us]").view(np.int64)
        return found
    if data.dtype == object:
        return np.fromiter((micros(value, name) for value in data), np.int64, len(data))
    if data.dtype.kind == "i" and data.dtype.itemsize == 8:
        return data
    raise InvalidValue(f"{name} must be datetime64, aware datetimes or int64 microseconds, not {data.dtype}")


def codes(values: Any, name: str) -> tuple[Column, NDArray[np.int64]]:
    """Return (the distinct values in order, the place of each row's value among them).

    >>> codes(["b", "a", "b"], "city")[1].tolist()
    [1, 0, 1]
    """
    taken = column(values, name)
    if np.ma.getmaskarray(taken).any():
        raise InvalidValue(f"{name} has missing values")
    try:
        distinct, inverse = np.unique(np.ma.getdata(taken), return_inverse=True)
    except TypeError:
        raise InvalidValue(f"{name} mixes kinds that have no order") from None
    return distinct, inverse.astype(np.int64).reshape(-1)


def _of_list(values: Any, name: str) -> Column:
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise InvalidValue(f"{name} must be a column of values, not {type(values).__name__}")
    listed = list(values)
    kinds = {type(value) for value in listed}
    if len(kinds) == 1 and kinds <= {int, float, bool, str}:
        try:
            return np.array(listed)
        except OverflowError:
            pass
    if len(kinds) == 1 and issubclass(next(iter(kinds)), np.generic):
        return np.array(listed)
    made = np.empty(len(listed), dtype=object)
    made[:] = listed
    return made


def _is_series(values: Any) -> bool:
    # pandas, polars and narwhals series have a dtype; pyarrow's columns speak the Arrow interface.
    return hasattr(values, "dtype") or hasattr(values, "__arrow_c_stream__")


def _of_series(values: Any) -> Column:
    """Take a series of any data-frame library, keeping what it says is missing."""
    try:
        import narwhals as nw
    except ImportError:
        return np.asarray(values)
    try:
        series = nw.from_native(values, series_only=True)
    except TypeError:
        return np.asarray(values)
    gone = series.is_null().to_numpy().astype(bool)
    if series.dtype == nw.Datetime and getattr(series.dtype, "time_zone", None) is not None:
        series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    if not gone.any():
        return np.asarray(series.to_numpy())
    if series.dtype.is_integer() or series.dtype == nw.Boolean:
        filled = series.fill_null(0 if series.dtype.is_integer() else False).to_numpy()
        return np.ma.array(filled, mask=gone)
    return np.ma.array(np.asarray(series.to_numpy()), mask=gone)


def _of_frame(data: Any) -> dict[str, Any]:
    try:
        import narwhals as nw
    except ImportError:
        raise MissingExtraError(
            "a data frame needs the extra 'frames': pip install 'userops[frames]'"
        ) from None
    try:
        frame: Any = nw.from_native(data)
    except TypeError:
        raise InvalidValue(
            f"columns come as a mapping of columns or a data frame, not {type(data).__name__}"
        ) from None
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
    return {name: frame[name].to_native() for name in frame.columns}


def datetimes(values: NDArray[np.int64]) -> NDArray[np.datetime64]:
    """Return microseconds since 1970 as datetime64[us].

    >>> str(datetimes(np.array([0]))[0])
    '1970-01-01T00:00:00.000000'
    """
    return values.astype("datetime64[us]")
