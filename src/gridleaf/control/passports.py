"""The passports of a site's vehicles: what is known of a battery becomes the next entry of its chain.

The running platform adds an entry by itself when sessions have told something new. The passport is to
be "accurate, complete and up to date" (Regulation (EU) 2023/1542, Art. 77), and no article names an
interval. A day, of the site's clock, is short beside how batteries change, and the chain of a long life
can still be verified whole before each entry. ``gridleaf battery passport`` adds one at any time, to
the same chain.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from prometheus_client import Counter

from gridleaf.battery import passport as book
from gridleaf.battery.health import EFFICIENCY_SD
from gridleaf.battery.pack import named, stored_kwh
from gridleaf.control.batteries import estimate_of, is_of
from gridleaf.domain.errors import ConfigError, GridleafError
from gridleaf.domain.site import SiteConfig, Storage, Vehicle, same_token
from gridleaf.store.port import HealthRecord, PassportRecord, Store

log = structlog.get_logger()

NOT_WRITTEN = Counter(
    "gridleaf_passports_not_written",
    "Passport entries that could not be written; each is tried again",
)
_RECENT = 50
"""So many sessions are looked through for the newest state of charge."""
_Z90 = 1.6448536269514722


def key_file(storage: Storage) -> Path:
    """Where the key that signs is kept."""
    return storage.passport_key_file or storage.data_dir / "passport.key"


def heads_file(key: Path) -> Path:
    """Where it is kept how far each passport went."""
    return key.with_name(f"{key.name}.heads")


def own_key(storage: Storage) -> Ed25519PublicKey | None:
    """Whose signature a site's passports must have; None where it has no key yet."""
    path = key_file(storage)
    return book.load_key(path).public_key() if path.exists() else None


async def write_due(store: Store, site: SiteConfig, key: Path, at: datetime) -> list[str]:
    """Add an entry for each vehicle whose health is new, at most one a day.

    One that cannot be written is logged and counted; it is due again the next time. Returns the
    vehicles (:func:`~gridleaf.domain.site.same_token`) that got one.
    """
    vehicles = {same_token(vehicle.id_token): vehicle for vehicle in site.vehicles}
    newest = {row.vehicle: row.entry for row in await store.latest_passports()}
    written = []
    for record in await store.latest_health():
        vehicle = vehicles.get(record.vehicle)
        if vehicle is None or not is_of(record, vehicle, at):
            continue
        try:
            if not _due(record, newest.get(record.vehicle), at, ZoneInfo(site.timezone)):
                continue
            await add_entry(store, record.vehicle, key, at, site=site)
        except Exception as error:
            NOT_WRITTEN.inc()
            log.warning(
                "passport_not_written",
                vehicle=vehicle.name or vehicle.id_token,
                reason=str(error),
                exc_info=not isinstance(error, GridleafError | OSError),
            )
        else:
            written.append(record.vehicle)
    return written


def _due(record: HealthRecord, newest: str | None, at: datetime, zone: ZoneInfo) -> bool:
    """Whether the newest entry is of another day, and it told another health.

    One from a day to come is due too: who tries to go on from it says so.
    """
    if newest is None:
        return True
    try:
        entry = json.loads(newest)
        written = datetime.fromisoformat(entry["at"])
        told = entry["attributes"].get("remainingEnergy")
    except (ValueError, KeyError, TypeError, AttributeError):
        return True  # damaged: who tries to go on from it says so
    now = book.attributes(_measured(record), at)["remainingEnergy"]
    return at.astimezone(zone).date() != written.astimezone(zone).date() and told != now


def _measured(record: HealthRecord) -> book.Facts:
    return book.Facts(
        nominal_kwh=record.nominal_kwh,
        measured_at=record.at,
        capacity_kwh=(record.capacity_kwh, record.low_kwh, record.high_kwh),
    )


async def add_entry(
    store: Store, battery: str, key: Path, at: datetime, *, site: SiteConfig | None = None
) -> list[str]:
    """Sign what is known of a battery now as the next entry of its passport; returns all entries.

    The key is made where there is none yet and no passport that another one has signed.

    Raises
    ------
    ConfigError
        Nothing is known of the battery, its history is not as it was written, the key cannot be
        used, or the entry would be older than the newest one.
    OSError
        The entry is written, and how far the passport goes could not be.
    """
    entries = [row.entry for row in await store.passport(battery)]
    first = not entries and not await store.latest_passports()
    facts = await _facts(store, battery, site, at)
    entry = await asyncio.to_thread(_signed, battery, facts, at, entries, key, first)
    record = PassportRecord(vehicle=battery, number=len(entries) + 1, entry=entry)
    if not await store.append_passport(record):
        raise ConfigError(battery, "somebody else wrote to its passport just now; try again")
    entries.append(entry)
    await asyncio.to_thread(_remember, battery, entries, key)
    return entries


def _signed(
    battery: str, facts: book.Facts, at: datetime, entries: Sequence[str], key: Path, first: bool
) -> str:
    heads = book.read_heads(heads_file(key))
    private = book.load_key(key, create=first and not heads)
    seen = [heads[battery]] if battery in heads else []
    wrong = book.faults(battery, entries, key=private.public_key(), heads=seen)
    if wrong:
        raise ConfigError(f"passport of {battery}", "; ".join(wrong))
    if entries and at < datetime.fromisoformat(json.loads(entries[-1])["at"]):
        raise ConfigError(f"passport of {battery}", "its newest entry is from later than now")
    entry = book.sign(battery, book.attributes(facts, at), at, entries, private)
    book.document(battery, [*entries, entry])
    return entry


def _remember(battery: str, entries: Sequence[str], key: Path) -> None:
    head = book.head_of(entries)
    assert head is not None
    book.write_heads(heads_file(key), {battery: head})


# -- what is known --


async def _facts(store: Store, battery: str, site: SiteConfig | None, at: datetime) -> book.Facts:
    """What the store and the site file tell of a battery."""
    history = await store.health(battery, limit=1)
    moved = (await store.throughput(id_token=battery)).get(battery)
    stays = await store.sessions(id_token=battery, limit=_RECENT)
    vehicle = _vehicle(site, battery)
    nominal = vehicle.capacity_kwh if vehicle else history[0].nominal_kwh if history else None
    if nominal is None:
        raise ConfigError(battery, "no vehicle of this id token is known")
    newest = next(iter(history), None)
    if newest is not None and vehicle is not None and not is_of(newest, vehicle, at):
        newest = None
    told = [s for s in stays if s.departure_soc is not None and s.departed_at is not None]
    return book.Facts(
        nominal_kwh=nominal,
        measured_at=newest.at if newest else None,
        capacity_kwh=(newest.capacity_kwh, newest.low_kwh, newest.high_kwh) if newest else None,
        round_trip=_round_trip(newest, site),
        charged_kwh=moved.charged_kwh if moved else 0.0,
        discharged_kwh=moved.discharged_kwh if moved else 0.0,
        metered_since=moved.since if moved else None,
        soc=told[0].departure_soc if told else None,
        soc_at=told[0].departed_at if told else None,
        rated=_rated(vehicle.battery) if vehicle and vehicle.battery else {},
    )


def _vehicle(site: SiteConfig | None, battery: str) -> Vehicle | None:
    vehicles = site.vehicles if site is not None else ()
    return next((v for v in vehicles if same_token(v.id_token) == battery), None)


def _rated(battery: str) -> dict[str, tuple[float, str]]:
    """What the catalogue says of a pack when new; the nominal voltage is the mean over its charge."""
    pack = named(battery)
    mean_v = 1000 * float(stored_kwh(pack, 1.0)) / pack.capacity_ah
    return {
        "ratedCapacity": (pack.capacity_ah, "Ah"),
        "minimumVoltage": (pack.min_v, "V"),
        "nominalVoltage": (mean_v, "V"),
        "maximumVoltage": (pack.max_v, "V"),
    }


def _round_trip(
    record: HealthRecord | None, site: SiteConfig | None
) -> tuple[float, float, float] | None:
    """From the grid to the grid, once sessions have told more of it than was assumed."""
    assumed = [
        evse.charge_efficiency * evse.discharge_efficiency
        for station in (site.stations if site else ())
        for evse in station.evses
        if evse.discharge_max_kw > 0
    ]
    if record is None or not assumed:
        return None
    factor, sd = estimate_of(record).round_trip
    if sd > EFFICIENCY_SD:
        return None
    share = factor * sum(assumed) / len(assumed)
    return share, share * (1 - _Z90 * sd), share * (1 + _Z90 * sd)
