"""What a columnar replay is measured against: compiled loops (numba), SQL windows (duckdb), a heap in Python."""

from __future__ import annotations

import heapq

import numba
import numpy as np

NEVER = 2**63 - 1


@numba.njit
def numba_fifo(member, kind, points, at, expires_at, members):
    """Replay lots that expire in earning order: one queue per member, as a linked list over the rows."""
    n = len(member)
    head, tail = np.full(members, -1, np.int32), np.full(members, -1, np.int32)
    following = np.empty(n, np.int32)
    left, outcome = np.zeros(n, np.int64), np.zeros(n, np.int8)
    event, lot, taken = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    count = 0
    for row in range(n):
        who = member[row]
        if kind[row] == 0:
            left[row] = points[row]
            following[row] = -1
            if head[who] < 0:
                head[who] = row
            else:
                following[tail[who]] = row
            tail[who] = row
            continue
        now, wanted = at[row], points[row]
        first = head[who]
        while first >= 0 and expires_at[first] <= now:
            first = following[first]
        head[who] = first
        # Only if the first lot does not suffice must the others be added up.
        total, one = 0, first
        while one >= 0 and total < wanted:
            total += left[one]
            one = following[one]
        if total < wanted:
            outcome[row] = 1
            continue
        while wanted > 0:
            part = min(left[first], wanted)
            left[first] -= part
            wanted -= part
            event[count], lot[count], taken[count] = row, first, part
            count += 1
            if left[first] == 0:
                first = following[first]
        head[who] = first
    return outcome, event[:count], lot[:count], taken[:count], left


@numba.njit
def numba_general(member, kind, points, at, expires_at, undoes, members):
    """Replay any expiry and reversals: live lots of a member as a list in order of expiry, entered from its end."""
    n = len(member)
    head, tail = np.full(members, -1, np.int32), np.full(members, -1, np.int32)
    after, before = np.empty(n, np.int32), np.empty(n, np.int32)
    left, outcome, undone = np.zeros(n, np.int64), np.zeros(n, np.int8), np.zeros(n, np.int64)
    live = np.zeros(n, np.bool_)
    first_part, parts = np.zeros(n, np.int64), np.zeros(n, np.int32)
    size = n + n // 2 + 16
    event, lot, taken = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.int64)
    count = 0
    for row in range(n):
        who, now = member[row], at[row]
        if kind[row] == 0:
            left[row] = points[row]
            _enter(row, who, expires_at, head, tail, after, before)
            live[row] = True
        elif kind[row] == 1:
            wanted = points[row]
            one = head[who]
            while one >= 0 and expires_at[one] <= now:
                live[one] = False
                one = after[one]
            head[who] = one
            if one >= 0:
                before[one] = -1
            else:
                tail[who] = -1
            total = 0
            while one >= 0 and total < wanted:
                total += left[one]
                one = after[one]
            if total < wanted:
                outcome[row] = 1
                continue
            one = head[who]
            first_part[row] = count
            while wanted > 0:
                part = min(left[one], wanted)
                left[one] -= part
                wanted -= part
                if count == size:
                    event, lot, taken = _more(event), _more(lot), _more(taken)
                    size = len(event)
                event[count], lot[count], taken[count] = row, one, part
                count += 1
                if left[one] == 0:
                    live[one] = False
                    one = after[one]
            parts[row] = count - first_part[row]
            head[who] = one
            if one >= 0:
                before[one] = -1
            else:
                tail[who] = -1
        else:
            target = undoes[row]
            if target >= row or kind[target] == 2 or outcome[target] != 0:
                outcome[row] = 3
                continue
            open_ = points[target] - undone[target]
            wanted = points[row] if points[row] > 0 else open_
            if open_ < 1 or wanted > open_:
                outcome[row] = 2
                continue
            if kind[target] == 0:
                part = min(wanted, left[target]) if expires_at[target] > now else 0
                undone[target] += part
                if part > 0:
                    left[target] -= part
                    if count == size:
                        event, lot, taken = _more(event), _more(lot), _more(taken)
                        size = len(event)
                    event[count], lot[count], taken[count] = row, target, part
                    count += 1
                    if left[target] == 0:
                        live[target] = False
                        _leave(target, who, head, tail, after, before)
                continue
            skip = undone[target]
            undone[target] += wanted
            place = first_part[target] + parts[target] - 1
            while wanted > 0:
                there = taken[place]
                passed = min(skip, there)
                skip -= passed
                part = min(wanted, there - passed)
                if part > 0:
                    wanted -= part
                    one = lot[place]
                    left[one] += part
                    if not live[one] and expires_at[one] > now:
                        live[one] = True
                        _enter(one, who, expires_at, head, tail, after, before)
                    if count == size:
                        event, lot, taken = _more(event), _more(lot), _more(taken)
                        size = len(event)
                    event[count], lot[count], taken[count] = row, one, part
                    count += 1
                place -= 1
    return outcome, event[:count], lot[:count], taken[:count], left


@numba.njit
def _grouped(member, members):
    """Return the rows member by member: a counting sort."""
    ends = np.zeros(members + 1, np.int64)
    for row in range(len(member)):
        ends[member[row] + 1] += 1
    for who in range(members):
        ends[who + 1] += ends[who]
    order = np.empty(len(member), np.int32)
    for row in range(len(member)):
        who = member[row]
        order[ends[who]] = row
        ends[who] += 1
    return order


@numba.njit
def numba_grouped_fifo(member, kind, points, at, expires_at, members):
    """The same queue, but members one after the other: the rows are brought together first."""
    n = len(member)
    order = _grouped(member, members)
    queue = np.empty(n, np.int32)
    left, outcome = np.zeros(n, np.int64), np.zeros(n, np.int8)
    event, lot, taken = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    count, who, first, end = 0, -1, 0, 0
    for place in range(n):
        row = order[place]
        if member[row] != who:
            who, first, end = member[row], 0, 0
        if kind[row] == 0:
            left[row] = points[row]
            queue[end] = row
            end += 1
            continue
        now, wanted = at[row], points[row]
        while first < end and expires_at[queue[first]] <= now:
            first += 1
        total, one = 0, first
        while one < end and total < wanted:
            total += left[queue[one]]
            one += 1
        if total < wanted:
            outcome[row] = 1
            continue
        while wanted > 0:
            source = queue[first]
            part = min(left[source], wanted)
            left[source] -= part
            wanted -= part
            event[count], lot[count], taken[count] = row, source, part
            count += 1
            if left[source] == 0:
                first += 1
    return outcome, event[:count], lot[:count], taken[:count], left


@numba.njit
def numba_grouped_general(member, kind, points, at, expires_at, undoes, members):
    """The general replay over columns that were brought together member by member first."""
    order = _grouped(member, members)
    n = len(member)
    place = np.empty(n, np.int32)
    for k in range(n):
        place[order[k]] = k
    moved = np.empty(n, np.int64)
    for k in range(n):
        target = undoes[order[k]]
        moved[k] = place[target] if target >= 0 else -1
    outcome, event, lot, taken, left = numba_general(
        member[order], kind[order], points[order], at[order], expires_at[order], moved, members
    )
    outcome_by_row, left_by_row = np.empty_like(outcome), np.empty_like(left)
    for k in range(n):
        outcome_by_row[order[k]] = outcome[k]
        left_by_row[order[k]] = left[k]
    for k in range(len(event)):
        event[k] = order[event[k]]
        lot[k] = order[lot[k]]
    return outcome_by_row, event, lot, taken, left_by_row


@numba.njit
def _more(values):
    bigger = np.empty(len(values) + len(values) // 2, values.dtype)
    bigger[: len(values)] = values
    return bigger


@numba.njit
def _enter(row, who, expires_at, head, tail, after, before):
    behind = tail[who]
    while behind >= 0 and (
        expires_at[behind] > expires_at[row] or (expires_at[behind] == expires_at[row] and behind > row)
    ):
        behind = before[behind]
    before[row] = behind
    if behind < 0:
        after[row] = head[who]
        head[who] = row
    else:
        after[row] = after[behind]
        after[behind] = row
    if after[row] < 0:
        tail[who] = row
    else:
        before[after[row]] = row


@numba.njit
def _leave(row, who, head, tail, after, before):
    if before[row] < 0:
        head[who] = after[row]
    else:
        after[before[row]] = after[row]
    if after[row] < 0:
        tail[who] = before[row]
    else:
        before[after[row]] = before[row]


def plain_heap(member, kind, points, at, expires_at, undoes):
    """Replay in plain Python: a heap of lots per member, over lists, with reversals."""
    member, kind, points, at, expires_at = (
        column.tolist() for column in (member, kind, points, at, expires_at)
    )
    undoes = None if undoes is None else undoes.tolist()
    heaps: dict[int, list[tuple[int, int]]] = {}
    balances: dict[int, int] = {}
    left, outcome, undone = [0] * len(member), bytearray(len(member)), {}
    paid: dict[int, list[tuple[int, int]]] = {}
    allocations = []
    for row, (who, what, size, now) in enumerate(zip(member, kind, points, at, strict=True)):
        heap = heaps.get(who)
        if heap is None:
            heap = heaps[who] = []
            balances[who] = 0
        while heap and (heap[0][0] <= now or not left[heap[0][1]]):
            balances[who] -= left[heapq.heappop(heap)[1]]
        if what == 0:
            left[row] = size
            balances[who] += size
            heapq.heappush(heap, (expires_at[row], row))
        elif what == 1:
            if size > balances[who]:
                outcome[row] = 1
                continue
            balances[who] -= size
            parts = []
            while size:
                lot = heap[0][1]
                part = min(left[lot], size)
                left[lot] -= part
                size -= part
                if part:
                    parts.append((lot, part))
                    allocations.append((row, lot, part))
                if not left[lot]:
                    heapq.heappop(heap)
            if undoes is not None:
                paid[row] = parts
        else:
            target = undoes[row]
            if target >= row or kind[target] == 2 or outcome[target]:
                outcome[row] = 3
                continue
            done = undone.get(target, 0)
            rest = points[target] - done
            wanted = size or rest
            if rest < 1 or wanted > rest:
                outcome[row] = 2
                continue
            if kind[target] == 0:
                part = min(wanted, left[target]) if expires_at[target] > now else 0
                undone[target] = done + part
                left[target] -= part
                balances[who] -= part
                if part:
                    allocations.append((row, target, part))
                continue
            undone[target] = done + wanted
            for lot, there in reversed(paid[target]):
                passed = min(done, there)
                done -= passed
                part = min(wanted, there - passed)
                if part:
                    wanted -= part
                    if expires_at[lot] > now:
                        balances[who] += part
                        if not left[lot]:
                            heapq.heappush(heap, (expires_at[lot], lot))
                    left[lot] += part
                    allocations.append((row, lot, part))
    return outcome, allocations, left
