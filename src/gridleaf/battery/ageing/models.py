"""The fourteen published models: which cell, who measured it, where it was fitted, how it ages.

A model is data. Capacity loss and resistance growth are sums of *parts*; a part grows by one law along
time or along throughput, from wherever it stands (:class:`Part`). The rates that time sets are in
:mod:`~gridleaf.battery.ageing.calendar`, those that cycling sets in
:mod:`~gridleaf.battery.ageing.kernel`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from gridleaf.battery.ageing import calendar, layout
from gridleaf.battery.ageing.calendar import Rates
from gridleaf.battery.ageing.stress import Floats
from gridleaf.domain.errors import ConfigError

Law = Literal["power", "sigmoid"]
Along = Literal["days", "efc"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One term of capacity loss or resistance growth.

    ``power``: ``y = k x**p``. ``sigmoid``: ``y = 2 end (1/2 - 1/(1 + exp((k x)**p)))``. ``x`` counts
    days or equivalent full cycles in units of ``unit``. What is None is a rate of the history.
    ``capacity`` and ``resistance`` are the signs with which the part enters the two.
    """

    law: Law = "power"
    along: Along
    unit: float = 1.0
    k: float | None = None
    p: float | None = None
    end: float | None = None
    capacity: float = -1.0
    resistance: float = 0.0
    start: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """The histories that the model was fitted to; C-rates are magnitudes [1/h]."""

    temperature_c: tuple[float, float]
    depth: tuple[float, float]
    soc: tuple[float, float] = (0.0, 1.0)
    charge_c: float
    discharge_c: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A published ageing model of one cell.

    ``name`` is its published name, ``source`` where the data and the fit are. ``rises``: the model
    itself lets capacity rise for a while. ``monotone``: at rest, more of these never ages less, in the
    published equations; where a stress is missing, more of it may. ``new`` is the relative capacity, against a new cell, at
    which the model begins: below 1 it is a second-life model.
    """

    name: str
    code: int
    cell: str
    chemistry: str
    capacity_ah: float
    source: tuple[str, ...]
    fitted: Fitted
    parts: tuple[Part, ...]
    calendar: Callable[[Floats, Floats], Rates]
    caveat: str = ""
    rises: bool = False
    monotone: tuple[Literal["soc", "temperature"], ...] = ("soc", "temperature")
    new: float = 1.0

    def laws(self) -> Floats:
        """The parts as rows for the kernel."""
        rows = np.full((layout.PARTS, layout.LAW_COLUMNS), np.nan)
        rows[:, [layout.LAW, layout.ON_CAPACITY, layout.ON_RESISTANCE]] = layout.NO_PART
        for row, part in zip(rows, self.parts, strict=False):
            row[layout.LAW] = layout.SIGMOID if part.law == "sigmoid" else layout.POWER
            row[layout.ALONG] = layout.EFC if part.along == "efc" else layout.DAYS
            row[layout.UNIT] = part.unit
            row[layout.K] = np.nan if part.k is None else part.k
            row[layout.P] = np.nan if part.p is None else part.p
            row[layout.END] = np.nan if part.end is None else part.end
            row[layout.ON_CAPACITY] = part.capacity
            row[layout.ON_RESISTANCE] = part.resistance
        return rows

    def limits(self) -> Floats:
        """The fitted range as one row for the kernel."""
        f = self.fitted
        return np.array([*f.temperature_c, *f.depth, *f.soc, f.charge_c, f.discharge_c])

    @property
    def tabulated(self) -> int:
        """How many rates time sets."""
        return len(self.calendar(np.array(0.5), np.array(298.15)))

    @property
    def resistance(self) -> bool:
        """Whether the model says anything about resistance."""
        return any(part.resistance for part in self.parts)


def _losses(
    calendar_p: float, cycling_p: float, calendar_unit: float = 1.0, cycling_unit: float = 1.0
) -> tuple[Part, ...]:
    """Most models: one loss along time, one along throughput, both by the power law."""
    return (
        Part(along="days", unit=calendar_unit, p=calendar_p),
        Part(along="efc", unit=cycling_unit, p=cycling_p),
    )


_GASPER: Final = "https://doi.org/10.1016/j.est.2023.109042"
_PRISMATIC: Final = Fitted(
    temperature_c=(10.0, 45.0), depth=(0.8, 1.0), charge_c=1.75, discharge_c=1.75
)

MODELS: Final[tuple[Model, ...]] = (
    Model(
        name="Lfp_Gr_250AhPrismatic",
        code=layout.LFP_PRISMATIC,
        cell="LFP-graphite prismatic, 250 Ah (2019)",
        chemistry="LFP",
        capacity_ah=250.0,
        source=(_GASPER,),
        fitted=Fitted(temperature_c=(10.0, 45.0), depth=(0.8, 1.0), charge_c=0.65, discharge_c=1.0),
        parts=_losses(0.526, 0.828),
        calendar=calendar.lfp_prismatic,
        caveat="Cycling wears less when warm: it learnt that from its data and extrapolates badly. "
        "At 10 °C only charging at 0.16C was tested.",
    ),
    Model(
        name="Lfp_Gr_SonyMurata3Ah_Battery",
        code=layout.LFP_SONY,
        cell="LFP-graphite Sony-Murata, 3 Ah (2018)",
        chemistry="LFP",
        capacity_ah=3.0,
        source=(
            "https://doi.org/10.1016/j.est.2018.01.019",
            "https://doi.org/10.1016/j.jpowsour.2019.227666",
            "https://doi.org/10.1149/1945-7111/ac86a8",
        ),
        fitted=Fitted(temperature_c=(20.0, 40.0), depth=(0.8, 1.0), charge_c=1.0, discharge_c=2.0),
        parts=(
            Part(law="sigmoid", along="days", k=1.30510034211874e-4),
            Part(along="efc", p=1.12847759334355),
            Part(
                law="sigmoid",
                along="efc",
                k=0.00303553871631028,
                p=1.43752162947637,
                start=1e-10,
            ),
            Part(along="days", p=1.0, capacity=0.0, resistance=1.0),
            Part(along="efc", p=1.0, unit=100.0, capacity=0.0, resistance=1.0),
        ),
        calendar=calendar.lfp_sony,
        monotone=(),
        caveat="Temperature has no effect on its cycling loss: too little data.",
    ),
    Model(
        name="Lmo_Gr_NissanLeaf66Ah_2ndLife_Battery",
        code=layout.LEAF,
        cell="LMO-graphite Nissan Leaf, 66 Ah half module, second life (2020)",
        chemistry="LMO",
        capacity_ah=66.0,
        source=(
            "https://doi.org/10.1016/j.est.2020.101695",
            "https://doi.org/10.1109/EEEIC/ICPSEUROPE54979.2022.9854784",
        ),
        fitted=Fitted(temperature_c=(20.0, 30.0), depth=(0.8, 1.0), charge_c=1.0, discharge_c=1.0),
        parts=(
            Part(along="days", p=0.464),
            Part(along="efc", k=7.58e-5, p=1.08),
        ),
        calendar=calendar.leaf,
        caveat="Fitted to used cells at about 70 % of their capacity when new (46 Ah); cycling only at "
        "25 °C, full depth, 1C, so its loss depends on throughput alone.",
        new=0.7,
    ),
    Model(
        name="NCA_GrSi_SonyMurata2p5Ah_Battery",
        code=layout.NCA_SONY,
        cell="NCA-graphite/Si Sony-Murata US18650VTC5A, 2.5 Ah (2023)",
        chemistry="NCA",
        capacity_ah=2.5,
        source=("https://doi.org/10.1016/j.jpowsour.2022.232498",),
        fitted=Fitted(temperature_c=(5.0, 35.0), depth=(0.2, 1.0), charge_c=2.0, discharge_c=10.0),
        parts=(
            Part(law="sigmoid", along="days", unit=5e3, k=3.41),
            Part(law="sigmoid", along="efc", unit=1e5, k=0.479),
        ),
        calendar=calendar.nca_sony,
        monotone=(),
        caveat="Not to be believed below 80 % at full depth: it has no knee.",
    ),
    Model(
        name="NMC_Gr_50Ah_B1",
        code=layout.NMC_B1,
        cell="NMC-graphite pouch B1, 50 Ah (2020)",
        chemistry="NMC",
        capacity_ah=50.0,
        source=(_GASPER,),
        fitted=_PRISMATIC,
        parts=_losses(0.708, 0.467, 1e4, 1e5),
        calendar=calendar.nmc_b1,
        caveat="At 10 °C only charging at 0.3C was tested.",
    ),
    Model(
        name="NMC_Gr_50Ah_B2",
        code=layout.NMC_B2,
        cell="NMC-graphite pouch B2, 50 Ah (2020)",
        chemistry="NMC",
        capacity_ah=50.0,
        source=(_GASPER,),
        fitted=_PRISMATIC,
        parts=_losses(0.584, 0.907, 1e4, 1e4),
        calendar=calendar.nmc_b2,
        caveat="At 10 °C only charging at 0.3C was tested.",
    ),
    Model(
        name="NMC_Gr_75Ah_A",
        code=layout.NMC_A,
        cell="NMC-graphite pouch A, 75 Ah (2019)",
        chemistry="NMC",
        capacity_ah=75.0,
        source=(_GASPER,),
        fitted=Fitted(temperature_c=(10.0, 45.0), depth=(0.8, 1.0), charge_c=2.0, discharge_c=2.0),
        parts=_losses(0.578, 1.11, 1e3, 1e4),
        calendar=calendar.nmc_a,
    ),
    Model(
        name="Nca_Gr_Panasonic3Ah_Battery",
        code=layout.NCA_PANASONIC,
        cell="NCA-graphite Panasonic 18650B, 3.2 Ah (2018)",
        chemistry="NCA",
        capacity_ah=3.2,
        source=(
            "https://doi.org/10.1149/2.0411609jes",
            "https://doi.org/10.1149/1945-7111/abae37",
        ),
        fitted=Fitted(temperature_c=(15.0, 35.0), depth=(0.8, 1.0), charge_c=0.5, discharge_c=2.0),
        parts=_losses(0.512, 0.699),
        calendar=calendar.nca_panasonic,
        caveat="It has no knee.",
    ),
    Model(
        name="Nmc111_Gr_Kokam75Ah_Battery",
        code=layout.NMC_KOKAM,
        cell="NMC111-graphite Kokam, 75 Ah (2017)",
        chemistry="NMC",
        capacity_ah=75.0,
        source=("https://ieeexplore.ieee.org/document/7963578",),
        fitted=Fitted(temperature_c=(0.0, 45.0), depth=(0.8, 1.0), charge_c=1.0, discharge_c=1.0),
        parts=(
            Part(along="days", p=0.357),
            Part(along="efc", p=0.778),
            Part(law="sigmoid", along="efc", p=10.0, end=1.0, start=1e-8),
            Part(along="days", p=1.25, capacity=0.0, resistance=1.0),
            Part(along="efc", p=0.712, capacity=0.0, resistance=1.0),
        ),
        calendar=calendar.nmc_kokam,
        caveat="C-rate has no effect. As published, resistance grows to 11 times in ten years of rest at full charge "
        "and 25 °C, and to 22 times at 35 °C.",
    ),
    Model(
        name="Nmc111_Gr_Sanyo2Ah_Battery",
        code=layout.NMC_SANYO,
        cell="NMC111-graphite Sanyo UR18650E, 2.15 Ah (2014)",
        chemistry="NMC",
        capacity_ah=2.15,
        source=(
            "https://doi.org/10.1016/j.jpowsour.2014.02.012",
            "https://doi.org/10.1016/j.jpowsour.2013.09.143",
        ),
        fitted=Fitted(temperature_c=(20.0, 40.0), depth=(0.0, 1.0), charge_c=1.0, discharge_c=1.0),
        parts=(
            Part(along="days", p=0.75),
            Part(along="efc", p=0.5, unit=1.0 / (2.0 * 2.15)),
            Part(along="days", p=0.75, capacity=0.0, resistance=1.0),
            Part(along="efc", p=1.0, unit=1.0 / (2.0 * 2.15), capacity=0.0, resistance=1.0),
        ),
        calendar=calendar.nmc_sanyo,
        caveat="Cycling holds near 35 °C and 1C only; knees at great depth were not fitted.",
    ),
    Model(
        name="Nmc622_Gr_DENSO50Ah_Battery",
        code=layout.NMC_DENSO,
        cell="NMC622-graphite DENSO, 50 Ah (2021)",
        chemistry="NMC",
        capacity_ah=50.0,
        source=("https://doi.org/10.1149/1945-7111/ac2ebd",),
        fitted=Fitted(temperature_c=(10.0, 60.0), depth=(0.1, 1.0), charge_c=1.0, discharge_c=1.0),
        parts=_losses(0.5, 0.5),
        calendar=calendar.nmc_denso,
        monotone=(),
        caveat="Cycled around half charge only. Not monotone in SoC; below a SoC of about 2 % its "
        "calendar loss is negative. Its break-in is not included.",
        rises=True,
    ),
    Model(
        name="Nmc811_GrSi_LGM50_5Ah_Battery",
        code=layout.NMC_M50,
        cell="NMC811-graphite/Si LG M50, 5 Ah (2021)",
        chemistry="NMC",
        capacity_ah=5.0,
        source=("https://ieeexplore.ieee.org/document/9617644",),
        fitted=Fitted(temperature_c=(0.0, 25.0), depth=(1.0, 1.0), charge_c=0.3, discharge_c=2.0),
        parts=_losses(0.651697743905278, 0.441996792536332, 1e4, 1e4),
        calendar=calendar.nmc_m50,
        monotone=(),
        caveat="Depth and charge rate have no effect. Not monotone in SoC.",
    ),
    Model(
        name="Nmc811_GrSi_LGMJ1_4Ah_Battery",
        code=layout.NMC_MJ1,
        cell="NMC811-graphite/Si LG MJ1, 3.5 Ah (2020)",
        chemistry="NMC",
        capacity_ah=3.5,
        source=(
            "https://everlasting-project.eu/wp-content/uploads/2020/03/"
            "EVERLASTING_D2.3_final_20200228.pdf",
        ),
        fitted=Fitted(
            temperature_c=(0.0, 50.0),
            depth=(0.2, 0.8),
            soc=(0.1, 0.9),
            charge_c=1.0,
            discharge_c=3.0,
        ),
        parts=_losses(0.743, 0.695),
        calendar=calendar.nmc_mj1,
        caveat="It has no knee; above 4.1 V it is unreliable.",
    ),
    Model(
        name="Nmc_Lto_10Ah_Battery",
        code=layout.LTO,
        cell="NMC-LTO, 10.2 Ah (2020)",
        chemistry="LTO",
        capacity_ah=10.2,
        source=("https://doi.org/10.1016/j.jpowsour.2020.228566",),
        fitted=Fitted(
            temperature_c=(30.0, 60.0), depth=(0.0, 1.0), charge_c=10.0, discharge_c=10.0
        ),
        parts=(
            Part(along="days", p=0.473, capacity=1.0),
            Part(along="days", p=-0.553),
            Part(along="efc", p=0.526),
        ),
        calendar=calendar.lto,
        monotone=(),
        caveat="Overestimates cycling loss below 60 °C. Capacity rises at first: the cell's does.",
        rises=True,
    ),
)
_BY_NAME: Final = {model.name.casefold(): model for model in MODELS}


def model(name: str) -> Model:
    """The model of a published name, in any case.

    Raises
    ------
    ConfigError
        There is none of that name.
    """
    found = _BY_NAME.get(name.strip().casefold())
    if found is None:
        raise ConfigError("cell", f"no ageing model {name!r}; `gridleaf battery list` has them all")
    return found
