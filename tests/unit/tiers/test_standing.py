"""Each rule of a ladder, by name, on one member."""

from datetime import UTC, date, datetime, timedelta

import pytest

from userops import F
from userops.core.calendar import zone
from userops.errors import InvalidValue, NaiveTimeError
from userops.tiers import (
    Anniversary,
    CalendarYear,
    Crossing,
    Downgrade,
    Exponential,
    Grace,
    Grant,
    Keep,
    Ladder,
    Lifetime,
    Rolling,
    Tier,
    ValueEvent,
    YearlyDeduction,
    describe,
)

SHANGHAI = zone("Asia/Shanghai")
MICRO = timedelta(microseconds=1)
THREE = (Tier("member", at_least=0), Tier("gold", at_least=3_000), Tier("ep", at_least=12_000))


def day(year, month, at_day, hour=0, *, tz=SHANGHAI):
    return datetime(year, month, at_day, hour, tzinfo=tz)


def club(**changes):
    rules = {
        "tiers": THREE,
        "window": Rolling(months=12),
        "keep": Keep(months=12, until="month_end"),
        "downgrade": Downgrade.ONE_STEP,
        "grace": Grace(days=30),
        "timezone": "Asia/Shanghai",
    }
    return Ladder(**{**rules, **changes})


def changes(ladder, history, start=day(2020, 1, 1), end=day(2040, 1, 1), **more):
    return [(c.at, c.was, c.to, str(c.why)) for c in ladder.timeline(history, start, end, **more)]


def test_an_empty_history_stands_at_a_first_threshold_of_zero():
    standing = club().standing([], day(2027, 1, 1))
    assert (standing.tier, standing.since, standing.next_tier, standing.missing) == (
        "member",
        None,
        "gold",
        3_000,
    )
    assert (standing.review_at, standing.to_keep) == (None, 0)


def test_below_the_lowest_threshold_there_is_no_tier():
    ladder = Ladder(tiers=(Tier("gold", at_least=3_000),))
    standing = ladder.standing([(day(2027, 1, 5), 2_999)], day(2027, 1, 6))
    assert (standing.tier, standing.next_tier, standing.missing) == (None, "gold", 1)
    assert "below the lowest threshold" in standing.reasons[0]


def test_the_crossing_event_raises_at_its_instant():
    history = [(day(2027, 1, 5), 2_000), (day(2027, 2, 5), 1_000)]
    assert club().standing(history, day(2027, 2, 5) - MICRO).tier == "member"
    standing = club().standing(history, day(2027, 2, 5))
    assert (standing.tier, standing.since) == ("gold", day(2027, 2, 5).astimezone(UTC))
    assert (standing.next_tier, standing.missing) == ("ep", 9_000)


@pytest.mark.parametrize(
    ("crossing", "word"), [(Crossing.OLD_RATE, "old rate"), (Crossing.NEW_RATE, "new rate")]
)
def test_the_crossing_policy_is_stated_in_the_reasons(crossing, word):
    reasons = club(crossing=crossing).standing([(day(2027, 1, 5), 3_000)], day(2027, 1, 6)).reasons
    assert any(word in reason for reason in reasons)


def test_a_value_exactly_as_old_as_the_window_no_longer_counts():
    ladder = club(keep=None, grace=None)
    history = [(day(2027, 1, 5, 9), 3_000)]
    assert ladder.standing(history, day(2028, 1, 5, 9) - MICRO).tier == "gold"
    assert ladder.standing(history, day(2028, 1, 5, 9)).tier == "member"


def test_the_review_falls_at_the_end_of_the_month_and_the_grace_after_it():
    history = [(day(2027, 1, 5, 9), 3_000)]
    standing = club().standing(history, day(2027, 1, 6))
    assert standing.review_at == day(2028, 2, 1)
    assert standing.to_keep == 3_000
    assert changes(club(), history) == [
        (day(2027, 1, 5, 9), "member", "gold", "reached"),
        (day(2028, 2, 1), "gold", "gold", "review failed"),
        (day(2028, 3, 2), "gold", "member", "grace ended"),
    ]
    in_grace = club().standing(history, day(2028, 2, 15))
    assert (in_grace.tier, in_grace.is_in_grace, in_grace.review_at) == ("gold", True, day(2028, 3, 2))


def test_what_is_still_in_the_window_at_the_review_is_what_keeps():
    history = [(day(2027, 1, 5), 3_000), (day(2027, 1, 31), 1_000), (day(2027, 2, 1, 1), 500)]
    # At the end of January 2028 the value of 31 January 2027 is out, that of 1 February at one o'clock in.
    assert club().standing(history, day(2027, 3, 1)).to_keep == 2_500


def test_requalifying_within_the_grace_keeps_the_tier_and_its_anchor():
    history = [
        (day(2027, 1, 5), 3_000),
        (day(2028, 3, 2), 3_000),
    ]  # at the very end of the grace: events first
    assert changes(club(), history, end=day(2029, 1, 1)) == [
        (day(2027, 1, 5), "member", "gold", "reached"),
        (day(2028, 2, 1), "gold", "gold", "review failed"),
        (day(2028, 3, 2), "gold", "gold", "requalified"),
    ]
    assert club().standing(history, day(2028, 4, 1)).review_at == day(2029, 2, 1)


def test_a_value_after_the_grace_comes_too_late():
    history = [(day(2027, 1, 5), 3_000), (day(2028, 3, 2) + MICRO, 2_999)]
    assert club().standing(history, day(2028, 4, 1)).tier == "member"


def test_an_event_at_the_instant_of_the_review_comes_first():
    history = [(day(2027, 1, 5), 3_000), (day(2028, 2, 1), 3_000)]
    assert changes(club(), history, end=day(2028, 6, 1))[1:] == [
        (day(2028, 2, 1), "gold", "gold", "requalified")
    ]


def test_renewals_are_counted_from_the_first_anchor():
    ladder = club(keep=Keep(months=1), grace=None)
    history = [(day(2027, 1, 31, 8), 3_000)]
    reviews = [at for at, _, _, why in changes(ladder, history, end=day(2027, 6, 1)) if why == "requalified"]
    assert reviews == [day(2027, 2, 28, 8), day(2027, 3, 31, 8), day(2027, 4, 30, 8), day(2027, 5, 31, 8)]


@pytest.mark.parametrize(
    ("downgrade", "tier"), [("one_step", "gold"), ("to_earned", "member"), ("never", "ep")]
)
def test_where_a_member_falls_to(downgrade, tier):
    ladder = club(downgrade=Downgrade(downgrade), grace=None)
    assert ladder.standing([(day(2027, 1, 5), 12_000)], day(2028, 2, 1)).tier == tier


def test_one_step_still_gives_what_is_earned():
    tiers = (*THREE, Tier("top", at_least=50_000))
    history = [(day(2027, 1, 5), 50_000), (day(2027, 6, 1), 15_000)]
    assert club(tiers=tiers, grace=None).standing(history, day(2028, 2, 1)).tier == "ep"
    assert club(tiers=tiers, grace=None).standing(history[:1], day(2028, 2, 1)).tier == "ep"


def test_a_reversal_takes_the_tier_between_reviews():
    history = [(day(2027, 1, 5), 3_000), (day(2027, 3, 1), -1)]
    assert changes(club(), history, end=day(2027, 6, 1))[-1] == (
        day(2027, 3, 1),
        "gold",
        "member",
        "reversal",
    )


def test_a_reversal_of_what_the_tier_does_not_stand_on_takes_nothing():
    history = [(day(2027, 1, 5), 3_000), (day(2027, 2, 1), 400), (day(2027, 3, 1), -400)]
    assert club().standing(history, day(2027, 4, 1)).tier == "gold"
    # Out of the window, the ground still stands until the review.
    late = [(day(2027, 1, 5), 3_000), (day(2028, 1, 10), 100), (day(2028, 1, 20), -100)]
    assert club().standing(late, day(2028, 1, 25)).tier == "gold"


def test_a_reversal_unwinds_to_what_would_have_been():
    history = [(day(2027, 1, 5), 3_000), (day(2027, 3, 1), 9_000), (day(2027, 4, 1), -9_000)]
    standing = club().standing(history, day(2027, 5, 1))
    assert (standing.tier, standing.since, standing.review_at) == ("gold", day(2027, 4, 1), day(2028, 2, 1))
    # A renewal that stood on returned value is unwound with it.
    renewed = [(day(2027, 1, 5), 3_000), (day(2028, 1, 20), 3_000), (day(2028, 5, 1), -3_000)]
    assert club().standing(renewed, day(2028, 4, 30)).tier == "gold"
    assert club().standing(renewed, day(2028, 5, 1)).tier == "member"


def test_an_old_return_never_counts_below_nothing():
    history = [(day(2027, 1, 5), 500), (day(2028, 3, 1), -500)]
    standing = club().standing(history, day(2028, 4, 1))
    assert (standing.value, standing.tier, standing.missing) == (0, "member", 3_000)


def test_events_come_in_any_order_and_several_at_one_instant_sum():
    history = [(day(2027, 1, 5), 1_000), (day(2027, 1, 5), 2_500), (day(2027, 1, 5), -500)]
    later = [(day(2027, 2, 5), 100)]
    assert changes(club(), later + history) == changes(club(), history[::-1] + later)
    assert club().standing(history, day(2027, 1, 5)).tier == "gold"


def test_the_calendar_year_begins_at_local_midnight():
    ladder = club(window=CalendarYear(), keep=None, grace=None)
    midnight = day(2028, 1, 1)
    assert ladder.standing([(midnight - MICRO, 3_000)], midnight - MICRO).tier == "gold"
    assert ladder.standing([(midnight - MICRO, 3_000)], midnight).tier == "member"
    assert ladder.standing([(midnight, 3_000)], midnight).tier == "gold"


def test_a_review_on_the_turn_of_the_year_is_about_the_year_that_ends():
    ladder = club(window=CalendarYear(), keep=Keep(months=12, until="month_end"), grace=None)
    history = [(day(2027, 12, 5), 3_000), (day(2028, 12, 30), 3_000)]
    assert ladder.standing(history, day(2029, 1, 1)).tier == "gold"
    assert ladder.standing(history, day(2030, 1, 1)).tier == "member"


def test_the_anniversary_runs_from_joining_or_the_first_event():
    ladder = club(window=Anniversary(), keep=None, grace=None)
    history = [(day(2027, 3, 1), 2_000), (day(2028, 2, 29), 2_000)]
    assert ladder.standing(history, day(2028, 2, 29)).tier == "gold"
    assert ladder.standing(history, day(2028, 3, 1)).tier == "member"
    joined = {"joined_at": day(2026, 12, 24)}
    assert ladder.standing(history, day(2028, 2, 29), record=joined).tier == "member"


def test_an_anniversary_on_29_february_falls_on_the_28th_of_common_years():
    ladder = club(window=Anniversary(), keep=None, grace=None)
    history = [(day(2028, 2, 29, 10), 3_000)]
    assert ladder.standing(history, day(2029, 2, 28, 10) - MICRO).tier == "gold"
    assert ladder.standing(history, day(2029, 2, 28, 10)).tier == "member"


def test_a_value_may_leave_the_window_come_back_and_leave():
    # On 31 March, as on the 28th, a month ago was 28 February: at noon a value of then is out, in the morning in.
    ladder = Ladder(tiers=(Tier("a", at_least=10),), window=Rolling(months=1), timezone="UTC")
    at = datetime(2027, 2, 28, 12, tzinfo=UTC)
    morning = datetime(2027, 3, 31, 6, tzinfo=UTC)
    history = [(at, 5), (morning, 5)]
    assert ladder.standing(history, morning).value == 10
    assert changes(ladder, history, end=datetime(2027, 4, 30, 6, tzinfo=UTC)) == [
        (morning, None, "a", "reached"),
        (datetime(2027, 3, 31, 12, tzinfo=UTC), "a", None, "review failed"),
    ]


def test_reviews_keep_their_clock_time_across_daylight_saving():
    ladder = Ladder(
        tiers=(Tier("a", at_least=1),), window=Rolling(days=3), keep=Keep(days=7), timezone="America/New_York"
    )
    new_york = zone("America/New_York")
    standing = ladder.standing([(day(2024, 3, 6, 2, tz=new_york), 1)], day(2024, 3, 7, tz=new_york))
    assert standing.review_at == datetime(2024, 3, 13, 6, tzinfo=UTC)  # two o'clock, summer time
    gap = ladder.standing([(datetime(2024, 3, 3, 7, 30, tzinfo=UTC), 1)], day(2024, 3, 4, tz=new_york))
    assert gap.review_at == datetime(2024, 3, 10, 7, tzinfo=UTC)  # half past two is skipped: the gap's end


def test_yearly_deduction_comes_before_the_review_and_never_goes_below_zero():
    ladder = Ladder(
        tiers=THREE, window=Lifetime(), keep=Keep(months=12), decay=YearlyDeduction({"gold": 1_000})
    )
    history = [(day(2027, 1, 5), 4_500)]
    assert ladder.standing(history, day(2028, 1, 5)).value == 3_500
    assert ladder.standing(history, day(2028, 1, 5)).to_keep == 500
    fallen = ladder.standing(history, day(2029, 1, 5))
    assert (fallen.tier, fallen.value) == ("member", 2_500)
    assert ladder.standing(history, day(2035, 1, 5)).value == 2_500  # members are not deducted from


def test_exponential_decay_halves_by_the_calendar():
    ladder = Ladder(tiers=THREE, decay=Exponential(half_life_months=12))
    history = [(datetime(2027, 1, 31, tzinfo=UTC), 6_000)]
    end = datetime(2028, 1, 31, tzinfo=UTC)
    assert ladder.standing(history, end).value == 3_000
    assert (ladder.standing(history, end).tier, ladder.standing(history, end + timedelta(days=1)).tier) == (
        "gold",
        "member",
    )


def test_a_daily_cap_counts_the_local_day():
    ladder = club(daily_cap=1_500)
    history = [(day(2027, 1, 5, 1), 1_000), (day(2027, 1, 5, 23), 1_000), (day(2027, 1, 6), 1_400)]
    assert ladder.standing(history, day(2027, 1, 7)).value == 2_900
    by_tier = club(daily_cap={"member": 100})
    assert by_tier.standing(history, day(2027, 1, 7)).value == 200


def test_requires_reads_the_record():
    ladder = club(tiers=(*THREE[:2], Tier("ep", at_least=12_000, requires=F("kind").one_of("owner"))))
    history = [(day(2027, 1, 5), 12_000)]
    assert ladder.standing(history, day(2027, 2, 1), record={"kind": "owner"}).tier == "ep"
    fan = ladder.standing(history, day(2027, 2, 1), record={"kind": "fan"})
    assert (fan.tier, fan.next_tier, fan.missing) == ("gold", "ep", 0)
    assert "ep also requires that kind is one of owner" in fan.reasons
    assert ladder.standing(history, day(2027, 2, 1)).tier == "gold"  # what is unknown does not hold


def test_grants_raise_and_never_lower():
    grants = (Grant("ep", day(2027, 3, 1), day(2027, 6, 1), by="board", reason="co-creation"),)
    history = [(day(2027, 1, 5), 3_000)]
    assert changes(club(), history, end=day(2027, 12, 1), grants=grants)[1:] == [
        (day(2027, 3, 1), "gold", "ep", "granted"),
        (day(2027, 6, 1), "ep", "gold", "revoked"),
    ]
    granted = club().standing(history, day(2027, 4, 1), grants=grants)
    assert (granted.tier, granted.earned, granted.review_at) == ("ep", "gold", None)
    assert granted.reasons[0] == "ep was granted by board: co-creation"
    low = (Grant("member", day(2027, 3, 1)),)
    assert club().standing(history, day(2027, 4, 1), grants=low).tier == "gold"


def test_invitation_alone_opens_an_invite_only_tier():
    ladder = club(tiers=(*THREE, Tier("black", invite_only=True)))
    history = [(day(2027, 1, 5), 10**6)]
    assert ladder.standing(history, day(2027, 2, 1)).next_tier is None
    assert ladder.standing(history, day(2027, 2, 1), grants=[Grant("black", day(2027, 1, 1))]).tier == "black"


def test_badges_are_names_that_are_no_tier():
    grants = [Grant("founder", day(2027, 1, 1)), Grant("host", day(2027, 1, 1), day(2027, 2, 1))]
    assert club().standing([], day(2027, 1, 15), grants=grants).badges == ("founder", "host")
    assert club().standing([], day(2027, 2, 1), grants=grants).badges == ("founder",)
    with pytest.raises(InvalidValue, match="did you mean 'founder'"):
        club(badges=("founder",)).standing([], day(2027, 2, 1), grants=[Grant("fuonder", day(2027, 1, 1))])


def test_a_lifetime_tier_is_lost_by_reversal_only():
    ladder = club(tiers=(*THREE[:2], Tier("ep", at_least=12_000, lifetime=True)), grace=None)
    history = [(day(2027, 1, 5), 12_000)]
    standing = ladder.standing(history, day(2035, 1, 1))
    assert (standing.tier, standing.review_at) == ("ep", None)
    assert "ep is held for life" in standing.reasons
    assert ladder.standing([*history, (day(2034, 1, 1), -1)], day(2035, 1, 1)).tier == "member"


def test_a_tier_held_for_years_stays():
    ladder = club(tiers=(*THREE[:1], Tier("gold", at_least=3_000, lifetime_after_years=2)), grace=None)
    kept = [(day(2027, 1, 5), 3_000), (day(2027, 6, 5), 3_000), (day(2028, 6, 5), 3_000)]
    assert ladder.standing(kept, day(2040, 1, 1)).tier == "gold"
    assert ladder.standing(kept[:1], day(2040, 1, 1)).tier == "member"


def test_reviews_wait_while_a_member_is_paused():
    history = [(day(2027, 1, 5), 3_000)]
    record = {"paused": [(day(2028, 1, 1), day(2028, 7, 1))]}
    standing = club().standing(history, day(2028, 3, 1), record=record)
    assert (standing.tier, standing.review_at) == ("gold", day(2028, 7, 1))
    assert any("paused" in reason for reason in standing.reasons)
    assert club().standing(history, day(2028, 7, 31), record=record).tier == "member"


def test_several_metrics():
    ladder = Ladder(
        tiers=(
            Tier("a", at_least=10),
            Tier("b", all_of={"value": 20, "referrals": 1}),
            Tier("c", all_of={"value": 20, "referrals": 3}),
        )
    )
    history = [
        (day(2027, 1, 5), 20),
        ValueEvent(day(2027, 1, 6), 1, "referrals"),
        ValueEvent(day(2027, 1, 7), 9, "x"),
    ]
    standing = ladder.standing(history, day(2027, 2, 1))
    assert (standing.tier, standing.missing) == ("b", {"value": 0, "referrals": 2})
    either = Ladder(tiers=(Tier("a", any_of={"value": 50, "referrals": 1}),))
    assert either.standing(history, day(2027, 2, 1)).tier == "a"


def test_three_ladders_hang_on_one_member():
    history = [
        (day(2027, 1, 5), 3_000),
        ValueEvent(day(2027, 1, 6), 12, "posts"),
        ValueEvent(day(2027, 1, 7), 2, "years"),
    ]
    ladders = {
        "incentive": club(),
        "identity": Ladder(tiers=(Tier("reader", at_least=0), Tier("author", at_least=10)), metric="posts"),
        "seniority": Ladder(
            tiers=(Tier("first year", at_least=0), Tier("second year", at_least=1)), metric="years"
        ),
    }
    # Plain pairs count for each ladder's own metric, so each is told what they are.
    named = [ValueEvent(*item) if isinstance(item, tuple) else item for item in history]
    assert {name: one.standing(named, day(2027, 2, 1)).tier for name, one in ladders.items()} == {
        "incentive": "gold",
        "identity": "author",
        "seniority": "second year",
    }


def test_late_truth_restores_what_would_have_been():
    late = ValueEvent(day(2027, 1, 5), 3_000, recorded_at=day(2027, 3, 1))
    history = [late, (day(2027, 2, 1), 100)]
    assert club().standing(history, day(2027, 2, 15)).tier == "gold"
    assert club().standing(history, day(2027, 2, 15), known_at=day(2027, 2, 15)).tier == "member"
    assert changes(club(), history, end=day(2027, 6, 1), known_at=day(2027, 2, 28)) == []
    (one,) = club().restate(history)
    assert (one.start, one.end, one.believed, one.true) == (
        day(2027, 1, 5),
        day(2027, 3, 1),
        "member",
        "gold",
    )
    assert club().restate(history[1:]) == ()


def test_the_standing_that_an_event_meets_has_its_own_instants_review_before_it():
    history = [(day(2027, 1, 5), 3_000)]
    ladder = club(grace=None)
    assert ladder.standing(history, day(2028, 2, 1)).tier == "member"
    assert ladder.standing_before(history, day(2028, 2, 1)).tier == "gold"


def test_reasons_speak_other_words():
    reasons = club().standing([(day(2027, 1, 5), 3_000)], day(2027, 1, 6)).reasons
    said = [describe(reason, words={"reached": "以{have}成为{tier}"}) for reason in reasons]
    assert said[0] == "以3,000成为gold"
    assert said[1:] == [str(reason) for reason in reasons[1:]]
    with pytest.raises(InvalidValue, match="may name these facts"):
        describe(reasons[0], words={"reached": "{nobody}"})


def test_standing_and_timeline_print_well():
    history = [(day(2027, 1, 5), 3_000)]
    standing = club().standing(history, day(2027, 1, 6))
    assert str(standing).splitlines()[0] == "gold"
    timeline = club().timeline(history, day(2027, 1, 1), day(2029, 1, 1))
    assert "member → gold" in str(timeline)
    assert len(timeline.table()) == 3
    assert "<table>" in timeline._repr_html_()
    assert str(timeline[0]) in str(timeline)
    assert timeline[:2] == timeline.changes[:2]
    assert str(club().timeline([], day(2027, 1, 1), day(2029, 1, 1))) == "no change"


@pytest.mark.parametrize(
    "make",
    [
        lambda: Ladder(tiers=()),
        lambda: Ladder(tiers=(Tier("a", at_least=5), Tier("b", at_least=5))),
        lambda: Ladder(tiers=(Tier("a", at_least=5), Tier("b", at_least=4))),
        lambda: Ladder(tiers=(Tier("a", at_least=5), Tier("a", at_least=6))),
        lambda: Ladder(tiers=(Tier("a", at_least=5), Tier("b", all_of={"referrals": 1}))),
        lambda: Ladder(tiers=(Tier("a", any_of={"x": 5, "y": 5}), Tier("b", any_of={"x": 5, "y": 5}))),
        lambda: Ladder(tiers=("a",)),
        lambda: Ladder(tiers="a"),
        lambda: Ladder(tiers=THREE, timezone="Mars/Base"),
        lambda: Ladder(tiers=THREE, daily_cap={"glod": 5}),
        lambda: Ladder(tiers=THREE, daily_cap=True),
        lambda: Ladder(tiers=THREE, decay=YearlyDeduction({"glod": 5})),
        lambda: Ladder(tiers=THREE, decay=0.5),
        lambda: Ladder(tiers=THREE, window="lifetime"),
        lambda: Ladder(tiers=THREE, keep=12),
        lambda: Ladder(tiers=THREE, grace=30),
        lambda: Ladder(tiers=THREE, downgrade="never"),
        lambda: Tier("a"),
        lambda: Tier("a", at_least=1, invite_only=True),
        lambda: Tier("a", at_least=1.0),
        lambda: Tier("a", at_least=True),
        lambda: Tier("a", at_least=-1),
        lambda: Tier("a", at_least=10**400),
        lambda: Tier("", at_least=1),
        lambda: Tier("a\0", at_least=1),
        lambda: Tier("a", all_of={}),
        lambda: Tier("a", at_least=1, requires={"kind": "owner"}),
        lambda: Tier("a", at_least=1, lifetime=1),
        lambda: Tier("a", at_least=1, lifetime=True, lifetime_after_years=2),
        lambda: Tier("a", at_least=1, benefits=("x",)),
        lambda: Rolling(),
        lambda: Rolling(months=1, days=1),
        lambda: Rolling(months=0),
        lambda: Rolling(days=10**9),
        lambda: Keep(),
        lambda: Keep(months=1, until="year_end"),
        lambda: Grace(days=0),
        lambda: Grace(days=True),
        lambda: Exponential(half_life_months=0),
        lambda: YearlyDeduction({}),
        lambda: ValueEvent(day(2027, 1, 1), True),
        lambda: ValueEvent(day(2027, 1, 1), 1.0),
        lambda: Grant("a", day(2027, 1, 2), day(2027, 1, 2)),
    ],
)
def test_rules_without_meaning_are_refused(make):
    with pytest.raises(InvalidValue):
        make()


NAIVE = datetime(2027, 1, 1)


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (lambda: club().standing([], NAIVE), NaiveTimeError),
        (lambda: club().standing([], date(2027, 1, 1)), NaiveTimeError),
        (lambda: club().standing([(NAIVE, 1)], day(2027, 1, 1)), NaiveTimeError),
        (lambda: club().standing([], day(2027, 1, 1), record={"joined_at": NAIVE}), NaiveTimeError),
        (lambda: club().standing([], day(2027, 1, 1), record={"paused": True}), InvalidValue),
        (lambda: club().standing([], day(2027, 1, 1), record={"paused": [1]}), InvalidValue),
        (lambda: club().standing([], day(2027, 1, 1), record=[]), InvalidValue),
        (lambda: club().standing([], day(2027, 1, 1), grants=[1]), InvalidValue),
        (lambda: club().standing([], day(2027, 1, 1), grants="gold"), InvalidValue),
        (lambda: club().standing([], day(2027, 1, 1), known_at=NAIVE), NaiveTimeError),
        (lambda: club().standing([5], day(2027, 1, 1)), InvalidValue),
        (lambda: club().standing(["ab"], day(2027, 1, 1)), InvalidValue),
        (lambda: club().standing([(day(2027, 1, 1), 1, 2)], day(2027, 1, 1)), InvalidValue),
        (lambda: club().standing([(day(2027, 1, 1), "1")], day(2027, 1, 1)), InvalidValue),
        (lambda: club().standing([(day(2027, 1, 1), float("nan"))], day(2027, 1, 1)), InvalidValue),
        (lambda: club().standing([(day(2027, 1, 1), 2**63)], day(2027, 1, 1)), InvalidValue),
        (lambda: club().timeline([], day(2027, 1, 2), day(2027, 1, 1)), InvalidValue),
        (lambda: club().index("glod"), InvalidValue),
    ],
)
def test_questions_without_meaning_are_refused(ask, error):
    with pytest.raises(error):
        ask()


@pytest.mark.parametrize("year", [1, 9999])
def test_the_ends_of_time(year):
    at = datetime(year, 6, 15, tzinfo=UTC)
    for ladder in (
        club(timezone="UTC"),
        club(timezone="UTC", window=CalendarYear()),
        club(window=Anniversary()),
        club(keep=None),
    ):
        assert ladder.standing([(at, 3_000)], at).tier == "gold"


def test_what_several_metrics_lack_is_told_by_metric_and_of_ways_each():
    history = [ValueEvent(datetime(2027, 1, 1, tzinfo=UTC), 4_000)]
    for needs, words in (
        ({"all_of": {"value": 3_000, "referrals": 2}}, "2 referrals more to gold"),
        ({"any_of": {"value": 9_000, "referrals": 5}}, "5,000 or 5 referrals more to gold"),
    ):
        ladder = Ladder((Tier("member", at_least=0), Tier("gold", **needs)))
        standing = ladder.standing(history, datetime(2027, 2, 1, tzinfo=UTC))
        assert words in [str(reason) for reason in standing.reasons]
