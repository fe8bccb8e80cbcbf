"""Tables of a forecast, and the sections of its report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from userops.core.tables import Format, Table
from userops.errors import InvalidValue
from userops.simulation.columns import Array
from userops.simulation.forecast.charts import fan_chart
from userops.simulation.forecast.figures import RULE_SERIES, short
from userops.simulation.forecast.series import Series


def table(forecast: Series) -> Table:
    """Return means and 90% ranges by quarter, or by month within a year."""
    step = 1 if forecast.months <= 12 else 3
    ends = list(range(step - 1, forecast.months, step))
    if ends[-1] != forecast.months - 1:
        ends.append(forecast.months - 1)
    columns: dict[str, Sequence[Any]] = {"month": [f"{month_name(forecast, end)}" for end in ends]}
    for name in ("issued", "redeemed", "expired"):
        parts = forecast.parts(name, None)
        summed = np.add.reduceat(parts, [0, *[end + 1 for end in ends[:-1]]], axis=2)
        columns |= _ranged(name, forecast.settled(summed))
    columns |= _ranged(
        "outstanding", forecast.settled(forecast.parts("outstanding", None)[:, :, ends]), is_wide=True
    )
    liability = forecast.mean("liability")[ends]
    columns["liability"] = liability.tolist()
    return Table(columns, title=title(forecast, step), notes=notes(forecast), formats=_shortened(columns))


def month_name(forecast: Series, month: int) -> str:
    """Return a month's name, such as 2027-01."""
    start = forecast.setting.start
    total = start.year * 12 + start.month - 1 + month
    return f"{total // 12}-{total % 12 + 1:02d}"


def title(forecast: Series, step: int) -> str:
    """Return the title of the table of points."""
    unit = "per month" if step == 1 else "per quarter"
    return (
        f"{forecast.setting.name}: {forecast.months} months, points {unit} (5% – 95%), outstanding at its end"
    )


def notes(forecast: Series) -> Any:
    """Return what a reader must know: replications, sample, noise, and what the money is."""
    of_mean, of_sample = forecast.noise
    sample = forecast.setting.sample
    drawn = "all members" if sample is None else f"{sample:,} members drawn per group"
    money = f", in {forecast.setting.money}" if forecast.setting.money else ""
    notes = []
    if not forecast.is_whole:
        notes.append(
            f"PARTIAL: stopped after {forecast.replications:,} of {forecast.setting.asked_replications:,} replications."
        )
    notes.append(
        f"{forecast.replications:,} replications, seed {forecast.setting.seed}; {drawn} in each, scaled up. "
        f"Sampling noise: one sample's total issued varies by ±{of_sample:.1%} from chance among its members "
        f"(taken out of the ranges), its mean over replications is good to ±{of_mean:.2%}."
    )
    if forecast.bound.any():
        notes.append(
            f"In {int(forecast.bound.sum()):,} replications a limit shared by all members bound in the sample."
        )
    if forecast.data["clawed_back"].any():
        taken = short(float(forecast.total("clawed_back").mean()))
        notes.append(f"Cancellations took {taken} points back, in the mean over the horizon.")
    notes += [*plan_notes(forecast), *noise_notes(forecast)]
    notes.append(
        f"Liability: what the outstanding points will cost{money}: at their funds' unit cost, as far as they "
        f"are redeemed in the end ({_rates_in_words(forecast)})."
    )
    return tuple(notes)


def plan_notes(forecast: Series) -> list[str]:
    """Return what of the plan and the program does not meet: a name may be misspelt."""
    setting, found = forecast.setting, []
    if setting.unheard:
        found.append(f"No rule listens to what members do: {', '.join(setting.unheard)}.")
    if setting.unasked:
        found.append(f"Members never do what these rules listen to: {', '.join(setting.unasked)}.")
    return found


def noise_notes(forecast: Series) -> list[str]:
    """Return where chance among the sample's members made a budget bind that the real population would keep."""
    found = []
    for place, fund in enumerate(forecast.setting.funds):
        if forecast.setting.budgets[place] is None:
            continue
        real, sample = forecast.probability_over_budget(fund), forecast.over_in_the_sample(fund)
        if sample - real.overall > max(0.01, 2 * real.error):
            found.append(
                f"Fund {fund}: its budget bound in {sample:.1%} of the samples, and binds in {real.overall:.1%} "
                "at the real size. Its refused points are overstated by that, its issued points understated: "
                "draw a larger sample."
            )
    return found


def budget_table(forecast: Series) -> Table:
    """Return the funds: asked, issued, budget, and the chance to be over it."""
    rows = []
    for place, fund in enumerate(forecast.setting.funds):
        budget = forecast.setting.budgets[place]
        over = None if budget is None else forecast.probability_over_budget(fund)
        rows.append(
            {
                "fund": fund,
                "asked": float(forecast.total("asked", fund).mean()),
                "issued": float(forecast.total("issued", fund).mean()),
                "refused": float(forecast.total("refused", fund).mean()),
                "redeemed": float(forecast.total("redeemed", fund).mean()),
                "cost": float(forecast.total("cost", fund).mean()),
                "budget": None if budget is None else f"{short(budget[0])} per {budget[1]}",
                "P(over)": None if over is None else f"{over.overall:.1%} ±{over.error:.1%}",
            }
        )
    names = ("fund", "asked", "issued", "refused", "redeemed", "cost", "budget", "P(over)")
    title = f"Funds over {forecast.months} months (means; ± one standard error)"
    return Table.of_rows(rows, names, title=title, formats=_shortened(names))


def over_html(forecast: Series) -> str:
    """Return a chart for each budget: what is asked so far in its period."""
    shown = []
    for place, fund in enumerate(forecast.setting.funds):
        budget = forecast.setting.budgets[place]
        if budget is not None:
            names = [month_name(forecast, month) for month in range(forecast.months)]
            title = f"{fund}: asked so far in the budget period; budget {short(budget[0])} per {budget[1]}"
            asked = forecast.asked_so_far(place, budget[1])
            shown.append(fan_chart(asked, title=title, names=names, line=float(budget[0])))
    return "".join(shown) or "<p>No fund has a budget.</p>"


def accounting_table(forecast: Series) -> Table:
    """Return each fund's money: what a point costs, how many are redeemed in the end, paid and still owed."""
    rates, setting = forecast.redemption_rates.mean(axis=0), forecast.setting
    rows = []
    for place, fund in enumerate(setting.funds):
        owed = forecast.values("liability", fund)[:, -1]
        low, high = np.quantile(owed, [0.05, 0.95])
        rows.append(
            {
                "fund": fund,
                "kind": setting.accounts[place].kind,
                "unit cost": setting.accounts[place].unit_cost,
                "redeemed in the end": float(rates[place]),
                "paid": float(forecast.total("cost", fund).mean()),
                "owed": float(owed.mean()),
                "5–95%": f"{_rough(low)}–{_rough(high)}",
            }
        )
    names = ("fund", "kind", "unit cost", "redeemed in the end", "paid", "owed", "5–95%")
    note = (
        "Paid: what was redeemed, at unit cost. Owed at the end: for revenue a contract liability, for an expense "
        "an accrued cost; both are unit cost · (share redeemed in the end · issued - redeemed)."
    )
    title = f"Money over {forecast.months} months (means)"
    return Table.of_rows(
        rows,
        names,
        title=title,
        notes=[note],
        formats=_shortened(names) | {"unit cost": str, "redeemed in the end": ".1%"},
    )


def _rates_in_words(forecast: Series) -> str:
    rates, setting = forecast.redemption_rates.mean(axis=0), forecast.setting
    known = []
    for place, fund in enumerate(setting.funds):
        stated = setting.redemption_rates[place] is not None
        if stated or forecast.matured[..., place].any():
            known.append(f"{fund} {rates[place]:.0%}{' by the plan' if stated else ''}")
    if not known:
        return "all are expected back: none expires within the horizon"
    return f"of what expires within the horizon: {', '.join(known)}"


def rule_table(forecast: Series) -> Table:
    """Return what each rule issues, is refused and costs over the horizon (means)."""
    found = {name: forecast.by_rule(name) for name in RULE_SERIES}
    funds = dict(zip(forecast.setting.rules, forecast.setting.rule_funds, strict=True))
    rows = [
        {
            "rule": rule,
            "fund": forecast.setting.funds[fund],
            **{name: float(found[name][rule].sum()) for name in RULE_SERIES},
        }
        for rule, fund in funds.items()
        if fund >= 0
    ]
    note = "Cost: the points issued, at unit cost, as far as they are redeemed in the end."
    names = ("rule", "fund", *RULE_SERIES)
    return Table.of_rows(
        rows,
        names,
        title=f"Rules over {forecast.months} months (means)",
        notes=[note],
        formats=_shortened(names),
    )


def rules_and_members(forecast: Series) -> str:
    """Return the tables of rules and members as HTML."""
    tables = [rule_table(forecast), member_table(forecast)]
    tables += [tier_table(forecast)] if forecast.setting.tiers else []
    return "".join(one._repr_html_() for one in tables)


def tier_table(forecast: Series) -> Table:
    """Return the active members by tier, at the end of every third month."""
    found = forecast.members_by_tier()
    # Where the lowest tier is everybody's, nobody stands below it.
    named = {name or "no tier": one for name, one in found.items() if name is not None or one.any()}
    return _members(forecast, named, "by tier")


def columns_by(forecast: Series, by: str) -> dict[str, Array]:
    """Return means by month of rules, groups or tiers as columns."""
    columns: dict[str, list[Any]]
    if by == "rule":
        columns = {"month": [], by: [], "series": [], "mean": []}
        for series in RULE_SERIES:
            for rule, values in forecast.by_rule(series).items():
                columns[by] += [rule] * forecast.months
                columns["series"] += [series] * forecast.months
                columns["mean"] += values.tolist()
    elif by in ("group", "tier"):
        columns = {"month": [], by: [], "members": []}
        found: Mapping[Any, Array] = forecast.members() if by == "group" else forecast.members_by_tier()
        for name, values in found.items():
            columns[by] += ["" if name is None else name] * forecast.months
            columns["members"] += values.tolist()
    else:
        raise InvalidValue(f"columns are by fund, rule, group or tier, not {str(by)[:60]!r}")
    repeats = len(columns[by]) // forecast.months
    columns["month"] = list(range(1, forecast.months + 1)) * repeats
    return {name: np.array(values) for name, values in columns.items()}


def member_table(forecast: Series) -> Table:
    """Return the active members by group, at the end of every third month."""
    return _members(forecast, forecast.members(), "")


def _members(forecast: Series, found: Mapping[str, Array], by: str) -> Table:
    ends = [*range(2, forecast.months, 3)] or [forecast.months - 1]
    columns: dict[str, Sequence[Any]] = {"month": [month_name(forecast, end) for end in ends]}
    columns |= {name: [round(float(one[end])) for end in ends] for name, one in found.items()}
    return Table(columns, title=f"Active members{f' {by}' if by else ''} (means)")


def _ranged(name: str, values: Array, *, is_wide: bool = False) -> dict[str, list[Any]]:
    low, high = np.quantile(values, [0.05, 0.95], axis=0)
    found: dict[str, list[Any]] = {name: values.mean(axis=0).tolist()}
    if is_wide or name == "issued":
        found[_RANGE[name]] = [f"{_rough(a)}–{_rough(b)}" for a, b in zip(low, high, strict=True)]
    return found


def _shortened(names: Iterable[str]) -> dict[str, Format]:
    """Show the figures of these columns in four digits, and what is no figure as it is."""
    return {name: lambda value: value if isinstance(value, str) else short(value) for name in names}


#: Heads of the columns of ranges, told apart by what the eye does not see.
_RANGE = {"issued": "5–95%", "outstanding": "5–95% "}


def _rough(value: float) -> str:
    """Return a figure in two digits: what a range needs."""
    return short(float(f"{value:.2g}"))
