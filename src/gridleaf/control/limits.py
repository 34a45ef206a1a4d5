"""The limits of a site: by time of day, by circuit, and the share that is safe without a meter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import ZoneInfo

from gridleaf.domain.site import Circuit, Evse, LimitWindow, SiteConfig, Station


def offered_kw(taken_kw: float) -> float:
    """What is offered to a vehicle that is known to take so much: enough to see it take more [kW]."""
    return 1.2 * taken_kw + 0.5


def grid_limits_kw(
    site: SiteConfig,
    at: datetime,
    imposed_import_kw: float | None = None,
    imposed_export_kw: float | None = None,
) -> tuple[float, float]:
    """Import and export limit of the grid connection at ``at`` [kW]: the smallest that holds."""
    local = at.astimezone(ZoneInfo(site.timezone)).time()
    imports = [site.import_limit_kw]
    exports = [site.export_limit_kw]
    for window in site.limit_windows:
        if _inside(window, local):
            if window.import_limit_kw is not None:
                imports.append(window.import_limit_kw)
            if window.export_limit_kw is not None:
                exports.append(window.export_limit_kw)
    if imposed_import_kw is not None:
        imports.append(imposed_import_kw)
    if imposed_export_kw is not None:
        exports.append(imposed_export_kw)
    return min(imports), min(exports)


def _inside(window: LimitWindow, local: time) -> bool:
    if window.start < window.end:
        return window.start <= local < window.end
    return local >= window.start or local < window.end


@dataclass(frozen=True, slots=True)
class Node:
    """One limit of the tree: the grid connection ("") or a circuit.

    ``load_kw`` is everything that flows through a circuit besides EVSEs, its inner circuits' too; the
    grid connection's is measured.
    """

    id: str
    parent: str | None
    import_kw: float
    export_kw: float
    fuse_a: float | None
    load_kw: float


def tree(site: SiteConfig) -> tuple[Node, ...]:
    """The limits of a site, parents before children; the first is the grid connection."""
    nodes = [Node("", None, site.import_limit_kw, site.export_limit_kw, site.fuse_a, 0.0)]
    parents = {c.id: c.parent for c in site.circuits}
    loads = dict.fromkeys(parents, 0.0)
    for circuit in site.circuits:
        at = circuit.id
        while at:
            loads[at] += circuit.load_kw
            at = parents[at]
    waiting: list[Circuit] = list(site.circuits)
    placed = {""}
    while waiting:
        ready = [c for c in waiting if c.parent in placed]
        for c in ready:
            export = c.import_limit_kw if c.export_limit_kw is None else c.export_limit_kw
            nodes.append(Node(c.id, c.parent, c.import_limit_kw, export, c.fuse_a, loads[c.id]))
            placed.add(c.id)
        waiting = [c for c in waiting if c.id not in placed]
    return tuple(nodes)


def path_to_grid(nodes: Iterable[Node], circuit: str) -> tuple[str, ...]:
    """The circuit and everything above it up to and including ""."""
    parents = {node.id: node.parent for node in nodes}
    path: list[str] = []
    at: str | None = circuit
    while at is not None:
        path.append(at)
        at = parents[at]
    return tuple(path)


def floor_kw(evse: Evse, voltage_v: float) -> float:
    """The least power an EVSE can ask for without pausing [kW]."""
    return 0.0 if evse.current == "DC" else evse.min_a * voltage_v * evse.phases / 1000


def static_shares_kw(site: SiteConfig) -> dict[str, float]:
    """A power for each EVSE (``station/evse``) that is safe with nothing measured [kW].

    Every EVSE gets its floor, in the order of the configuration, while ``static_share_kw`` and all
    circuits above it allow; then all are raised together until a limit is met. The sum holds even
    if every EVSE draws its share at once, so it is what stations fall back to by themselves.
    """
    nodes = tree(site)
    room = {node.id: node.import_kw - node.load_kw for node in nodes}
    room[""] = site.control.static_share_kw
    amps = {n.id: [n.fuse_a] * 3 for n in nodes if n.fuse_a is not None}
    shares: dict[str, float] = {}
    open_evses: list[tuple[str, Station, Evse, tuple[str, ...]]] = []
    for station in site.stations:
        for evse in station.evses:
            path = path_to_grid(nodes, site.circuit_of(station, evse))
            open_evses.append((f"{station.id}/{evse.id}", station, evse, path))

    def give(key: str, evse: Evse, path: tuple[str, ...], power: float) -> bool:
        used = phase_currents_a(evse.phases, evse.phase, power, site.voltage_v)
        fits = all(power <= room[name] + 1e-9 for name in path) and all(
            used[p] <= amps[name][p] + 1e-9 for name in path if name in amps for p in range(3)
        )
        if fits:
            shares[key] = shares.get(key, 0.0) + power
            for name in path:
                room[name] -= power
                if name in amps:
                    amps[name] = [have - u for have, u in zip(amps[name], used, strict=True)]
        return fits

    growing = [
        (key, evse, path)
        for key, _, evse, path in open_evses
        if give(key, evse, path, min(floor_kw(evse, site.voltage_v), evse.charge_max_kw))
    ]
    step = 0.1
    while growing:
        growing = [
            (key, evse, path)
            for key, evse, path in growing
            if shares[key] + step <= evse.charge_max_kw and give(key, evse, path, step)
        ]
    return {key: round(shares.get(key, 0.0), 3) for key, *_ in open_evses}


def phase_currents_a(
    phases: int, phase: int, power_kw: float, voltage_v: float
) -> tuple[float, float, float]:
    """Current of each grid phase at a power [A]; a three-phase load is taken as symmetric."""
    if phases == 3:
        each = power_kw * 1000 / voltage_v / 3
        return each, each, each
    amps = [0.0, 0.0, 0.0]
    amps[phase - 1] = power_kw * 1000 / voltage_v
    return amps[0], amps[1], amps[2]
