"""The battery passport: dynamic attributes, and a history that shows every change made to it.

Names are those of the BatteryPass data model v1.2.0 (``batteryTechicalProperties`` and
``batteryCondition`` of its Performance 1.2.1; batterypass/BatteryPassDataModel, CC BY 4.0) for what
Regulation (EU) 2023/1542, Art. 77 and Annex XIII, asks of an individual battery; the form of the
values is our own and is laid down in ``data/passport.schema.json``. What nobody measured is left out.

The history is a chain: each entry holds the hash of the one before and is signed (Ed25519, RFC 8032).
A changed, moved or missing entry breaks it. That the newest ones are missing shows only to those who
remember how far it went: whoever holds an earlier passport, and the file of heads beside the key. And
a chain is proof only to those who know the key from elsewhere: anybody can make a key and sign with it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import jsonschema_rs
import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from gridleaf.domain.errors import ConfigError

SCHEMA = "urn:gridleaf:battery-passport:1"
_BEGIN = "0" * 64
"""What the first entry has for the hash of the one before."""

Attributes = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a battery when its passport is written; None is not known.

    Parameters
    ----------
    capacity_kwh
        Measured capacity and the ends of its 90 % band [kWh].
    round_trip
        Efficiency from the grid to the grid, and the ends of its band (0..1).
    charged_kwh, discharged_kwh
        Into and out of the cells by the registers of the site since ``metered_since`` [kWh].
    soc
        The newest state of charge (0..1), told at ``soc_at``.
    rated
        Attributes of the data sheet: name -> value and unit.
    """

    nominal_kwh: float
    measured_at: datetime | None = None
    capacity_kwh: tuple[float, float, float] | None = None
    round_trip: tuple[float, float, float] | None = None
    charged_kwh: float = 0.0
    discharged_kwh: float = 0.0
    metered_since: datetime | None = None
    soc: float | None = None
    soc_at: datetime | None = None
    rated: Mapping[str, tuple[float, str]] = field(default_factory=dict)


def attributes(facts: Facts, at: datetime) -> Attributes:
    """The dynamic attributes that follow from what is known."""
    found = {"ratedEnergy": _quantity(facts.nominal_kwh, "kWh", at, "stated")}
    if facts.capacity_kwh is not None and facts.measured_at is not None:
        capacity, low, high = facts.capacity_kwh
        when, new = facts.measured_at, facts.nominal_kwh
        share = [100 * kwh / new for kwh in (capacity, low, high)]
        found["remainingEnergy"] = _measured((capacity, low, high), "kWh", when)
        found["stateOfCertifiedEnergy"] = _measured(share, "%", when)
        found["capacityFade"] = _measured([100 - share[n] for n in (0, 2, 1)], "%", when)
        if "nominalVoltage" in facts.rated:
            ampere_hours = [
                1000 * kwh / facts.rated["nominalVoltage"][0] for kwh in (capacity, low, high)
            ]
            found["remainingCapacity"] = _measured(ampere_hours, "Ah", when)
        if facts.round_trip is not None:
            trip = [100 * share for share in facts.round_trip]
            found["remainingRoundTripEnergyEfficiency"] = _measured(trip, "%", when)
    if facts.metered_since is not None:
        through = facts.charged_kwh + facts.discharged_kwh
        cycles = through / (2 * facts.nominal_kwh)
        for name, value, unit in (
            ("energyThroughput", through, "kWh"),
            ("numberOfFullCycles", cycles, "1"),
        ):
            found[name] = {
                **_quantity(value, unit, at, "metered"),
                "since": _time(facts.metered_since),
            }
    if facts.soc is not None and facts.soc_at is not None:
        found["stateOfCharge"] = _quantity(100 * facts.soc, "%", facts.soc_at, "metered")
    for name, (value, unit) in facts.rated.items():
        found[name] = _quantity(value, unit, at, "stated")
    return found


def _measured(value_low_high: Sequence[float], unit: str, at: datetime) -> Attributes:
    value, low, high = (max(number, 0.0) for number in value_low_high)
    band = {"low": round(low, 3), "high": round(high, 3)}
    return {**_quantity(value, unit, at, "measured"), **band}


def _quantity(value: float, unit: str, at: datetime, basis: str) -> Attributes:
    return {"value": round(value, 3), "unit": unit, "at": _time(at), "basis": basis}


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


# -- the chain --


def load_key(path: Path, *, create: bool = False) -> Ed25519PrivateKey:
    """The key of a file (32 bytes), for its owner only; ``create`` makes one where there is none.

    Raises
    ------
    ConfigError
        It is not there, is no key, or others may read it. What it holds is never told.
    """
    try:
        if create and not path.exists():
            _make_key(path)
        if path.stat().st_mode & 0o077:
            raise ConfigError(str(path), "may be read by others; chmod 600 it")
        return Ed25519PrivateKey.from_private_bytes(path.read_bytes())
    except OSError as error:
        raise ConfigError(str(path), error.strerror or "cannot be read") from None
    except ValueError:
        raise ConfigError(str(path), "is no Ed25519 key of 32 bytes") from None


def _make_key(path: Path) -> None:
    """A whole key or none, and never in the place of another one."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with NamedTemporaryFile(dir=path.parent, prefix=f"{path.name}.") as part:
        part.write(Ed25519PrivateKey.generate().private_bytes_raw())
        part.flush()
        os.fsync(part.fileno())
        with suppress(FileExistsError):
            os.link(part.name, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # or an entry could be there after a power cut, and the key not
    finally:
        os.close(folder)


def sign(
    battery: str,
    found: Attributes,
    at: datetime,
    before: Sequence[str],
    key: Ed25519PrivateKey,
) -> str:
    """The next entry of a history, as it is to be kept to the byte."""
    body = {
        "number": len(before) + 1,
        "battery": battery,
        "at": _time(at),
        "attributes": found,
        "previous": json.loads(before[-1])["hash"] if before else _BEGIN,
        "key": key.public_key().public_bytes_raw().hex(),
    }
    digest = hashlib.sha256(_canonical(body))
    signature = key.sign(digest.digest()).hex()
    return _canonical({**body, "hash": digest.hexdigest(), "signature": signature}).decode()


@dataclass(frozen=True, slots=True)
class Head:
    """How far a history went when it was seen last."""

    number: int
    hash: str


def faults(
    battery: str,
    entries: Sequence[str],
    *,
    key: Ed25519PublicKey | None = None,
    heads: Sequence[Head] = (),
) -> list[str]:
    """Everything that is wrong with a history; [] where it is as it was written.

    Parameters
    ----------
    key
        Whose signature it must be. When absent that of the first entry, which proves nothing about who
        wrote it: say so.
    heads
        How far it went at other times: what was cut off at its end shows only by these.
    """
    found = list(_faults(battery, entries, key))
    hashes = [_hash_of(entry) for entry in entries]
    for head in heads:
        if head.number > len(entries):
            found.append(f"{head.number - len(entries)} entries are missing at the end")
        elif head.number < 1 or hashes[head.number - 1] != head.hash:
            found.append(f"entry {head.number} is another one than was seen before")
    return found


def _faults(battery: str, entries: Sequence[str], key: Ed25519PublicKey | None) -> Iterator[str]:
    previous, last = _BEGIN, ""
    owner = None if key is None else key.public_bytes_raw().hex()
    for number, text in enumerate(entries, 1):
        try:
            entry = json.loads(text)
            if _canonical(entry).decode() != text:
                raise ValueError(text)
            body = {k: v for k, v in entry.items() if k not in ("hash", "signature")}
            digest = hashlib.sha256(_canonical(body))
            signer = Ed25519PublicKey.from_public_bytes(bytes.fromhex(entry["key"]))
            signature = bytes.fromhex(entry["signature"])
            claims = entry["number"], entry["battery"], entry["previous"], entry["hash"]
            at = str(entry["at"])
        except (ValueError, KeyError, TypeError, AttributeError):
            yield f"entry {number} cannot be read as it was written"
            previous = ""
            continue
        owner = owner or entry["key"]
        if claims[0] != number:
            yield f"entry {number} has the number {claims[0]}"
        if claims[1] != battery:
            yield f"entry {number} is of another battery"
        if claims[2] != previous:
            yield f"entry {number} does not follow the one before"
        if at < last:
            yield f"entry {number} is older than the one before"
        if claims[3] != digest.hexdigest():
            yield f"entry {number} was changed"
        if entry["key"] != owner:
            yield f"entry {number} is signed with another key"
        try:
            signer.verify(signature, digest.digest())
        except InvalidSignature:
            yield f"the signature of entry {number} is wrong"
        previous, last = claims[3], at


def _hash_of(entry: str) -> str:
    try:
        return str(json.loads(entry)["hash"])
    except (ValueError, KeyError, TypeError):
        return ""


def public_key(text: str) -> Ed25519PublicKey:
    """The key of 64 hexadecimal digits, as entries have it. Raises :class:`ConfigError`."""
    try:
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex(text.strip()))
    except ValueError:
        raise ConfigError("key", "must be the 64 hexadecimal digits of a public key") from None


def head_of(entries: Sequence[str]) -> Head | None:
    """How far a history goes."""
    return Head(len(entries), _hash_of(entries[-1])) if entries else None


def _canonical(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


# -- the document --


def document(battery: str, entries: Sequence[str]) -> dict[str, Any]:
    """The passport of a history, checked against the schema.

    Raises
    ------
    ConfigError
        It would not be valid; nothing leaves then.
    """
    history = [json.loads(entry) for entry in entries]
    passport = {
        "schema": SCHEMA,
        "battery": battery,
        "issuedAt": history[-1]["at"] if history else "",
        "attributes": history[-1]["attributes"] if history else {},
        "history": history,
    }
    for error in _validator().iter_errors(passport):
        place = "/".join(map(str, error.instance_path))
        raise ConfigError(f"passport of {battery}", f"{place}: {error.message}")
    return passport


@cache
def _validator() -> jsonschema_rs.Draft202012Validator:
    text = (files("gridleaf.battery") / "data" / "passport.schema.json").read_text("utf-8")
    return jsonschema_rs.Draft202012Validator(json.loads(text))


def opened(path: Path) -> dict[str, Any]:
    """A passport that was given out as a file; raises :class:`ConfigError` where it is none."""
    try:
        given = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(str(path), error.strerror or str(error)) from None
    except ValueError:
        raise ConfigError(str(path), "is no JSON") from None
    if not _validator().is_valid(given):
        raise ConfigError(str(path), "is no passport of gridleaf")
    assert isinstance(given, dict)
    return given


def entries_of(passport: Mapping[str, Any]) -> list[str]:
    """The entries of a passport to the byte, as they were signed."""
    return [_canonical(entry).decode() for entry in passport["history"]]


def faults_of_copy(passport: Mapping[str, Any]) -> list[str]:
    """What a passport says outside its signed history, and the newest entry does not."""
    newest = passport["history"][-1]
    same = {"battery": "battery", "issuedAt": "at", "attributes": "attributes"}
    return [
        f"{name} is not that of the newest entry"
        for name, signed in same.items()
        if passport[name] != newest[signed]
    ]


# -- heads, beside the key --


def read_heads(path: Path) -> dict[str, Head]:
    """Heads by battery; none where the file is not there. Raises :class:`ConfigError`."""
    try:
        kept = json.loads(path.read_text("utf-8"))
        return {battery: Head(int(n), str(digest)) for battery, (n, digest) in kept.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError):
        raise ConfigError(str(path), "cannot be read as a file of heads") from None


def write_heads(path: Path, heads: Mapping[str, Head]) -> None:
    """Remember how far these batteries' histories went, for the owner of the file only.

    The file is replaced at once, and those who write at the same time wait for each other. What it
    knows of other batteries stays, and none goes back to an earlier entry.
    """
    lock = os.open(path.with_name(f"{path.name}.lock"), os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = read_heads(path)
        for battery, head in heads.items():
            if battery not in kept or kept[battery].number <= head.number:
                kept[battery] = head
        part = path.with_name(f"{path.name}.part")
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({battery: (head.number, head.hash) for battery, head in kept.items()}, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        os.close(lock)
