"""The umpire of the demo: true power against every limit, in both directions and on every phase."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from gridleaf.control.limits import grid_limits_kw, path_to_grid, phase_currents_a, tree
from gridleaf.control.observe import Imposed
from gridleaf.domain.site import SiteConfig

OVER_KW, OVER_A = 0.3, 1.0
"""A limit is broken by more than this [kW, A]."""


@dataclass(slots=True)
class _Episode:
    began_at: datetime
    counted: bool = False


class Umpire:
    """Counts the times a limit stayed broken for longer than a reaction to the meter takes.

    An episode lasts from the first sample that shows a limit broken to the last before one that does
    not; it counts once, at the first of its samples that lies beyond the reaction time. Import, export
    and each phase of a fuse are limits of their own.

    Parameters
    ----------
    reaction_s
        How long a limit may be found broken [s].

    Attributes
    ----------
    violations
        Episodes that counted.
    longest_s
        Length of the longest episode, whether it counted or not [s].
    """

    def __init__(self, site: SiteConfig, reaction_s: float) -> None:
        self.violations = 0
        self.longest_s = 0.0
        self._site = site
        self._reaction_s = reaction_s
        self._episodes: dict[str, _Episode] = {}
        self._nodes = tree(site)
        self._phase = {s.id: s.evses[0].phase for s in site.stations}
        self._paths = {
            s.id: path_to_grid(self._nodes, site.circuit_of(s, s.evses[0])) for s in site.stations
        }

    def look(
        self,
        now: datetime,
        base_kw: float,
        powers_kw: Mapping[str, float],
        phases: Mapping[str, int],
        imposed: Imposed,
    ) -> None:
        """Take a sample.

        Parameters
        ----------
        base_kw
            Net power of the building, the same on each phase [kW].
        powers_kw
            True power of each station [kW].
        phases
            How many phases each station's power is drawn on.
        imposed
            Limits from outside that hold now.
        """
        for limit, over in self._limits(now, base_kw, powers_kw, phases, imposed):
            if over:
                self._broken(limit, now)
            else:
                self._episodes.pop(limit, None)

    def _limits(
        self,
        now: datetime,
        base_kw: float,
        powers_kw: Mapping[str, float],
        phases: Mapping[str, int],
        imposed: Imposed,
    ) -> Iterator[tuple[str, bool]]:
        """Every limit and whether it is broken."""
        site = self._site
        imports, exports = grid_limits_kw(site, now, imposed.import_kw, imposed.export_kw)
        for node in self._nodes:
            top = node.parent is None
            load = base_kw if top else node.load_kw
            inside = {name: p for name, p in powers_kw.items() if node.id in self._paths[name]}
            flow = load + sum(inside.values())
            yield f"{node.id} import", flow > (imports if top else node.import_kw) + OVER_KW
            yield f"{node.id} export", -flow > (exports if top else node.export_kw) + OVER_KW
            if node.fuse_a is None:
                continue
            amps = list(phase_currents_a(3, 1, load, site.voltage_v))
            for name, power in inside.items():
                used = phase_currents_a(phases[name], self._phase[name], power, site.voltage_v)
                amps = [a + u for a, u in zip(amps, used, strict=True)]
            for phase, current in enumerate(amps, 1):
                yield f"{node.id} L{phase}", abs(current) > node.fuse_a + OVER_A

    def _broken(self, limit: str, now: datetime) -> None:
        episode = self._episodes.setdefault(limit, _Episode(now))
        lasted_s = (now - episode.began_at).total_seconds()
        self.longest_s = max(self.longest_s, lasted_s)
        if lasted_s > self._reaction_s and not episode.counted:
            episode.counted = True
            self.violations += 1
