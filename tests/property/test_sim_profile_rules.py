"""The composite limit against an evaluator that only knows the rules and looks second by second."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridleaf.domain.site import Evse
from gridleaf.sim.profiles import Allowance, Period, Profile, Situation, allowance, composite

EPOCH = 1_767_614_400.25
HORIZON_S = 90
DAY_S = 40.0
"""A day of these tests: the rule of recurrence is the same whatever its length."""


@st.composite
def profiles(draw: st.DrawFn, number: int) -> Profile:
    purpose = draw(st.sampled_from(["station_max", "external", "tx_default", "tx"]))
    kind = draw(st.sampled_from(["absolute", "recurring", "relative", "dynamic"]))
    starts = [0, *sorted(draw(st.sets(st.integers(1, 50), max_size=3)))]
    if kind == "dynamic":
        starts = [0]
    v2x = purpose.startswith("tx") and draw(st.booleans())
    periods = []
    for start in starts:
        limit = float(draw(st.integers(0, 25))) * 1000
        if v2x:
            setpoint = float(draw(st.integers(-25, 25))) * 1000
            floor = draw(st.sampled_from([None, -5000.0]))
            periods.append(
                Period(
                    start_s=start,
                    setpoint=setpoint,
                    discharge_limit=floor,
                    limit=draw(st.sampled_from([None, limit])),
                    mode="CentralSetpoint",
                )
            )
        else:
            periods.append(Period(start_s=start, limit=limit))
    offset = st.integers(-30, HORIZON_S)
    return Profile(
        id=number,
        evse_id=0 if purpose == "station_max" else draw(st.sampled_from([0, 1, 2])),
        purpose=purpose,
        stack_level=draw(st.integers(0, 3)),
        kind=kind,
        unit="W",
        periods=tuple(periods),
        start=None if kind in ("relative", "dynamic") else EPOCH + draw(offset),
        duration_s=draw(st.sampled_from([math.inf, 15.0, 33.0])),
        recurs_s=DAY_S if kind == "recurring" else math.inf,
        valid_from=draw(st.sampled_from([-math.inf, EPOCH + 10])),
        valid_to=draw(st.sampled_from([math.inf, EPOCH + 45])),
        transaction_id=draw(st.sampled_from([None, "T", "other"])) if purpose == "tx" else None,
        max_offline_s=draw(st.sampled_from([math.inf, 0.0, 20.0])),
        updated_at=EPOCH + draw(offset),
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Profile], Situation]:
    many = [draw(profiles(number)) for number in range(draw(st.integers(0, 6)))]
    in_transaction = draw(st.booleans())
    return many, Situation(
        evse=Evse(id=1, current="DC", charge_max_kw=22.0, discharge_max_kw=20.0),
        voltage_v=230.0,
        transaction_id="T" if in_transaction else None,
        began=EPOCH - 12 if in_transaction else None,
        offline_since=draw(st.sampled_from([None, EPOCH - 5, EPOCH + 17])),
        sharing=draw(st.sampled_from([1, 2])),
        may_discharge=draw(st.booleans()),
    )


def rate_of(profile: Profile, situation: Situation, at: float) -> Period | None:
    """The period of one profile at one instant, from the words of the specification."""
    if not profile.valid_from <= at < profile.valid_to:
        return None
    lost = situation.offline_since
    if lost is not None and at >= lost and at - lost >= profile.max_offline_s:
        return None
    begin = {
        "absolute": profile.start,
        "recurring": profile.start,
        "relative": situation.began,
        "dynamic": profile.updated_at,
    }[profile.kind]
    if begin is None or at < begin:
        return None
    elapsed = at - begin
    if profile.kind == "recurring":
        elapsed %= DAY_S
    if elapsed >= profile.duration_s:
        return None
    return [p for p in profile.periods if p.start_s <= elapsed][-1]


def brute(many: list[Profile], situation: Situation, at: float) -> float:
    def lead(purpose: str) -> tuple[Profile, Period] | None:
        best: tuple[tuple[int, bool], Profile, Period] | None = None
        for p in many:
            if p.purpose != purpose or p.evse_id == 2:
                continue
            if purpose == "tx" and p.transaction_id not in (None, situation.transaction_id):
                continue
            period = rate_of(p, situation, at)
            rank = (p.stack_level, p.evse_id == 1)
            if period is not None and (best is None or rank > best[0]):
                best = rank, p, period
        return None if best is None else best[1:]

    ruling = (lead("tx") if situation.transaction_id else None) or lead("tx_default")
    top = situation.evse.charge_max_kw
    for cap in (lead("station_max"), lead("external")):
        if cap is not None and cap[1].limit is not None:
            share = situation.sharing if cap[0].evse_id == 0 else 1
            top = min(top, cap[1].limit / 1000 / share)
    if ruling is None:
        return top
    period = ruling[1]
    if period.limit is not None:
        top = min(top, period.limit / 1000)
    if period.setpoint is None:
        return top
    bottom = situation.evse.discharge_max_kw if situation.may_discharge else 0.0
    if period.discharge_limit is not None:
        bottom = min(bottom, -period.discharge_limit / 1000)
    return min(max(period.setpoint / 1000, -bottom), top)


@settings(max_examples=300, deadline=None)
@given(cases())
def test_the_composite_limit_is_what_the_rules_say_at_every_second(
    case: tuple[list[Profile], Situation],
) -> None:
    many, situation = case
    unique = {(p.purpose, p.stack_level, p.evse_id): p for p in many}
    many = list(unique.values())
    schedule = composite(many, situation, EPOCH, HORIZON_S)
    for second in range(HORIZON_S):
        expected = brute(many, situation, EPOCH + second)
        assert allowance(many, situation, EPOCH + second).target_kw == pytest.approx(expected)
        held = [a for start, a in schedule if start <= second + 1e-6][-1]
        assert held.target_kw == pytest.approx(expected)


@settings(max_examples=200, deadline=None)
@given(cases(), st.floats(0, HORIZON_S))
def test_an_allowance_stands_exactly_as_long_as_it_says(
    case: tuple[list[Profile], Situation], offset: float
) -> None:
    many, situation = case
    at = EPOCH + offset
    now = allowance(many, situation, at)
    assert now.until > at
    if math.isfinite(now.until):
        just_before = allowance(many, situation, math.nextafter(now.until, 0))
        assert _same(just_before, now)


def _same(one: Allowance, other: Allowance) -> bool:
    return (one.target_kw, one.charge_kw, one.discharge_kw, one.mode) == (
        other.target_kw,
        other.charge_kw,
        other.discharge_kw,
        other.mode,
    )
