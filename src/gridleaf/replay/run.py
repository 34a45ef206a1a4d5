"""A whole replay: files in, the three modes in processes of their own, one result out."""

from __future__ import annotations

import logging
import multiprocessing as mp
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import structlog

from gridleaf.battery.catalogue import catalogue
from gridleaf.control.types import Policy
from gridleaf.domain.prices import PricePoint
from gridleaf.domain.site import SiteConfig
from gridleaf.replay.logs import SessionLog
from gridleaf.replay.metrics import TOLERANCE_KW, TOLERANCE_SHARE, aligned
from gridleaf.replay.results import MODES, ModeResult, ReplayResult
from gridleaf.replay.site import assumed_site, given_site
from gridleaf.replay.window import Window, select, window_of
from gridleaf.replay.world import Scenario, run_mode
from gridleaf.store.port import SessionRecord
from gridleaf.tariff import PriceSeries

Progress = Callable[[Policy, float], None]
"""Told the mode and the share of its window that has passed, 0..1."""

_POLL_S = 0.2
_MEMORY = timedelta(days=28)
"""The platform looks no farther back at sessions."""
_AROUND = timedelta(days=15)
"""As far as the price book remembers, and farther than any horizon."""


def prepare(
    log: SessionLog,
    prices: PriceSeries,
    prices_file: Path,
    *,
    site: SiteConfig | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    evses: int | None = None,
    battery: str | None = None,
    seed: int = 0,
) -> Scenario:
    """What is to be replayed: the visits of the window at the site given, or at one that fits them.

    Raises
    ------
    ConfigError
        Nothing is left to replay, or there is no such battery.
    """
    if battery is not None:
        catalogue().pack(battery)
    first, last = prices.points[0].start, prices.points[-1].end
    priced = Window(start=first, end=last)
    window = window_of(log, since, until, priced)
    chosen = select(log, window, priced, asked=since is not None or until is not None)
    if site is None:
        usual = median(p.price_per_kwh for p in _near(prices.points, window))
        replay = assumed_site(
            chosen, prices_file, usual_price=round(usual, 4), evses=evses, battery=battery
        )
    else:
        replay = given_site(chosen, site, prices_file, battery=battery)
    whole = aligned(window, replay.site.tariff.demand_interval_min)
    return Scenario(
        replay=replay,
        window=whole,
        points=_near(prices.points, whole),
        past=_past(log, whole, len(replay.visits) / len(chosen.visits)),
        seed=seed,
    )


def _past(log: SessionLog, window: Window, share: float) -> tuple[SessionRecord, ...]:
    """The visits of the weeks before the window; ``share`` of the energy came to this site."""
    return tuple(
        SessionRecord(
            session_id=f"past-{visit.visit_id}",
            station_id=visit.station or "",
            evse_id=None,
            transaction_id=visit.visit_id,
            id_token=visit.id_token,
            arrived_at=visit.arrived_at,
            departed_at=visit.departed_at,
            state="ended",
            charged_kwh=visit.energy_kwh * share,
        )
        for visit in log.visits
        if visit.arrived_at >= window.start - _MEMORY and visit.departed_at <= window.start
    )


def _near(points: Sequence[PricePoint], window: Window) -> tuple[PricePoint, ...]:
    """The prices that a plan made within the window can look at."""
    return tuple(
        p for p in points if p.end > window.start - _AROUND and p.start < window.end + _AROUND
    )


def replay(
    scenario: Scenario,
    *,
    modes: Sequence[Policy] = MODES,
    workers: int = 2,
    progress: Progress = lambda _mode, _share: None,
    price_notes: Sequence[str] = (),
    command: str = "",
) -> ReplayResult:
    """Run the modes, at most ``workers`` at a time, each in a process of its own when more than one.

    The result does not depend on ``workers``.
    """
    if workers > 1 and len(modes) > 1:
        done = _in_processes(scenario, modes, workers, progress)
    else:
        done = {m: run_mode(scenario, m, _reporter(m, progress)) for m in modes}
    site = scenario.replay.site
    interval_h = site.tariff.demand_interval_min / 60
    buy, sell, known = scenario.prices()
    return ReplayResult(
        site=site.name,
        timezone=site.timezone,
        currency=site.currency,
        start=scenario.window.start,
        end=scenario.window.end,
        interval_h=interval_h,
        import_price=buy,
        export_price=sell,
        import_limit_kw=site.import_limit_kw,
        export_limit_kw=site.export_limit_kw,
        evses=sum(len(s.evses) for s in site.stations),
        data_quality=scenario.replay.quality,
        price_notes=(*price_notes, *_unpriced(known.count(False) * interval_h, site)),
        assumptions=(*scenario.replay.assumptions, *_METHOD),
        modes=tuple(done[m] for m in modes),
        command=command,
    )


def _unpriced(hours: float, site: SiteConfig) -> tuple[str, ...]:
    """How much of the window was billed without a market price, in words."""
    buy, sell = site.tariff.import_price, site.tariff.export_price
    if not hours:
        return ()
    return (
        f"{hours:g} h of the window have no market price and were billed at {buy:g} for buying and "
        f"{sell:g} for selling a kWh",
    )


_METHOD = (
    "prices become known as the auction publishes them: those of tomorrow at 12:45 Brussels time",
    "vehicles yet to come are expected as on the days of the four weeks before, from the log itself",
    "the meters of the stations and of the grid connection are read before every decision; energies, "
    "costs and peaks are taken from the stations' registers themselves",
    "energy is billed by metering interval, net at the grid connection; the demand charge is pro "
    "rata where a month is not covered whole",
    "a limit counts as violated in a minute whose mean power is above it by more than "
    f"{TOLERANCE_KW:g} kW and {TOLERANCE_SHARE:.1%}",
    "unmet energy is what a vehicle lacks at departure of the energy that the log delivered and that "
    "its power could deliver in the stay less one minute",
)


def _reporter(mode: Policy, progress: Progress) -> Callable[[float], None]:
    return lambda share: progress(mode, share)


def _in_processes(
    scenario: Scenario, modes: Sequence[Policy], workers: int, progress: Progress
) -> dict[Policy, ModeResult]:
    context = mp.get_context("spawn")
    shares = context.Array("d", len(modes))
    done: dict[Policy, ModeResult] = {}
    threads = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        with ProcessPoolExecutor(
            min(workers, len(modes)), mp_context=context, initializer=_begin, initargs=(shares,)
        ) as pool:
            # The last mode plans most: started first, it does not keep the others waiting.
            running: dict[Future[ModeResult], Policy] = {
                pool.submit(_work, scenario, mode, modes.index(mode)): mode
                for mode in reversed(modes)
            }
            while running:
                finished, _ = wait(running, _POLL_S, FIRST_COMPLETED)
                for index, mode in enumerate(modes):
                    progress(mode, shares[index])
                for future in finished:
                    done[running.pop(future)] = future.result()
    finally:
        if threads is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = threads
    for mode in modes:
        progress(mode, 1.0)
    return done


_shares: Any = None


def _begin(shares: Any) -> None:
    """Set up a worker: where to report progress, and only errors in its log."""
    global _shares
    _shares = shares
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _work(scenario: Scenario, mode: Policy, index: int) -> ModeResult:
    def report(share: float) -> None:
        _shares[index] = share

    return run_mode(scenario, mode, report)
