"""Functions compiled to machine code, kept on disk so that the next start does not wait."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, cast

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

Function = TypeVar("Function", bound=Callable[..., Any])

SAFE_MATH = {"reassoc", "contract", "arcp", "nsz"}
"""Sums may be reordered; NaN and infinity stay what they are."""


_functions: list[Any] = []


def compiled_with(*parts: ModuleType) -> Callable[[Function], Function]:
    """Compile a function on its first call; other threads run while it does.

    What is on disk is compiled anew when the file of the function changes, or one of ``parts``: the
    modules whose functions are inlined in it.
    """
    settings: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": SAFE_MATH}

    def prepared(function: Function) -> Function:
        made = numba.njit(cache=True, **settings)(function)
        _functions.append(made)
        changed = max((Path(part.__file__ or "").stat().st_mtime for part in parts), default=0.0)
        name = f"{Path(function.__code__.co_filename).stem}.{function.__qualname__}-*.nbi"
        for index in Path(made.stats.cache_path).glob(name) if parts else ():
            if index.stat().st_mtime < changed:
                index.unlink(missing_ok=True)
        return cast(Function, made)

    return prepared


def compiled(function: Function) -> Function:
    """:func:`compiled_with` no parts: all that is inlined is in the function's own file."""
    return compiled_with()(function)


def compilations() -> int:
    """How often this process had to compile; what was kept on disk does not count."""
    return sum(sum(function.stats.cache_misses.values()) for function in _functions)


def inlined(function: Function) -> Function:
    """Like :func:`compiled`, for functions that are called from such: no call is left."""
    settings: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": SAFE_MATH}
    return cast(Function, numba.njit(forceinline=True, **settings)(function))


def _bit_scan(name: str) -> Any:
    """Count the zeros before the first (``cttz``) or after the last (``ctlz``) bit that is set."""

    def typed(typing_context: Any, word: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return getattr(builder, name)(arguments[0], ir.Constant(ir.IntType(1), 0))

        return types.int64(types.uint64), generate

    return intrinsic(typed)


trailing_zeros = _bit_scan("cttz")
leading_zeros = _bit_scan("ctlz")


def _reinterpreted(source: Any, target: Any) -> Any:
    """The same bits as another type."""

    def typed(typing_context: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.bitcast(arguments[0], context.get_value_type(target))

        return target(source), generate

    return intrinsic(typed)


bits_of = _reinterpreted(types.float64, types.int64)
number_of = _reinterpreted(types.int64, types.float64)
single_bits_of = _reinterpreted(types.float32, types.int32)
single_of = _reinterpreted(types.int32, types.float32)


def _send_for(typing_context: Any, array: Any, at: Any) -> Any:
    """Have the place ``at`` of a flat array brought near, to be written soon; changes nothing."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values, index = arguments
        data = context.make_array(signature.args[0])(context, builder, values).data
        number = ir.IntType(32)
        place = builder.bitcast(builder.gep(data, [index]), ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [place.type, number, number, number])
        name = "llvm.prefetch.p0"
        function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        to_write, to_stay, of_data = (ir.Constant(number, n) for n in (1, 3, 1))
        builder.call(function, [place, to_write, to_stay, of_data])
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


prefetch: Any = intrinsic(_send_for)
