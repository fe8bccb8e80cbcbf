"""A backtest on the purchases of 2,357 CDNOW customers (Fader & Hardie): fitted on the first 39 weeks."""

from datetime import UTC, datetime

from userops import Event
from userops.simulation import backtest

CUT = datetime(1997, 10, 1, tzinfo=UTC)


def test_the_forecast_beats_a_constant_rate_and_the_table_is_as_published(shared_data):
    lines = (shared_data / "cdnow_sample.txt").read_text().splitlines()
    events = []
    for place, line in enumerate(lines):
        _, customer, day, _, _ = line.split()
        events.append(
            Event(f"e{place}", "purchase", customer, datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC))
        )
    found = backtest(events, CUT, draws=400)
    assert found.actual.tolist() == [246, 274, 248, 197, 225, 260, 176, 169]
    assert abs(found.error - 0.12) < 0.015
    assert abs(found.naive_error - 0.535) < 0.005
    assert abs(found.mean[0] - 237) < 6
    # The intervals hold what the model knows; Christmas and campaigns are not in it: 5 of 8, not 7.
    assert 4 <= round(found.coverage * 8) <= 7
