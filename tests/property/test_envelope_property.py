"""On random sites no plan, however wrong, gets the envelope to break a limit (invariants 1 to 3)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import ac_evse, evse, session, state
from gridleaf.control.envelope import envelope
from gridleaf.control.limits import path_to_grid, phase_currents_a, static_shares_kw, tree
from gridleaf.control.types import EvseState, SiteState
from gridleaf.domain.site import SiteConfig, parse

powers = st.floats(-60, 60, allow_nan=False)


@st.composite
def situations(draw: st.DrawFn) -> tuple[SiteConfig, SiteState, dict[str, float]]:
    count = draw(st.integers(1, 6))
    circuits: list[dict[str, Any]] = []
    for n in range(draw(st.integers(0, 3))):
        parent = draw(st.sampled_from(["", *(c["id"] for c in circuits)]))
        fuse = draw(st.none() | st.floats(5, 80))
        limit = draw(st.floats(1, 60))
        circuits.append({"id": f"c{n}", "parent": parent, "import_limit_kw": limit, "fuse_a": fuse})
    stations, evses, wanted = [], [], {}
    for n in range(count):
        name = f"S{n}"
        circuit = draw(st.sampled_from(["", *(c["id"] for c in circuits)]))
        dc = draw(st.booleans())
        phases = 3 if dc else draw(st.sampled_from([1, 3]))
        phase = draw(st.sampled_from([1, 2, 3]))
        most = 22.0 if dc else 7.4 if phases == 1 else 11.0
        stations.append(
            {
                "id": name,
                "circuit": circuit,
                "evses": [
                    {
                        "id": 1,
                        "current": "DC" if dc else "AC",
                        "charge_max_kw": most,
                        "discharge_max_kw": most if dc else 0,
                        "phases": phases,
                        "phase": phase,
                    }
                ],
            }
        )
        common: dict[str, Any] = {
            "circuit": circuit,
            "online": draw(st.booleans()),
            "obeying": draw(st.sampled_from([True, True, True, False])),
            "power_kw": draw(st.floats(-most if dc else 0, most)),
            "rung": draw(st.integers(0, 5)),
            "refuses_zero": draw(st.booleans()),
            "unpausable": draw(st.booleans()),
            "worst_import_kw": draw(st.floats(0, most)),
            "phases": phases,
            "phase": phase,
        }
        who = session(
            name,
            energy_kwh=draw(st.floats(0, 40)),
            soc=draw(st.none() | st.just(0.5)),
            v2g=draw(st.booleans()),
            charge_min_kw=draw(st.just(0.0) | st.floats(0, 7)),
            discharge_min_kw=draw(st.just(0.0) | st.floats(0, 7)),
            v2x_from_kwh=draw(st.just(0.0) | st.floats(0, 40)),
        )
        make = evse if dc else ac_evse
        evses.append(make(name, session=who, charge_max_kw=most, **common))
        wanted[name] = draw(powers)
    site = parse(
        {
            "name": "random",
            "import_limit_kw": draw(st.floats(1, 80)),
            "export_limit_kw": draw(st.floats(0, 80)),
            "fuse_a": draw(st.none() | st.floats(10, 120)),
            "circuits": circuits,
            "stations": stations,
        }
    )
    fresh = draw(st.booleans())
    situation = state(
        *evses,
        meter_fresh=fresh,
        base_kw=draw(st.floats(-50, 50)) if fresh else 0.0,
        import_limit_kw=site.import_limit_kw,
        export_limit_kw=site.export_limit_kw,
    )
    return site, situation, wanted


def reserved(evses: tuple[EvseState, ...], inside: set[str]) -> tuple[float, float]:
    held = [e for e in evses if e.key in inside and not (e.online and e.obeying)]
    return sum(e.worst_import_kw for e in held), sum(e.worst_export_kw for e in held)


@given(situations())
@settings(max_examples=300, deadline=None)
def test_no_limit_of_any_node_or_phase_is_broken_by_rounded_setpoints(
    situation: tuple[SiteConfig, SiteState, dict[str, float]],
) -> None:
    site, now, wanted = situation
    setpoints = envelope(now, site, wanted)
    nodes = tree(site)
    evses = {e.key: e for e in now.evses}
    granted = {
        f"{s.station_id}/{s.evse_id}": s.power_kw
        for s in setpoints
        if evses[f"{s.station_id}/{s.evse_id}"].obeying
    }
    for node in nodes:
        inside = {e.key for e in now.evses if node.id in path_to_grid(nodes, e.circuit)}
        worst_in, worst_out = reserved(now.evses, inside)
        base = now.base_kw if node.parent is None else node.load_kw
        charging = sum(max(granted.get(k, 0.0), 0.0) for k in inside)
        discharging = sum(max(-granted.get(k, 0.0), 0.0) for k in inside)
        measured_out = sum(
            min(max(-granted.get(k, 0.0), 0.0), max(-(evses[k].power_kw or 0.0), 0.0))
            for k in inside
        )
        import_limit = now.import_limit_kw if node.parent is None else node.import_kw
        export_limit = now.export_limit_kw if node.parent is None else node.export_kw
        if node.parent is None and not now.meter_fresh:
            import_limit, export_limit = min(site.control.static_share_kw, import_limit), 0.0
        if charging > 0:
            assert base + worst_in + charging - measured_out <= import_limit + 1e-6
        if discharging > 0:
            assert discharging + worst_out - (base if node.parent is None else 0) <= (
                export_limit + 1e-6
            )
        if node.fuse_a is not None and charging > 0:
            amps = [0.0, 0.0, 0.0]
            for key in inside:
                drawn = max(granted.get(key, 0.0), 0.0)
                e = evses[key]
                for p, a in enumerate(phase_currents_a(e.phases, e.phase, drawn, site.voltage_v)):
                    amps[p] += a
            if node.parent is None and base > 0:
                amps = [a + base * 1000 / site.voltage_v / 3 for a in amps]
            assert max(amps) <= node.fuse_a + 1e-6


@given(situations())
@settings(max_examples=200, deadline=None)
def test_every_setpoint_is_something_its_evse_can_do(
    situation: tuple[SiteConfig, SiteState, dict[str, float]],
) -> None:
    site, now, wanted = situation
    evses = {e.key: e for e in now.evses}
    for s in envelope(now, site, wanted):
        e = evses[f"{s.station_id}/{s.evse_id}"]
        assert -e.discharge_max_kw - 1e-9 <= s.power_kw <= e.charge_max_kw + 1e-9
        if e.current == "AC":
            assert s.limit_a is not None
            assert s.limit_a == 0 or s.limit_a >= e.min_a
            assert s.limit_a == int(s.limit_a)
            assert s.power_kw == pytest.approx(s.limit_a * site.voltage_v * e.phases / 1000)
        if s.power_kw < 0:
            assert e.session is not None
            assert now.meter_fresh
            assert e.session.v2g
            assert e.session.soc is not None
            assert e.session.energy_kwh > e.session.floor_kwh


@given(situations())
@settings(max_examples=100, deadline=None)
def test_the_static_shares_fit_every_limit_at_once(
    situation: tuple[SiteConfig, SiteState, dict[str, float]],
) -> None:
    site, now, _ = situation
    site = site.model_copy(
        update={"control": site.control.model_copy(update={"static_share_kw": 25.0})}
    )
    shares = static_shares_kw(site)
    nodes = tree(site)
    assert sum(shares.values()) <= 25.0 + 1e-2
    for node in nodes[1:]:
        inside = [e for e in now.evses if node.id in path_to_grid(nodes, e.circuit)]
        assert sum(shares[e.key] for e in inside) <= node.import_kw + 1e-2
