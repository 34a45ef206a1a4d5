"""How cells age: fourteen published models, from any history of SoC and temperature.

:func:`simulate` tells what a history that repeats makes of one cell. :func:`advance` carries a
:class:`Population` forward as its histories happen. :func:`calendar_rate` and :func:`cycling_rate` say
what the next hour and the next cycle cost at the present state.
"""

from __future__ import annotations

from gridleaf.battery.ageing.life import History, Life, simulate
from gridleaf.battery.ageing.models import MODELS, Fitted, Model, Part, model
from gridleaf.battery.ageing.population import (
    REASONS,
    Population,
    advance,
    calendar_rate,
    cycling_rate,
    fresh,
)

__all__ = [
    "MODELS",
    "REASONS",
    "Fitted",
    "History",
    "Life",
    "Model",
    "Part",
    "Population",
    "advance",
    "calendar_rate",
    "cycling_rate",
    "fresh",
    "model",
    "simulate",
]
