"""The depot at this moment: the grid connection and the figures beside it."""

from __future__ import annotations

from dataclasses import dataclass

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from gridleaf.web.console.kit import box, say
from gridleaf.web.console.texts import SPACE, UNKNOWN, kw, kwh, money, number, price
from gridleaf.web.figures import Flow, Verdict
from gridleaf.web.port import Savings


class GridNow:
    """The grid connection now: one big figure and a gauge from export limit to import limit."""

    def __init__(self) -> None:
        with box("section", "card grid-now", aria_label="Grid connection now"):
            with box("div", "grid-figure"):
                self._direction = say("span", "Grid", "quiet")
                with box("div", "figure"):
                    self._value = say("span", UNKNOWN, "big")
                    say("span", "kW", "unit")
                self._room = say("span", "", "quiet")
            with box("div", "gauge-frame"):
                self._gauge = box("div", "gauge", aria_hidden="true")
                with self._gauge:
                    box("div", "gauge-fill")
                    box("div", "gauge-zero")
                    box("div", "gauge-now")
                with box("div", "gauge-ends") as self._ends:
                    self._export = say("span", "", "gauge-low")
                    say("span", "0", "gauge-zero-label")
                    self._import = say("span", "", "gauge-high")

    def show(self, now: Flow) -> None:
        """Bring the figure and the gauge up to date."""
        grid = now.grid_kw
        low, high = -now.export_limit_kw, now.import_limit_kw
        whole = max(high - low, 1.0)
        self._export.text = f"{number(low, 0)} kW export limit"
        self._import.text = f"import limit {number(high, 0)} kW"
        zero = -low / whole
        style = f"--zero: {zero:.4f}; "
        if grid is None:
            self._value.text = UNKNOWN
            self._direction.text = "Grid"
            self._room.text = "No site meter: the safe static share holds"
            state = "unknown"
        else:
            at = min(max((grid - low) / whole, 0.0), 1.0)
            style += f"--at: {at:.4f}; --from: {min(zero, at):.4f}; --to: {max(zero, at):.4f}"
            self._value.text = number(abs(grid))
            self._direction.text = (
                "Importing from the grid" if grid >= 0 else "Exporting to the grid"
            )
            room = high - grid if grid >= 0 else grid - low
            over = room < -0.05
            state = "over" if over else "fine" if now.fresh else "stale"
            self._room.text = (
                f"{number(-room)} kW above the limit"
                if over
                else f"{number(room)} kW below the limit"
            ) + ("" if now.fresh else " · meter is stale")
        self._gauge.classes(replace=f"gauge {state}")
        self._gauge.style(replace=style)
        self._ends.style(replace=f"--zero: {zero:.4f}")


class Tiles:
    """The figures of the moment."""

    def __init__(self) -> None:
        with box("dl", "tiles"):
            self._price = _tile("Import price")
            self._pv = _tile("PV", "c-pv")
            self._load = _tile("Building", "c-load")
            self._charging = _tile("Charging", "c-charge")
            self._discharging = _tile("Discharging", "c-discharge")
            self._saved = _tile("Saved today", emphasis=True)
            self._ready = _tile("Cars")

    def show(self, now: Flow, savings: Savings, verdicts: list[Verdict], currency: str) -> None:
        """Bring the figures up to date."""
        self._price.show(
            price(now.import_price, currency), f"export {price(now.export_price, currency)}"
        )
        self._pv.show(kw(now.pv_kw), "generating" if (now.pv_kw or 0) > 0.05 else "")
        self._load.show(kw(now.load_kw), "without chargers")
        self._charging.show(kw(now.charging_kw), f"{kwh(savings.charged_kwh, 0)} today")
        self._discharging.show(kw(now.discharging_kw), f"{kwh(savings.discharged_kwh, 0)} today")
        saved = savings.uncontrolled_cost_eur - savings.cost_eur
        self._saved.show(
            money(saved, currency),
            f"{'paid' if savings.cost_eur >= 0 else 'earned'} "
            f"{money(abs(savings.cost_eur), currency)} "
            f"instead of {money(savings.uncontrolled_cost_eur, currency)}",
        )
        risk = verdicts.count("at_risk")
        self._ready.show(
            f"{len(verdicts) - risk} of {len(verdicts)}{SPACE}fine",
            f"{verdicts.count('ready')} ready now, {risk} at risk",
            alarm=risk > 0,
        )


@dataclass(slots=True)
class _Tile:
    frame: ui.element
    value: TextElement
    unit: TextElement
    note: TextElement

    def show(self, value: str, note: str, *, alarm: bool = False) -> None:
        self.value.text, _, self.unit.text = value.partition(SPACE)
        self.note.text = note
        self.frame.classes(**({"add": "alarm"} if alarm else {"remove": "alarm"}))


def _tile(title: str, swatch: str = "", *, emphasis: bool = False) -> _Tile:
    with box("div", "tile emphasis" if emphasis else "tile") as frame_:
        with box("dt"):
            if swatch:
                box("span", f"swatch {swatch}", aria_hidden="true")
            say("span", title)
        with box("dd"):
            with box("span"):
                value = say("span", UNKNOWN, "tile-value")
                unit = say("span", "", "tile-unit")
            note = say("span", "", "tile-note")
    return _Tile(frame_, value, unit, note)
