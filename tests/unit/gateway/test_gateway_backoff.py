from __future__ import annotations

from datetime import timedelta

from gateway_fakes import START
from gridleaf.gateway.backoff import Backoff


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self):
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


def test_an_address_has_five_guesses_at_an_identity_and_then_one_in_thirty_seconds() -> None:
    clock = Hand()
    backoff = Backoff(clock)
    for _ in range(5):
        assert backoff.wait_s("10.0.0.1", "CP1") == 0
        backoff.failed("10.0.0.1", "CP1")
    assert backoff.wait_s("10.0.0.1", "CP1") == 30
    clock.seconds = 29.0
    assert backoff.wait_s("10.0.0.1", "CP1") > 0
    clock.seconds = 30.0
    assert backoff.wait_s("10.0.0.1", "CP1") == 0


def test_one_misconfigured_station_does_not_lock_out_its_neighbours_behind_the_same_address() -> (
    None
):
    clock = Hand()
    backoff = Backoff(clock)
    for _ in range(1000):
        clock.seconds += 10
        if backoff.wait_s("10.0.0.1", "BROKEN") == 0:
            backoff.failed("10.0.0.1", "BROKEN")
        assert backoff.wait_s("10.0.0.1", "CP1") == 0


def test_an_address_that_sweeps_identities_is_slowed_down_for_all_of_them() -> None:
    backoff = Backoff(Hand())
    tried = 0
    for number in range(50):
        if backoff.wait_s("10.0.0.1", f"CP{number}") == 0:
            tried += 1
            backoff.failed("10.0.0.1", f"CP{number}")
    assert tried == 20
    assert backoff.wait_s("10.0.0.1", "ANY") == 5
    assert backoff.wait_s("10.0.0.2", "ANY") == 0


def test_an_identity_under_siege_leaves_each_address_one_guess_and_still_hears_the_genuine_one() -> (
    None
):
    backoff = Backoff(Hand())
    for number in range(25):
        backoff.failed(f"10.0.1.{number}", "CP1")
    assert backoff.wait_s("10.0.2.1", "CP1") == 0
    backoff.failed("10.0.2.1", "CP1")
    assert backoff.wait_s("10.0.2.1", "CP1") > 0
    assert backoff.wait_s("192.0.2.7", "CP1") == 0


def test_success_clears_the_pair_but_not_the_address() -> None:
    backoff = Backoff(Hand())
    for _ in range(4):
        backoff.failed("10.0.0.1", "CP1")
    backoff.succeeded("10.0.0.1", "CP1")
    for _ in range(4):
        backoff.failed("10.0.0.1", "CP1")
    assert backoff.wait_s("10.0.0.1", "CP1") == 0
    for number in range(12):
        backoff.failed("10.0.0.1", f"X{number}")
    backoff.succeeded("10.0.0.1", "CP1")
    assert backoff.wait_s("10.0.0.1", "CP1") > 0


def test_memory_is_bounded_whatever_comes() -> None:
    backoff = Backoff(Hand(), size=100)
    for number in range(5000):
        backoff.failed(f"10.{number // 256}.{number % 256}.1", f"CP{number}")
    assert len(backoff) == 300


def test_an_ipv6_subscriber_cannot_hide_in_his_own_network() -> None:
    backoff = Backoff(Hand())
    for number in range(5):
        backoff.failed(f"2001:db8::{number:x}", "CP1")
    assert backoff.wait_s("2001:db8::ffff", "CP1") > 0
    assert backoff.wait_s("2001:db8:0:1::1", "CP1") == 0
    for _ in range(5):
        backoff.failed("::ffff:10.0.0.9", "CP2")
    assert backoff.wait_s("10.0.0.9", "CP2") > 0
