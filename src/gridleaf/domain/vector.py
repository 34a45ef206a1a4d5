"""Exponentials and logarithms without branch or call, so that a loop over lanes becomes vector code.

Relative errors are below 1e-15; of an exponential that of its exponent comes on top, 1e-13 at 700.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from gridleaf.domain.compiled import bits_of, inlined, number_of, single_bits_of, single_of

_LOG2_E: Final = 1.4426950408889634
_LN_2: Final = 0.6931471805599453
_LARGEST: Final = 700.0
"""Exponents end here, so that nothing becomes infinite."""
_LEAST: Final = 1e-300
"""Logarithms end here."""
_SHIFTER: Final = 6755399441055744.0
"""1.5 * 2**52: added to a whole number, its last bits are that number's."""
_ROOT_HALF_BITS: Final = 0x3FE6A09E667F3BCD


@inlined
def exp(x: float) -> Any:
    """``e**x``; of what is beyond 700 either way, that of 700."""
    x = min(max(x, -_LARGEST), _LARGEST)
    n = np.floor(x * _LOG2_E + 0.5)
    r = x - n * _LN_2
    t = 1 / 39916800 + r / 479001600
    t = 1 / 362880 + r * (1 / 3628800 + r * t)
    t = 1 / 5040 + r * (1 / 40320 + r * t)
    t = 1 / 120 + r * (1 / 720 + r * t)
    t = 1.0 + r * (1.0 + r * (0.5 + r * (1 / 6 + r * (1 / 24 + r * t))))
    return number_of(bits_of(t) + (bits_of(n + _SHIFTER) << 52))


_SINGLE: Final = tuple(
    np.float32(c)
    for c in (1.0, 1 / 2, 1 / 6, 1 / 24, 1 / 120, 1 / 720, _LOG2_E, _LN_2, 87.0, 12582912.0)
)


@inlined
def exp_roughly(x: Any) -> Any:
    """``e**x`` in single precision, to 2e-7 near one and 5e-6 at 87; of what is beyond 87 either way, that of 87."""
    one, c2, c3, c4, c5, c6, log2_e, ln_2, largest, shifter = _SINGLE
    x = min(max(x, -largest), largest)
    n = np.floor(x * log2_e + c2)
    r = x - n * ln_2
    r2 = r * r
    t = one + r + r2 * (c2 + r * c3) + r2 * r2 * (c4 + r * c5 + r2 * c6)
    return single_of(single_bits_of(t) + np.int32(single_bits_of(n + shifter) << np.int32(23)))


@inlined
def log(x: float) -> Any:
    """Natural logarithm; of what is below 1e-300, that of 1e-300."""
    bits = bits_of(max(x, _LEAST))
    n = (bits - _ROOT_HALF_BITS) >> 52
    m = number_of(bits - (n << 52))
    s = (m - 1.0) / (m + 1.0)
    return float(n) * _LN_2 + atanh_series(s)


@inlined
def atanh_series(s: float) -> Any:
    """``2 atanh(s)`` for ``abs(s) <= 0.18``."""
    z = s * s
    t = 1 / 15 + z * (1 / 17 + z * (1 / 19 + z / 21))
    t = 1 / 9 + z * (1 / 11 + z * (1 / 13 + z * t))
    t = 1 / 3 + z * (1 / 5 + z * (1 / 7 + z * t))
    return 2.0 * s * (1.0 + z * t)


@inlined
def power(x: float, p: float) -> Any:
    """``x**p`` of what is not negative."""
    return exp(p * log(x))


@inlined
def tanh_half(v: float) -> Any:
    """``tanh(v/2)`` of what is not negative."""
    h = 0.5 * min(v, 0.25)
    z = h * h
    t = 62 / 2835 - z * (1382 / 155925 - z * (21844 / 6081075))
    small = h * (1.0 - z * (1 / 3 - z * (2 / 15 - z * (17 / 315 - z * t))))
    e = exp(v)
    return small if v < 0.25 else (e - 1.0) / (e + 1.0)


@inlined
def atanh_twice(w: float) -> Any:
    """``2 atanh(w)`` for ``0 <= w < 1``."""
    return atanh_series(min(w, 0.15)) if w < 0.15 else log((1.0 + w) / (1.0 - w))
