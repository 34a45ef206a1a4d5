"""What discharging adds to a session: what a driver's share is a share of.

What was given is worth the price of its moment. It has to be charged again, losses included: that is taken
to be the dearest energy charged since the session first gave, for without V2G the cheapest hours had
been used as well; then what it charged before; and what it has not charged at all is owed, at what the
books value debts at. Wear of what was given is taken off. What smart charging alone would have
saved, and life that is kept by holding less charge, are no gain of V2G.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

_DIGITS = 4
"""Prices are told apart to so many digits."""


@dataclass(slots=True)
class Gain:
    """Of one session; energies at the grid side [kWh], money in the site's currency.

    ``given_eur`` is the worth of what was given less its wear; ``again_kwh`` what it takes to charge that
    again; ``before`` and ``since`` are what was charged before and since it first gave, by price.
    """

    given_eur: float = 0.0
    again_kwh: float = 0.0
    owed_eur: float = 0.0
    before: dict[float, float] = field(default_factory=dict)
    since: dict[float, float] = field(default_factory=dict)

    def move(self, energy_kwh: float, price: float, wear_eur: float, round_trip: float) -> None:
        """Count energy that was charged (+) or given (−) at a price per kWh."""
        if energy_kwh < 0:
            self.given_eur += -energy_kwh * price - wear_eur
            self.again_kwh += -energy_kwh / round_trip
        elif energy_kwh > 0:
            charged = self.since if self.again_kwh > 0 else self.before
            level = round(price, _DIGITS)
            charged[level] = charged.get(level, 0.0) + energy_kwh

    @property
    def owed_kwh(self) -> float:
        """What was given and not charged in this session."""
        return max(self.again_kwh - sum(self.since.values()) - sum(self.before.values()), 0.0)

    @property
    def eur(self) -> float:
        """What discharging has added; below nothing where it did not pay."""
        left, cost = self.again_kwh, self.owed_eur
        for charged in (self.since, self.before):
            for price, energy in sorted(charged.items(), reverse=True):
                taken = min(energy, left)
                cost += taken * price
                left -= taken
        return self.given_eur - cost

    def kept(self) -> dict[str, Any]:
        """As JSON can keep it."""
        return asdict(self)

    @classmethod
    def again(cls, kept: Mapping[str, Any]) -> Gain:
        """Inverse of :meth:`kept`."""
        levels = {
            name: {float(price): energy for price, energy in kept[name].items()}
            for name in ("before", "since")
        }
        return cls(**{**kept, **levels})
