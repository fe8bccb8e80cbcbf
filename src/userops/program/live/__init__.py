"""The live path: an event is decided on a member's past, and posted."""

from __future__ import annotations

from userops.program.live.events import most_of_bill
from userops.program.live.state import State
from userops.program.live.transaction import decide, handle, state_of

__all__ = ["State", "decide", "handle", "most_of_bill", "state_of"]
