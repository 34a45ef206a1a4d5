"""What stands where in the arrays of the kernel: codes of models, columns of laws, rows of cells."""

from __future__ import annotations

from typing import Final

NMC_B1: Final = 0
NMC_B2: Final = 1
NMC_A: Final = 2
LTO: Final = 3
LEAF: Final = 4
LFP_PRISMATIC: Final = 5
LFP_SONY: Final = 6
NCA_PANASONIC: Final = 7
NMC_MJ1: Final = 8
NMC_KOKAM: Final = 9
NMC_SANYO: Final = 10
NMC_DENSO: Final = 11
NCA_SONY: Final = 12
NMC_M50: Final = 13

PARTS: Final = 5
"""No model has more parts."""
NO_PART: Final = 0.0
POWER: Final = 1.0
SIGMOID: Final = 2.0
DAYS: Final = 0.0
EFC: Final = 1.0
LAW: Final = 0
ALONG: Final = 1
UNIT: Final = 2
K: Final = 3
P: Final = 4
END: Final = 5
ON_CAPACITY: Final = 6
ON_RESISTANCE: Final = 7
LAW_COLUMNS: Final = 8

ANCHOR: Final = 0
SOC: Final = 1
TEMPERATURE: Final = 2
DIRECTION: Final = 3
THROUGHPUT: Final = 4
LOW: Final = 5
HIGH: Final = 6
HOURS: Final = 7
SWING: Final = 8
CHARGED: Final = 9
CHARGING_H: Final = 10
DISCHARGED: Final = 11
DISCHARGING_H: Final = 12
SUM_SOC: Final = 13
SUM_T: Final = 14
SUM_T2: Final = 15
SUM_T3: Final = 16
SUM_CUBE: Final = 17
SUM_U: Final = 17
SUM_U2: Final = 18
SUM_U3: Final = 19
SUM_V: Final = 20
SUM_V2: Final = 21
OUT_H: Final = 22
SUM_RATE: Final = 23
SCALED: Final = 26
RATE: Final = 27
GAP: Final = 30
FIRST: Final = 31
LAST: Final = 32
PIECE: Final = 33
UNKNOWN: Final = -1.0
"""A piece: where it began, its last sample, sums over its time [h]; SoC and rates of that sample.

``ANCHOR`` is UNKNOWN before the first sample. ``ANCHOR``, ``SOC``, ``LOW``, ``HIGH`` and ``THROUGHPUT``
are of SoC as it came, the rest of scaled SoC. Temperatures are [°C], their sums around 25 °C. ``CUBE``
is of SoC around a half; ``U`` and ``V`` are SoC and its root over the cube of temperature. ``OUT_H``:
hours at which temperature is outside the fitted range. ``GAP``: hours between the piece before and this
one. ``FIRST`` and ``LAST``: by how much SoC moved in its first and its last step, where that is no rest.
"""

ANY: Final = 0
OUT_TEMPERATURE: Final = 1
OUT_SOC: Final = 2
OUT_CHARGE: Final = 3
OUT_DISCHARGE: Final = 4
OUT_DEPTH: Final = 5
OUT_RATE: Final = 6
REASONS: Final = 7
TINY: Final = 1e-6
"""So little over a limit is rounding."""
SHALLOW: Final = 1e-3
"""A swing below this is rest and has no depth."""

PIECE_H: Final = 24.0
PIECE_EFC: Final = 1.0
GAP_H: Final = 1.0 + TINY
"""A longer step between two pieces belongs to the later one."""
RESTING_C: Final = 0.01
"""Slower than this is rest [1/h]."""
LEAST_CAPACITY: Final = 0.05
"""Below this a cell is dead: its swings are divided by no less."""

PRODUCTS: Final = 6
"""No rate that time sets has more products."""
SUM: Final = 0
EXPONENTIAL: Final = 1
OF_SOC: Final = 2
"""A rate is a sum of products, or the exponential of one, or a function of SoC alone."""
SOC_CELLS: Final = 2048
TERMS: Final = 11
MIDDLE_C: Final = 20.0
REACH_C: Final = 70.0
COLDEST_C: Final = MIDDLE_C - REACH_C
HOTTEST_C: Final = MIDDLE_C + REACH_C

LANES: Final = 48
PARTS_AT: Final = PIECE
OUTSIDE_AT: Final = PARTS_AT + PARTS
CAPACITY: Final = OUTSIDE_AT + REASONS
RESISTANCE: Final = CAPACITY + 1
FULL: Final = CAPACITY + 2
SPEED: Final = CAPACITY + 3
WORN: Final = CAPACITY + 4
NEXT_SOC: Final = CAPACITY + 5
NEXT_T: Final = CAPACITY + 6
ENDED: Final = CAPACITY + 7
LIMITED: Final = CAPACITY + 8
DEPTH: Final = CAPACITY + 9
BOTTOM: Final = CAPACITY + 10
TOP: Final = CAPACITY + 11
C_RATE: Final = CAPACITY + 12
C_IN: Final = CAPACITY + 13
C_OUT: Final = CAPACITY + 14
COLD: Final = CAPACITY + 15
HOT: Final = CAPACITY + 16
SHARE: Final = CAPACITY + 17
CYCLING: Final = CAPACITY + 19
DT: Final = CAPACITY + 20
DX: Final = CAPACITY + 21
CYCLES: Final = CAPACITY + 22
CYCLES_SEEN: Final = CAPACITY + 23
RATES_K: Final = CAPACITY + 24
RATES_P: Final = RATES_K + PARTS
RATES_END: Final = RATES_P + PARTS
ROWS: Final = RATES_END + PARTS
"""The rows of ``b``: a piece, what the cell has become, and what is only needed on the way."""
FRACTION: Final = 0
WARMTH: Final = 1
TOTAL: Final = 2
PRODUCT: Final = 3
ROUGH_ROWS: Final = PRODUCT + PRODUCTS
"""The rows of ``rough``, in single precision: what the rates that time sets are made of."""
