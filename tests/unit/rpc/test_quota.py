"""Quotas: how often a client may call, and what it is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.errors import Full
from realign_daemon.rpc.quota import BURST_S, MOST_CLIENTS, Quotas, TokenBucket
from realign_daemon.testing.manual_clock import ManualClock
from realign_daemon.trust.keys import SpkiHash
from realign_daemon.trust.principal import OWNER, Principal


def client(name: str) -> Principal:
    return Principal(kind="client", role="submit", name=name, spki=SpkiHash(name))


def admitted(quotas: Quotas, caller: Principal, calls: int) -> int:
    done = 0
    for _ in range(calls):
        try:
            quotas.admit(caller)
        except Full:
            continue
        done += 1
    return done


def test_a_client_may_burst_and_then_calls_at_its_rate() -> None:
    clock = ManualClock()
    quotas = Quotas(calls_per_s=10, clock=clock)
    assert admitted(quotas, client("ann"), 100) == 10 * BURST_S
    clock.advance(0.5)
    assert admitted(quotas, client("ann"), 100) == 5
    clock.advance(3600.0)
    assert admitted(quotas, client("ann"), 100) == 10 * BURST_S


def test_one_client_takes_nothing_from_another_and_nodes_and_owners_are_not_counted() -> None:
    quotas = Quotas(calls_per_s=1, clock=ManualClock())
    admitted(quotas, client("ann"), 100)
    node = Principal(kind="node", role="node", name="studio", spki=SpkiHash("s"))
    assert admitted(quotas, client("bob"), 1) == 1
    assert admitted(quotas, node, 1000) == admitted(quotas, OWNER, 1000) == 1000
    assert admitted(Quotas(calls_per_s=0, clock=ManualClock()), client("ann"), 1000) == 1000


def test_a_client_that_calls_too_often_is_told_who_how_often_and_when_again() -> None:
    quotas = Quotas(calls_per_s=2, clock=ManualClock())
    admitted(quotas, client("ann"), 100)
    with pytest.raises(Full, match=r"ann calls more than 2 times a second; try again in 0\.5 s"):
        quotas.admit(client("ann"))


def test_strangers_do_not_fill_the_memory() -> None:
    quotas = Quotas(calls_per_s=1, clock=ManualClock())
    for number in range(3 * MOST_CLIENTS):
        quotas.admit(client(str(number)))
    assert len(quotas) == MOST_CLIENTS


@given(st.lists(st.floats(0.0, 10.0), max_size=60), st.floats(0.1, 50.0), st.floats(1.0, 50.0))
def test_no_span_of_time_lets_more_through_than_its_rate_and_one_burst(
    waits: list[float], per_s: float, size: float
) -> None:
    bucket = TokenBucket(per_s=per_s, size=size, level=size, at_s=0.0)
    now_s = 0.0
    taken = 0
    for wait_s in waits:
        now_s += wait_s
        needed_s = bucket.take(now_s)
        if needed_s == 0.0:
            taken += 1
        else:
            assert bucket.take(now_s + needed_s + 1e-6) == 0.0
            now_s += needed_s + 1e-6
            taken += 1
        assert taken <= size + now_s * per_s + 1e-6
