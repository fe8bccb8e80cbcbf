"""Events and records, caps, streams of chance."""

from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pytest

from userops import Event
from userops.core.calendar import zone
from userops.core.caps import Cap
from userops.core.chance import check_seed, stream
from userops.core.events import Record
from userops.errors import InvalidValue, NaiveTimeError

AT = datetime(2027, 1, 1, tzinfo=UTC)


def test_events_copy_what_they_are_given():
    data = {"city": "Hefei", "tags": ["a"], "deep": {"x": 1}}
    event = Event("e1", "store.paid", "u1", AT, amount=Decimal("9.50"), data=data)
    data["tags"].append("b")
    data["deep"]["x"] = 2
    assert (event.data["tags"], event.data["deep"]["x"]) == (("a",), 1)
    assert "Hefei" not in repr(event)
    with pytest.raises(TypeError):
        event.data["city"] = "Shanghai"
    with pytest.raises(AttributeError):
        event.member = "u2"
    assert hash(event) == hash(Event("e1", "store.paid", "u1", AT, amount=Decimal("9.50")))


@pytest.mark.parametrize(
    "changed",
    [{"id": ""}, {"kind": ""}, {"member": None}, {"id": "x" * 513}, {"amount": 1.5}, {"amount": True}, {"data": []}, {"data": {1: 2}}, {"reference": None}],
)  # fmt: skip
def test_events_that_are_none_are_refused(changed):
    with pytest.raises(InvalidValue):
        Event(**{"id": "e1", "kind": "k", "member": "u1", "at": AT, **changed})
    with pytest.raises(NaiveTimeError):
        Event("e1", "k", "u1", datetime(2027, 1, 1))


def test_records_are_mappings():
    record = Record({"a": 1, "b": {2}})
    assert (dict(record)["a"], len(record), record["b"]) == (1, 2, frozenset({2}))
    assert Record() == {}


def test_caps_count_by_local_period_or_reference():
    shanghai = zone("Asia/Shanghai")
    late = datetime(2026, 12, 31, 16, tzinfo=UTC)
    assert Cap(times=1, per="year").period(late, "o1", shanghai) == "2027"
    assert Cap(times=1, per="reference").period(late, "o1", shanghai) == "reference o1"
    assert Cap(points=1_000, scope="program").describe() == "1,000 points per lifetime for the whole program"
    for bad in (
        {},
        {"times": 1, "points": 1},
        {"times": -1},
        {"times": True},
        {"times": 1, "per": "hour"},
        {"times": 1, "scope": "all"},
    ):
        with pytest.raises(InvalidValue):
            Cap(**bad)


def test_streams_are_known_by_their_name_alone():
    one, other = stream(7, "a", 1), stream(7, "a", 1)
    assert (one.random(5) == other.random(5)).all()
    assert not np.array_equal(stream(7, "a", 2).random(5), stream(7, "a", 1).random(5))
    assert not np.array_equal(stream(7, "1").random(5), stream(7, 1).random(5))
    assert not np.array_equal(stream(8, "a").random(5), stream(7, "a").random(5))
    for bad in (True, -1, 1.0, None, 2**63):
        with pytest.raises(InvalidValue):
            check_seed(bad)


def test_philox_gives_the_words_it_always_gave():
    """Raw words of the bit generator are stable over builds; a change here would change every simulation."""
    assert stream(7, "arrivals", 3).bit_generator.random_raw(2).tolist() == WORDS


WORDS = [7677334324835139838, 10114617941484075356]
