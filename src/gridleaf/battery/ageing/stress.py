"""What a cell feels: potential of its anode, voltage of its cathode, temperature on its own scale."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

KELVIN: Final = 273.15
"""Nought degrees Celsius [K]."""
GAS: Final = 8.3144
"""Gas constant [J/(mol K)]."""

FIRST_KNOT: Final = 0.008637153
KNOT: Final = 0.018142361
"""SoC of the second entry of :data:`SANYO_V` and the distance to each of the next 54."""
SANYO_SOC: Final = np.array([0.0, *(FIRST_KNOT + KNOT * np.arange(55)), 0.998220486, 1.0])
# fmt: off
SANYO_V: Final = np.array([
    3.331, 3.345014, 3.379171, 3.411604, 3.440586, 3.466290, 3.490269, 3.511315, 3.529947, 3.547198,
    3.561689, 3.574972, 3.586357, 3.597054, 3.605506, 3.613442, 3.620343, 3.626381, 3.632074,
    3.636904, 3.642079, 3.646910, 3.652085, 3.657605, 3.663471, 3.670199, 3.677444, 3.686760,
    3.696420, 3.708324, 3.720572, 3.734373, 3.749554, 3.765253, 3.781124, 3.797857, 3.814591,
    3.832532, 3.849783, 3.866862, 3.884458, 3.900847, 3.917753, 3.934831, 3.953463, 3.971921,
    3.991415, 4.011772, 4.031956, 4.052067, 4.070771, 4.087849, 4.104238, 4.120109, 4.135980,
    4.152541, 4.160649, 4.162,
])
# fmt: on
"""Open-circuit voltage of the Sanyo UR18650E [V]; Schmalstieg et al., 10.1016/j.jpowsour.2014.02.012."""


def anode_potential(soc: Floats) -> Floats:
    """Potential of a graphite anode against lithium [V] at a cell's SoC 0..1.

    Safari and Delacourt, 10.1149/1.3567007; the lithiation at the ends of the cell's window is that
    of Schimpe et al., 10.1149/2.1181714jes.
    """
    x = 0.0085 + soc * (0.78 - 0.0085)
    return np.asarray(
        0.6379
        + 0.5416 * np.exp(-305.5309 * x)
        + 0.044 * np.tanh((0.1958 - x) / 0.1088)
        - 0.1978 * np.tanh((x - 1.0571) / 0.0854)
        - 0.6875 * np.tanh((x + 0.0117) / 0.0529)
        - 0.0175 * np.tanh((x - 0.5692) / 0.0875)
    )


def sanyo_voltage(soc: Floats) -> Floats:
    """Open-circuit voltage of the Sanyo UR18650E [V] at SoC 0..1."""
    return np.asarray(np.interp(soc, SANYO_SOC, SANYO_V), float)
