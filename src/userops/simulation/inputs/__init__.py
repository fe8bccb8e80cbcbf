"""What a simulation runs on: horizon, population, behaviour and rules, as a plan file and its program state them."""

from __future__ import annotations

from userops.simulation.inputs.cancellation import BILL
from userops.simulation.inputs.checks import MOST_KINDS
from userops.simulation.inputs.clock import NEVER, Clock, buckets_of
from userops.simulation.inputs.distributions import number
from userops.simulation.inputs.knobs import turned, without_events
from userops.simulation.inputs.population import World
from userops.simulation.inputs.rulebook import (
    PreparedLimit,
    PreparedRule,
    Rulebook,
    fields_read_on,
    needs_tier,
)
from userops.simulation.inputs.spec import (
    Run,
    Spec,
    group_names,
    heard_kinds,
    read_spec,
    rule_names,
    unit_costs,
    value_only_funds,
)
from userops.simulation.inputs.which_pass import Lot, is_line, is_narrow, spending_order

__all__ = [
    "BILL",
    "MOST_KINDS",
    "NEVER",
    "Clock",
    "Lot",
    "PreparedLimit",
    "PreparedRule",
    "Rulebook",
    "Run",
    "Spec",
    "World",
    "buckets_of",
    "fields_read_on",
    "group_names",
    "heard_kinds",
    "is_line",
    "is_narrow",
    "needs_tier",
    "number",
    "read_spec",
    "rule_names",
    "spending_order",
    "turned",
    "unit_costs",
    "value_only_funds",
    "without_events",
]
