"""Replay speed: a month with 1,500 sessions on 50 EVSEs in all three modes, from files to figures.

The log and the prices are drawn from a seed: employees by day, vans by night, a price with an evening
peak. ``python -m benchmarks replay [--sessions 1500] [--evses 50] [--days 30] [--workers 2] [--json]``.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import math
import random
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from gridleaf.domain.clock import stopwatch
from gridleaf.replay.logs import read_sessions
from gridleaf.replay.run import prepare, replay
from gridleaf.tariff import read_price_csv

START = datetime(2026, 3, 2, tzinfo=UTC)


def write_log(path: Path, sessions: int, evses: int, days: int, rng: random.Random) -> None:
    """A charging log in gridleaf's own layout."""
    free = dict.fromkeys(range(evses), START)
    rows: list[list[Any]] = []
    arrivals = sorted(
        START + timedelta(days=rng.randrange(days), hours=_hour(rng)) for _ in range(3 * sessions)
    )
    for arrival in arrivals:
        station = min(free, key=lambda n: free[n])
        if free[station] > arrival or len(rows) == sessions:
            continue
        stay_h = min(max(rng.gauss(7.0, 2.5), 0.7), 14.0)
        departure = arrival + timedelta(hours=stay_h)
        power = rng.choice((7.4, 11.0, 22.0))
        energy = min(max(rng.gauss(18.0, 9.0), 2.0), 0.85 * power * stay_h)
        free[station] = departure + timedelta(minutes=10)
        rows.append(
            [arrival.isoformat(), departure.isoformat(), round(energy, 2), f"S{station}", power]
        )
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["arrival", "departure", "energy_kwh", "station", "max_kw"])
        writer.writerows(rows)


def _hour(rng: random.Random) -> float:
    return rng.gauss(8.3, 1.2) if rng.random() < 0.65 else rng.gauss(17.0, 1.5)


def write_prices(path: Path, days: int, rng: random.Random) -> None:
    """Hourly day-ahead prices [EUR/MWh]."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["utc_start", "eur_per_mwh"])
        for hour in range(24 * (days + 3)):
            at = START - timedelta(days=1) + timedelta(hours=hour)
            evening = 90 * math.exp(-(((at.hour - 18) / 2.2) ** 2))
            noon = -50 * math.exp(-(((at.hour - 12) / 3) ** 2))
            writer.writerow(
                [f"{at:%Y-%m-%dT%H:%MZ}", round(80 + evening + noon + rng.gauss(0, 6), 2)]
            )


def measure(sessions: int, evses: int, days: int, workers: int, seed: int) -> dict[str, Any]:
    """Wall time of reading, replaying and counting [s], and what came out."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        log, prices = Path(folder) / "log.csv", Path(folder) / "prices.csv"
        write_log(log, sessions, evses, days, rng)
        write_prices(prices, days, rng)
        began = stopwatch()
        read = read_sessions(log)
        series = read_price_csv(prices)
        result = replay(prepare(read, series, prices), workers=workers)
        seconds = stopwatch() - began
    return {
        "seconds": seconds,
        "evses": result.evses,
        "workers": workers,
        "modes": {
            m.mode: {
                "sessions": m.sessions,
                "unmet_kwh": m.unmet_kwh,
                "limit_violations": m.limit_violations,
            }
            for m in result.modes
        },
    }


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=1500)
    parser.add_argument("--evses", type=int, default=50)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    row = measure(options.sessions, options.evses, options.days, options.workers, options.seed)
    if options.json:
        print(json.dumps(row))
        return
    print(f"{options.days} days on {row['evses']} EVSEs, three modes: {row['seconds']:.0f} s")
    for mode, figures in row["modes"].items():
        print(f"  {mode}: {figures}")


if __name__ == "__main__":
    main()
