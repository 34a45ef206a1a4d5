"""Whole calls of a planner, each planner in a process of its own: ``python -m gridleaf.bench.measure``.

A process reads one :class:`Case` from standard input and answers with one record. Its first call is
the *first* one: in a fresh process, with what other processes have compiled before it.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import orjson

from gridleaf.bench.instances import OPTIMUM, Family, instance
from gridleaf.bench.peers import PEERS, Answer
from gridleaf.domain.clock import stopwatch
from gridleaf.domain.errors import PlanningFailed
from gridleaf.plan.method import Method, solve
from gridleaf.plan.problem import Plan
from gridleaf.plan.times import Times
from gridleaf.plan.verify import verify

LONG_S = 60.0
"""After so long in all a planner is not called again [s]."""
MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One planner on one problem. ``planner`` is a method of ``plan.solve`` or the name of a peer."""

    family: Family
    visits: int
    planner: str
    target_gap: float = 1e-4
    repeat: int = 5
    time_limit_s: float | None = None

    @property
    def is_peer(self) -> bool:
        """Whether it is somebody else's solver."""
        return self.planner in PEERS


def measured(case: Case) -> dict[str, Any]:
    """The record of a case, from a process of its own; ``failed`` says why there is none."""
    ran = subprocess.run(
        [sys.executable, "-m", "gridleaf.bench.measure"],
        input=orjson.dumps(asdict(case)),
        capture_output=True,
        check=False,
        # more threads of BLAS only stand in each other's way
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    if ran.returncode:
        last = ran.stderr.decode(errors="replace").strip().splitlines()[-1:]
        return {**asdict(case), "failed": " ".join([f"exit {ran.returncode}", *last])}
    return cast(dict[str, Any], orjson.loads(ran.stdout))


def record(case: Case) -> dict[str, Any]:
    """Measures a case in this process."""
    problem = instance(case.family, case.visits)
    first = _Memory()
    times: list[float] = []
    parts: list[dict[str, float]] = []
    gaps: list[float] = []
    faults: list[str] = []
    result: dict[str, Any] = {}
    for _ in range(1 + case.repeat):
        spent = Times()
        began = stopwatch()
        try:
            answer = _called(case, problem, spent)
        except PlanningFailed as error:
            return {**asdict(case), "failed": str(error)}
        times.append(stopwatch() - began)
        if isinstance(answer, Plan):
            if len(times) == 1:
                result = {"memory_mib": first.added(), "compiled": _compilations()}
            parts.append(spent.spent_s | {"rest": times[-1] - sum(spent.spent_s.values())})
            gaps.append(answer.gap)
            faults += verify(problem, answer)
            result |= {"solver": answer.method, "lower_bound_eur": answer.lower_bound_eur}
        else:
            if len(times) == 1:
                result = {"memory_mib": first.added()}
            result |= {"solver": answer.solver, "finished": answer.objective_eur is not None}
        result["objective_eur"] = answer.objective_eur
        if sum(times) > LONG_S:
            break
    again = times[1:]
    if parts:
        shown = parts[1:] or parts
        result |= {
            "gap": max(gaps),
            "faults": faults,
            "parts_s": {name: statistics.median(p[name] for p in shown) for name in shown[0]},
        }
    return {
        **asdict(case),
        **result,
        "first_s": times[0],
        "again_s": statistics.median(again) if again else None,
        "least_s": min(again, default=None),
        "most_s": max(again, default=None),
        "calls_again": len(again),
        "known_optimum_eur": OPTIMUM.get((case.visits, case.family)),
    }


def _called(case: Case, problem: Any, spent: Times) -> Plan | Answer:
    if case.is_peer:
        return PEERS[case.planner](problem, case.time_limit_s)
    return solve(
        problem,
        method=cast(Method, case.planner),
        gap=case.target_gap,
        time_limit_s=case.time_limit_s,
        times=spent,
    )


def _compilations() -> int:
    """How often this process had to compile; the exact method needs nothing compiled."""
    module = sys.modules.get("gridleaf.domain.compiled")
    return 0 if module is None else cast(Callable[[], int], module.compilations)()


class _Memory:
    """The highest resident memory since it was made, above what was resident then; Linux tells it."""

    def __init__(self) -> None:
        with suppress(OSError):  # else the peak is that of the whole process: never less
            Path("/proc/self/clear_refs").write_text("5")
        self._before = _resident("VmRSS")

    def added(self) -> float | None:
        """[MiB]; None where the system does not tell."""
        peak = _resident("VmHWM")
        if peak is None or self._before is None:
            return None
        return (peak - self._before) / MIB


def _resident(key: str) -> float | None:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((1024.0 * int(line.split()[1]) for line in lines if line.startswith(key)), None)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "processor": _processor(),
        "processors": len(os.sched_getaffinity(0)),
        "system": platform.system(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("gridleaf", "numpy", "numba", "highspy", "scipy")},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def main() -> None:
    """One case from standard input, its record to standard output."""
    case = Case(**orjson.loads(sys.stdin.buffer.read()))
    sys.stdout.buffer.write(orjson.dumps(record(case)))


if __name__ == "__main__":
    main()
