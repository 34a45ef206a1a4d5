"""Functions compiled to machine code, kept on disk so that the next start does not wait."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
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
    modules whose functions are inlined in it. Where nothing can be kept, each start compiles.
    """
    settings: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": SAFE_MATH}

    def prepared(function: Function) -> Function:
        try:
            made = numba.njit(cache=True, **settings)(function)
            _forget_others(made, function, parts)
        except (OSError, RuntimeError):  # no folder to write to, or one of somebody else's files
            made = numba.njit(**settings)(function)
        _functions.append(made)
        return cast(Function, made)

    return prepared


def _forget_others(made: Any, function: Any, parts: tuple[ModuleType, ...]) -> None:
    """Remove what was compiled with parts that read otherwise; times of files tell nothing of that."""
    if not parts:
        return
    files = [Path(__file__), *(Path(part.__file__ or "") for part in parts)]
    now = sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    name = f"{Path(function.__code__.co_filename).stem}.{function.__qualname__}"
    seen = Path(made.stats.cache_path) / f"{name}.parts"
    if seen.exists() and seen.read_text() == now:
        return
    for index in seen.parent.glob(f"{name}-*.nbi"):
        index.unlink(missing_ok=True)
    seen.write_text(now)


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
