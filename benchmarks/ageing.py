"""Ageing: cell-years per second of one core, beside the reference implementation and against it.

A population with different histories is carried forward day by day, hourly, with every model. The
reference implementation, blast-lite 1.1.1, ages one cell at a time; it needs an older numpy, so it runs
in an environment of its own, made with pip where there is none yet (``--environment``). Without one, or
where that fails, only gridleaf is measured.
``python -m benchmarks ageing [--cells 2000] [--days 60] [--years 3] [--environment DIR] [--no-peer]
[--model NAME] [--json]``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridleaf.battery.ageing import MODELS, History, Model, advance, fresh, model, simulate

Floats = NDArray[np.float64]

PEER = ("blast-lite==1.1.1", "numpy<2")
WHERE = Path(tempfile.gettempdir()) / "gridleaf-blast-lite"
YEAR_H = 8760
DRIVE = ((0, 0.9), (7, 0.9), (8, 0.75), (17, 0.75), (18, 0.6), (22, 0.9), (24, 0.9))
TOUR = ((0, 0.9), (9, 0.9), (13, 0.2), (16, 0.2), (20, 0.9), (24, 0.9))
DEEP = ((0, 1.0), (6, 1.0), (8, 0.1), (16, 0.1), (20, 1.0), (24, 1.0))
SWING = ((0, 1.0), (6, 1.0), (10, 0.0), (14, 0.0), (20, 1.0), (24, 1.0))
V2G = ((0, 0.4), (4, 0.4), (7, 0.9), (8, 0.9), (9, 0.8), (17, 0.8), (18, 0.7), (21, 0.4), (24, 0.4))
TWICE = ((0, 0.95), (6, 0.95), (9, 0.15), (12, 0.9), (16, 0.9), (19, 0.1), (23, 0.95), (24, 0.95))


# -- histories --


def _day(knots: Sequence[tuple[float, float]], hours: Floats) -> Floats:
    at, soc = np.array(knots, float).T
    return np.asarray(np.interp(hours % 24.0, at, soc))


def _weather(hours: Floats, mean_c: float, season_c: float, day_c: float) -> Floats:
    season = np.sin(2.0 * np.pi * (hours / 24.0 - 100.0) / 365.0)
    return np.asarray(
        mean_c + season_c * season + day_c * np.sin(2.0 * np.pi * (hours % 24.0 - 9.0) / 24.0)
    )


def histories(seed: int = 7) -> dict[str, History]:
    """A year each: weeks, long rests, chance, quarter hours, winter, heat, depth, empty and full."""
    draws = np.random.default_rng(seed)
    hours = np.arange(YEAR_H + 1.0)
    quarters = np.arange(0.0, YEAR_H + 0.1, 0.25)
    week = hours % 168.0
    weekly = np.where(
        week < 120.0, _day(DRIVE, hours), np.where(week < 144.0, _day(TOUR, hours), 0.9)
    )
    rests = np.where(hours % 504.0 < 72.0, _day(TOUR, hours), 0.9)
    at = np.sort(draws.uniform(0.0, YEAR_H, 1500))
    chance = np.interp(quarters, at, draws.beta(4.0, 2.0, len(at)))
    chance[-1] = chance[0]
    made = {
        "weekly": (hours, weekly, _weather(hours, 12.0, 9.0, 4.0)),
        "rests": (hours, rests, _weather(hours, 15.0, 10.0, 5.0)),
        "chance 15 min": (quarters, chance, _weather(quarters, 22.0, 9.0, 5.0)),
        "v2g 15 min": (quarters, _day(V2G, quarters), _weather(quarters, 18.0, 9.0, 5.0)),
        "v2g winter": (hours, _day(V2G, hours), _weather(hours, -2.0, 12.0, 3.0)),
        "deep hot": (hours, _day(DEEP, hours), _weather(hours, 33.0, 6.0, 4.0)),
        "deep cold": (hours, _day(DEEP, hours), _weather(hours, 5.0, 12.0, 0.0)),
        "full to empty": (hours, _day(SWING, hours), _weather(hours, 25.0, 0.0, 0.0)),
        "hot summers": (hours, np.full_like(hours, 0.9), _weather(hours, 28.0, 12.0, 0.0)),
        "full": (hours, np.ones_like(hours), _weather(hours, 25.0, 8.0, 5.0)),
        "empty": (hours, np.zeros_like(hours), _weather(hours, 25.0, 8.0, 5.0)),
        "two a day": (hours, _day(TWICE, hours), _weather(hours, 20.0, 8.0, 4.0)),
    }
    return {
        name: History(time_h=time_h, soc=soc, temperature_c=temperature_c)
        for name, (time_h, soc, temperature_c) in made.items()
    }


def population(cells: int, days: int, seed: int) -> tuple[Floats, Floats]:
    """SoC and temperature by the hour, (cells, hours): each its own level, rhythm and weather."""
    draws = np.random.default_rng(seed)
    hours = np.arange(24.0 * days + 1.0)[None]
    level, swing = draws.uniform(0.5, 0.8, (cells, 1)), draws.uniform(0.02, 0.3, (cells, 1))
    phase, rhythm = draws.uniform(0.0, 24.0, (cells, 1)), draws.uniform(40.0, 170.0, (cells, 1))
    soc = level + swing * np.sin(2.0 * np.pi * (hours - phase) / 24.0)
    soc += 0.15 * np.sin(2.0 * np.pi * hours / rhythm)
    return soc.clip(0.0, 1.0), _weather(hours + 24.0 * 15.0 * phase, 15.0, 10.0, 4.0)


# -- gridleaf --


def speed(cell: Model, soc: Floats, temperature_c: Floats, repeat: int) -> float:
    """Cell-years per second of processor time, day by day; the best of some runs."""
    cells, hours = soc.shape
    days = [
        (np.ascontiguousarray(s), np.ascontiguousarray(t))
        for s, t in zip(
            np.split(soc[:, 1:], hours // 24, axis=1),
            np.split(temperature_c[:, 1:], hours // 24, axis=1),
            strict=True,
        )
    ]
    begun = advance(fresh(cell, cells), soc[:, :1], temperature_c[:, :1], 1.0)
    best = np.inf
    for _ in range(repeat + 1):
        began = time.process_time()
        state = begun
        for s, t in days:
            state = advance(state, s, t, 1.0)
        best = min(best, time.process_time() - began)
    return float(cells * len(days) / 365.0 / best)


# -- the peer --


def peer_python(environment: Path) -> Path | None:
    """The Python of the peer's environment, made where it is missing; None where that fails."""
    python = environment / "bin" / "python"
    if python.exists():
        return python
    print(f"making an environment for {PEER[0]} in {environment}", file=sys.stderr)
    try:
        venv.create(environment, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PEER], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"without the peer: {error}", file=sys.stderr)
        return None
    return python


def ask_peer(
    python: Path, made: dict[str, History], years: int, models: Sequence[Model]
) -> dict[tuple[str, str], Floats]:
    """Capacity by year and, last, seconds, by model and history."""
    script = Path(__file__).with_name("ageing_peer.py")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "histories.npz", Path(folder) / "result.npz"
        columns = {
            f"{name}/{field}": values
            for name, history in made.items()
            for field, values in (
                ("time_s", history.time_h * 3600.0),
                ("soc", history.soc),
                ("temperature_c", history.temperature_c),
            )
        }
        np.savez(source, **columns)  # type: ignore[arg-type]
        names = [cell.name for cell in models]
        # Plots are never drawn; the peer imports what would.
        surroundings = {**os.environ, "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"}
        surroundings.pop("PYTHONPATH", None)
        subprocess.run(
            [python, script, source, target, str(years), *names], check=True, env=surroundings
        )
        found = np.load(target)
        return {(key.split("/")[0], key.split("/")[1]): found[key] for key in found}


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each model."""
    models = [model(name) for name in options.model] or list(MODELS)
    soc, temperature_c = population(options.cells, options.days, seed=1)
    made = histories()
    python = None if options.no_peer else peer_python(options.environment)
    peer = ask_peer(python, made, options.years, models) if python else {}
    rows = []
    for cell in models:
        row: dict[str, Any] = {
            "model": cell.name,
            "cell_years_per_s": speed(cell, soc, temperature_c, options.repeat),
        }
        if peer:
            seconds = sum(peer[cell.name, name][-1] for name in made)
            row["peer_cell_years_per_s"] = len(made) * options.years / seconds
            row["difference"] = {
                name: _largest(
                    simulate(cell, history, options.years).relative_capacity
                    - peer[cell.name, name][:-1]
                )
                for name, history in made.items()
            }
        rows.append(row)
    return rows


def _largest(differences: Floats) -> float | None:
    """The difference of largest size; None where the peer has no number."""
    if not np.isfinite(differences).all():
        return None
    return float(differences[np.abs(differences).argmax()])


def main(argv: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks ageing")
    parser.add_argument("--cells", type=int, default=2000)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--years", type=int, default=3)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--environment", type=Path, default=WHERE)
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    rows = measure(options)
    if options.json:
        print(json.dumps(rows))
        return
    print(f"{options.cells} cells, {options.days} days by the hour, one core")
    print(f"{'model':40s} cell-years/s     peer    times")
    for row in rows:
        peer = row.get("peer_cell_years_per_s")
        beside = f"{peer:9.1f}{row['cell_years_per_s'] / peer:9.0f}" if peer else ""
        print(f"{row['model']:40s}{row['cell_years_per_s']:13.0f}{beside}")
    if "difference" in rows[0]:
        names = list(rows[0]["difference"])
        print(
            f"\nlargest difference in capacity within {options.years} years, per cent; nan: the peer's"
        )
        print(" " * 40 + "".join(f"{name:>14s}" for name in names))
        for row in rows:
            each = (row["difference"][name] for name in names)
            print(
                f"{row['model']:40s}"
                + "".join(f"{'nan':>14s}" if d is None else f"{100 * d:+14.2f}" for d in each)
            )
