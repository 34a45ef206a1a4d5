"""The platform in numbers for Prometheus: read when asked, kept nowhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from gridleaf.web.port import Platform


class SiteCollector(Collector):
    """Gauges of one site, taken from the live state and the newest decision."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Nothing is promised before the platform runs."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Every gauge, units in the name; + imports and charges, - exports and discharges."""
        platform = self._platform
        state, decision = platform.state(), platform.decision()
        measured = state.measurement
        for name, help_text, value in (
            ("grid_kw", "Power at the grid connection", measured.grid_kw if measured else None),
            ("pv_kw", "Generation", measured.pv_kw if measured else None),
            ("load_kw", "Building load", measured.load_kw if measured else None),
            ("import_limit_kw", "Import limit now", state.import_limit_kw),
            ("export_limit_kw", "Export limit now", state.export_limit_kw),
            ("peak_so_far_kw", "Highest mean import of the month", state.peak_so_far_kw),
            ("meter_fresh", "1 while the site meter is fresh", float(state.meter_fresh)),
        ):
            if value is not None:
                yield GaugeMetricFamily(f"gridleaf_{name}", help_text, value=value)
        yield GaugeMetricFamily(
            "gridleaf_sessions",
            "Vehicles plugged in",
            value=sum(e.session is not None for e in state.evses),
        )
        yield from self._evses()
        yield from self._stations()
        if decision is not None:
            yield GaugeMetricFamily(
                "gridleaf_cycle_seconds",
                "Time the newest plan took",
                value=decision.plan_seconds,
            )
            yield GaugeMetricFamily(
                "gridleaf_cycle_age_seconds",
                "Age of the newest decision",
                value=(platform.clock.now() - decision.at).total_seconds(),
            )
            if decision.gap is not None:
                yield GaugeMetricFamily(
                    "gridleaf_plan_gap", "Proven relative gap of the plan", value=decision.gap
                )
        alerts = GaugeMetricFamily("gridleaf_alerts", "Alerts now", labels=("kind", "severity"))
        counts = Counter((a.kind, a.severity) for a in decision.alerts) if decision else {}
        for labels in sorted(counts):
            alerts.add_metric(labels, counts[labels])
        yield alerts

    def _evses(self) -> Iterator[GaugeMetricFamily]:
        labels = ("station", "evse")
        power = GaugeMetricFamily("gridleaf_evse_power_kw", "Measured power", labels=labels)
        setpoint = GaugeMetricFamily("gridleaf_evse_setpoint_kw", "Setpoint", labels=labels)
        obeying = GaugeMetricFamily("gridleaf_evse_obeying", "1 while it obeys", labels=labels)
        for evse in self._platform.state().evses:
            at = (evse.station_id, str(evse.evse_id))
            if evse.power_kw is not None:
                power.add_metric(at, evse.power_kw)
            if evse.setpoint_kw is not None:
                setpoint.add_metric(at, evse.setpoint_kw)
            obeying.add_metric(at, float(evse.obeying))
        yield from (power, setpoint, obeying)

    def _stations(self) -> Iterator[GaugeMetricFamily]:
        online = GaugeMetricFamily(
            "gridleaf_station_online", "1 while connected", labels=("station",)
        )
        for station in self._platform.stations():
            online.add_metric((station.station_id,), float(station.online))
        yield online
