"""Problems and plans as files: JSON for people, ``.npz`` for a million vehicles, the same names.

In JSON a column is a list with one entry for each visit or node, each entry a number, null or a row
of T numbers; in ``.npz`` it is an array of shape ``(N,)`` or ``(N, T)``, under names joined by a
dot (``visits.arrive``). Both become the same :class:`Problem`.
"""

from __future__ import annotations

import codecs
import json
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema_rs
import numpy as np
import orjson
from numpy.typing import NDArray

from gridleaf.domain.errors import ProblemError
from gridleaf.plan.problem import (
    Floats,
    Ints,
    Nodes,
    Plan,
    Powers,
    Problem,
    Rows,
    Visits,
    check,
    filled,
)

Columns = Mapping[str, Any]

ABSENT: dict[str, float] = {
    "visits.target_kwh": np.nan,
    "visits.min_kwh": 0.0,
    "visits.max_kwh": np.nan,
    "visits.discharge_kw": 0.0,
    "visits.charge_efficiency": 1.0,
    "visits.discharge_efficiency": 1.0,
    "visits.wear_eur_per_kwh": 0.0,
    "visits.value_eur_per_kwh": 0.0,
    "nodes.import_limit_kw": np.nan,
    "nodes.export_limit_kw": np.nan,
    "nodes.load_kw": 0.0,
    "nodes.import_price_eur_per_kwh": np.nan,
    "nodes.export_price_eur_per_kwh": np.nan,
    "nodes.demand_charge_eur_per_kw": 0.0,
    "nodes.peak_so_far_kw": 0.0,
}
"""What the columns hold that a file may leave out; all others are required."""
OPTIONAL = {f"visits.{f.name}" for f in fields(Visits) if f.default is None}
"""Columns that are None where a file leaves them out."""
TEXTS = ("visits.id", "visits.node", "visits.after", "nodes.id", "nodes.parent", "rows.id")
STEPS = ("visits.arrive", "visits.depart")
ALWAYS_BY_STEP = (
    "nodes.import_limit_kw",
    "nodes.export_limit_kw",
    "nodes.load_kw",
    "nodes.import_price_eur_per_kwh",
    "nodes.export_price_eur_per_kwh",
    "rows.bound_kw",
)
"""Columns that a :class:`Problem` has as ``(K, T)`` whatever the file has."""
MAYBE_BY_STEP = ("visits.charge_kw", "visits.discharge_kw")
BY_LEVEL = ("visits.dwell_kwh", "visits.dwell_eur_per_kwh_h", "visits.depth_eur_per_kwh")
"""Columns with rows of their own length, which may be shorter than the longest."""
ZERO_FOR_NONE = ("nodes.demand_charge_eur_per_kw", "nodes.peak_so_far_kw")
"""Columns in which null or NaN says 0."""
MOST_STEPS = 100_000
MOST_CELLS = 50_000_000
"""So many steps, of all nodes together, may follow from a departure alone: a slip must not fill the memory."""
UNLIMITED = {
    "Infinity": (
        "nodes.import_limit_kw",
        "nodes.export_limit_kw",
        "visits.max_kwh",
        "rows.bound_kw",
    ),
    "-Infinity": ("visits.min_kwh",),
}
"""Columns in which an infinite number of this name says the same as null."""
PLAN = {
    "visits": ("charge_kw", "discharge_kw", "unmet_kwh"),
    "nodes": ("import_kw", "export_kw", "over_limit_kw", "shadow_price_eur_per_kwh"),
}


def read_problem(path: Path) -> Problem:
    """The checked problem in a ``.json`` or ``.npz`` file.

    Raises
    ------
    ProblemError
        With the place in the file and the reason.
    """
    if _kind(path) == "json":
        return problem_of(_json(path))
    return _problem(_arrays(path))


def problem_of(document: Any) -> Problem:
    """The checked problem in a parsed JSON document; raises :class:`ProblemError`."""
    _validate("problem", document)
    flat: dict[str, Any] = {"start": document["start"], "step_h": document["step_h"]}
    for group in ("visits", "nodes", "rows"):
        for name, column in document.get(group, {}).items():
            flat[f"{group}.{name}"] = column
    return _problem(flat)


def write_problem(problem: Problem, path: Path) -> None:
    """Write a problem as ``.json`` or ``.npz``; what does not vary by step becomes one number."""
    flat = _flat(problem)
    if _kind(path) == "npz":
        _save(path, {key: _collapsed(key, column) for key, column in flat.items()})
        return
    document: dict[str, Any] = {"start": str(flat["start"]), "step_h": flat["step_h"].tolist()}
    for key, column in flat.items():
        group, _, name = key.partition(".")
        if name:
            document.setdefault(group, {})[name] = (
                [_collapsed(key, row[None])[0] for row in column]
                if column.ndim == 2
                else column.tolist()
            )
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY))


def read_plan(path: Path) -> Plan:
    """The plan in a ``.json`` or ``.npz`` file; raises :class:`ProblemError`."""
    if _kind(path) == "json":
        return plan_of(_json(path))
    flat = _arrays(path)
    head = {"method", "objective_eur", "lower_bound_eur", "gap", "seconds", "notes"}
    groups = {f"{group}.{name}" for group, names in PLAN.items() for name in ("id", *names)}
    for name in sorted((head | groups) - set(flat)):
        raise ProblemError(name, "is missing")
    optional = {"rows.id", "rows.over_kw", "visits.trip_unmet_kwh"}
    for name in sorted(set(flat) - head - groups - optional):
        raise ProblemError(name, "is unknown")
    return _plan(flat)


def plan_of(document: Any) -> Plan:
    """The plan in a parsed JSON document; raises :class:`ProblemError`."""
    _validate("plan", document)
    flat = {name: value for name, value in document.items() if not isinstance(value, dict)}
    for group in ("visits", "nodes", "rows"):
        for name, column in document.get(group, {}).items():
            flat[f"{group}.{name}"] = column
    flat["lower_bound_eur"] = (
        -np.inf if flat["lower_bound_eur"] is None else flat["lower_bound_eur"]
    )
    flat["gap"] = np.inf if flat["gap"] is None else flat["gap"]
    return _plan(flat)


def write_plan(plan: Plan, path: Path) -> None:
    """Write a plan as ``.json`` or ``.npz``."""
    if _kind(path) == "json":
        path.write_bytes(orjson.dumps(plan_document(plan), option=orjson.OPT_SERIALIZE_NUMPY))
        return
    flat: dict[str, Any] = {}
    for key, value in plan_document(plan).items():
        if isinstance(value, dict):
            flat |= {f"{key}.{name}": np.asarray(column) for name, column in value.items()}
        else:
            flat[key] = np.array(value, dtype=np.str_) if key == "notes" else np.asarray(value)
    _save(path, flat)


def plan_document(plan: Plan) -> dict[str, Any]:
    """A plan as the JSON document that it is written as (arrays still arrays)."""
    document: dict[str, Any] = {
        "method": plan.method,
        "objective_eur": plan.objective_eur,
        "lower_bound_eur": plan.lower_bound_eur,
        "gap": plan.gap,
        "seconds": plan.seconds,
        "notes": plan.notes,
    }
    for group, names in PLAN.items():
        ids = plan.visit_id if group == "visits" else plan.node_id
        document[group] = {"id": ids, **{name: getattr(plan, name) for name in names}}
    if plan.trip_unmet_kwh.size:
        document["visits"]["trip_unmet_kwh"] = plan.trip_unmet_kwh
    if plan.row_id:
        document["rows"] = {"id": plan.row_id, "over_kw": plan.row_over_kw}
    return document


def _kind(path: Path) -> str:
    kind = path.suffix.lower().removeprefix(".")
    if kind not in ("json", "npz"):
        raise ProblemError(str(path), "must be a .json or a .npz file")
    return kind


def _json(path: Path) -> Any:
    try:
        text = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise ProblemError(str(path), str(error.strerror)) from None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        try:
            return _lenient(text)
        except (ValueError, RecursionError):
            raise ProblemError(str(path), f"is no JSON: {error}") from None


def _lenient(text: bytes) -> Any:
    """JSON with the bare NaN and Infinity that Python's json module writes.

    NaN becomes null, and so does Infinity where it says no limit; elsewhere it stays a name, which
    the schema refuses.
    """
    document = json.loads(text, parse_constant=lambda name: None if name == "NaN" else name)
    for name, keys in UNLIMITED.items():
        for key in keys:
            group, _, column = key.partition(".")
            columns = document.get(group) if isinstance(document, dict) else None
            if isinstance(columns, dict) and isinstance(columns.get(column), list):
                columns[column] = _without(name, columns[column])
    return document


def _without(name: str, entries: list[Any]) -> list[Any]:
    return [
        _without(name, entry) if isinstance(entry, list) else None if entry == name else entry
        for entry in entries
    ]


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(path), np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except OSError as error:
        raise ProblemError(str(path), str(error.strerror or error)) from None
    except (ValueError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
        raise ProblemError(str(path), f"is no .npz file: {error}") from None


def _save(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


@cache
def _schema(name: str) -> jsonschema_rs.Validator:
    text = files("gridleaf.plan").joinpath(f"schemas/{name}.schema.json").read_text("utf-8")
    return jsonschema_rs.validator_for(json.loads(text))


def _validate(name: str, document: Any) -> None:
    for error in _schema(name).iter_errors(document):
        place = ""
        for part in error.instance_path:
            place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else part
        raise ProblemError(place or name, error.message)


def _problem(flat: Columns) -> Problem:
    """From columns by their joined names, each a list or an array."""
    known = {f"visits.{f.name}" for f in fields(Visits)} | {
        f"nodes.{f.name}" for f in fields(Nodes)
    }
    rows = {f"rows.{f.name}" for f in fields(Rows)}
    required = {"start", "step_h"} | known - set(ABSENT) - OPTIONAL - {"nodes.parent"}
    if not rows.isdisjoint(flat):
        required |= rows
    for name in sorted(required - set(flat)):
        raise ProblemError(name, "is missing")
    for name in sorted(set(flat) - known - rows - {"start", "step_h"}):
        raise ProblemError(name, "is unknown")
    for name in sorted(set(flat) - {"start", "step_h"}):
        if isinstance(flat[name], np.ndarray) and flat[name].ndim == 0:
            raise ProblemError(name, "must be a column")
    step_h = _numbers("step_h", flat["step_h"])
    steps = len(step_h) if step_h.ndim else _count_steps(flat)
    counts = {group: len(flat.get(f"{group}.id", ())) for group in ("visits", "nodes", "rows")}

    def group(kind: Callable[..., Any], name: str) -> Any:
        keys = [f"{name}.{column}" for column in _names(kind)]
        columns = (_column(key, flat, counts, steps) for key in keys)
        return kind(**dict(zip(_names(kind), columns, strict=True)))

    problem = Problem(
        start=_start(flat["start"]),
        step_h=step_h if step_h.ndim else np.full(steps, step_h),
        visits=group(Visits, "visits"),
        nodes=group(Nodes, "nodes"),
        rows=group(Rows, "rows") if "rows.id" in flat else None,
    )
    check(problem)
    return problem


def _names(kind: Any) -> list[str]:
    return [field.name for field in fields(kind)]


def _start(stored: Any) -> datetime:
    if np.size(stored) != 1:
        raise ProblemError("start", "must be one time")
    text = _text("start", np.asarray(stored).item())
    try:
        start = datetime.fromisoformat(text)
    except ValueError:
        raise ProblemError("start", f"{text!r} is no ISO 8601 time") from None
    if start.tzinfo is None:
        raise ProblemError("start", "the time has no offset")
    return start.astimezone(UTC)


def _text(place: str, entry: Any) -> str:
    """A text, which arrays may hold as bytes."""
    try:
        return entry.decode() if isinstance(entry, bytes) else str(entry)
    except UnicodeDecodeError:
        raise ProblemError(place, f"{entry!r} is no text in UTF-8") from None


def _count_steps(flat: Columns) -> int:
    """The length of the rows in the file, or else the latest departure."""
    for key in (*ALWAYS_BY_STEP, *MAYBE_BY_STEP):
        width = _width(flat.get(key, ()))
        if width is not None:
            return width
    depart = _steps("visits.depart", flat["visits.depart"])
    most = min(MOST_STEPS, MOST_CELLS // max(len(flat["nodes.id"]), 1))
    for position in np.flatnonzero(depart > most)[:1]:
        reason = f"is step {depart[position]}: with one step_h and no rows there may be {most}"
        raise ProblemError(f"visits.depart[{position}]", reason)
    return max(1, int(depart.max(initial=1)))


def _width(column: Any) -> int | None:
    """The length of the rows in a column, None where there are only numbers."""
    if isinstance(column, np.ndarray):
        return int(column.shape[1]) if column.ndim == 2 else None
    widths = (len(entry) for entry in column if isinstance(entry, list))
    return next(widths, None)


def _column(key: str, flat: Columns, counts: Mapping[str, int], steps: int) -> Any:
    count = counts[key.partition(".")[0]]
    if key not in flat:
        if key == "nodes.parent":
            return ("",) * count
        if key in OPTIONAL:
            return None
        return np.full((count, steps) if key in ALWAYS_BY_STEP else count, ABSENT[key])
    column = flat[key]
    if len(column) != count:
        raise ProblemError(key, f"must have {count} entries, has {len(column)}")
    if key in TEXTS:
        return tuple(_text(f"{key}[{i}]", entry) for i, entry in enumerate(column))
    if key in STEPS:
        return _steps(key, column)
    if key == "rows.coefficient":
        return _grid(key, column, counts["visits"])
    if key in BY_LEVEL:
        return _ragged(key, column)
    if key in ALWAYS_BY_STEP or (key in MAYBE_BY_STEP and _width(column) is not None):
        return _grid(key, column, steps)
    numbers = _numbers(key, column)
    return filled(numbers, 0.0) if key in ZERO_FOR_NONE else numbers


def _numbers(key: str, column: Any) -> Floats:
    """Numbers, NaN for null."""
    try:
        return np.array(column, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ProblemError(key, "must be numbers") from None


def _steps(key: str, column: Any) -> Ints:
    numbers = _numbers(key, column)
    whole = (numbers == np.round(numbers)) & (np.abs(numbers) < 2.0**53)
    for position in np.flatnonzero(~whole)[:1]:
        raise ProblemError(f"{key}[{position}]", "must be a whole step")
    return numbers.astype(np.int64)


def _grid(key: str, column: Any, width: int) -> Floats:
    """A column with one row of ``width`` numbers for each entry; one number stands for all."""
    if isinstance(column, np.ndarray):
        numbers = _numbers(key, column)
        if numbers.ndim == 2 and numbers.shape[1] != width:
            raise ProblemError(key, f"must have rows of {width} numbers, has {numbers.shape[1]}")
        return np.repeat(numbers[:, None], width, axis=1) if numbers.ndim == 1 else numbers
    grid = np.empty((len(column), width))
    for position, entry in enumerate(column):
        numbers = _numbers(f"{key}[{position}]", entry)
        if numbers.ndim and len(numbers) != width:
            raise ProblemError(
                f"{key}[{position}]", f"must have {width} numbers, has {len(numbers)}"
            )
        grid[position] = numbers
    return grid


def _ragged(key: str, column: Any) -> Floats:
    """A column with rows of different length, NaN at their ends."""
    if isinstance(column, np.ndarray):
        numbers = _numbers(key, column)
        return numbers[:, None] if numbers.ndim == 1 else numbers
    rows = [_numbers(f"{key}[{i}]", entry).reshape(-1) for i, entry in enumerate(column)]
    grid = np.full((len(rows), max((len(row) for row in rows), default=0)), np.nan)
    for position, row in enumerate(rows):
        grid[position, : len(row)] = row
    return grid


def _flat(problem: Problem) -> dict[str, NDArray[Any]]:
    """All columns by their joined names; one length of step where all are equal."""
    groups: dict[str, Any] = {"visits": problem.visits, "nodes": problem.nodes}
    if problem.rows is not None:
        groups["rows"] = problem.rows
    flat = {
        f"{group}.{name}": np.asarray(
            getattr(columns, name), dtype=np.str_ if f"{group}.{name}" in TEXTS else None
        )
        for group, columns in groups.items()
        for name in _names(columns)
        if getattr(columns, name) is not None
    }
    by_step = [key for key in flat if key not in ("rows.coefficient", *BY_LEVEL)]
    varying = [key for key in by_step if _collapsed(key, flat[key]).ndim == 2]
    latest = max([1, *problem.visits.depart.tolist()])
    equal = bool((problem.step_h == problem.step_h[0]).all())
    told = bool(varying) or latest == len(problem.step_h)
    return {
        "start": np.array(problem.start.isoformat()),
        "step_h": problem.step_h[0] if equal and told else problem.step_h,
        **flat,
    }


def _collapsed(key: str, column: NDArray[Any]) -> NDArray[Any]:
    """The column without its second dimension if nothing varies along it."""
    if column.ndim < 2 or key in ("rows.coefficient", *BY_LEVEL):
        return column
    first = column[:, :1]
    same = (column == first) | (np.isnan(column) & np.isnan(first))
    return column[:, 0] if same.all() else column


def _stored(key: str, column: Any) -> Powers:
    """Numbers of the precision that they were stored in."""
    if isinstance(column, np.ndarray) and column.dtype == np.float32:
        return column
    return _numbers(key, column)


def _plan(flat: Columns) -> Plan:
    names = {
        group: tuple(str(name) for name in flat.get(f"{group}.id", ()))
        for group in ("visits", "nodes", "rows")
    }
    grids: dict[str, Any] = {
        name: _stored(f"{group}.{name}", flat.get(f"{group}.{name}", ()))
        for group, columns in (*PLAN.items(), ("rows", ("over_kw",)))
        for name in columns
    }
    steps = max((grid.shape[1] for grid in grids.values() if grid.ndim == 2), default=0)
    unmet = grids.pop("unmet_kwh")
    over = grids.pop("over_kw")
    return Plan(
        method=str(flat["method"]),
        objective_eur=float(flat["objective_eur"]),
        lower_bound_eur=float(flat["lower_bound_eur"]),
        gap=float(flat["gap"]),
        seconds=float(flat["seconds"]),
        visit_id=names["visits"],
        node_id=names["nodes"],
        row_id=names["rows"],
        unmet_kwh=unmet,
        trip_unmet_kwh=_numbers("visits.trip_unmet_kwh", flat.get("visits.trip_unmet_kwh", ())),
        row_over_kw=over if over.size else np.zeros((len(names["rows"]), steps)),
        notes=tuple(str(note) for note in flat.get("notes", ())),
        **{name: grid if grid.size else np.zeros((0, steps)) for name, grid in grids.items()},
    )
