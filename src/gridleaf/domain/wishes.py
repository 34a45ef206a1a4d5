"""What the driver wants from a session."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A driver's wish for one session; None leaves it to the defaults.

    Attributes
    ----------
    departure_at
        When the vehicle must be ready (aware, UTC).
    energy_kwh
        Energy to have charged by then, counted from arrival at the grid side [kWh].
    target_soc
        State of charge at departure, 0..1; wins over ``energy_kwh`` where SoC is known.
    reserve_soc
        Never below this while discharging, 0..1.
    v2g
        May the vehicle be discharged.
    said_by, said_at
        Who said so (``driver``, ``operator``, ``vehicle``, ``default``) and when.
    """

    departure_at: datetime | None = None
    energy_kwh: float | None = None
    target_soc: float | None = None
    reserve_soc: float | None = None
    v2g: bool | None = None
    said_by: str = "driver"
    said_at: datetime | None = None

    def after(self, old: Self) -> Self:
        """What is not said again stays as it was said before; energy and SoC replace each other."""
        kept = old if self.energy_kwh is None and self.target_soc is None else self
        return replace(
            self,
            departure_at=self.departure_at or old.departure_at,
            reserve_soc=old.reserve_soc if self.reserve_soc is None else self.reserve_soc,
            v2g=old.v2g if self.v2g is None else self.v2g,
            energy_kwh=kept.energy_kwh,
            target_soc=kept.target_soc,
        )
