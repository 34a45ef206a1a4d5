"""The form in which a driver or an operator says what a session is to become."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from gridleaf.control.types import SessionState
from gridleaf.domain.wishes import Wish
from gridleaf.web.console.frame import Visit
from gridleaf.web.console.kit import box, field, form, say, switch, tell
from gridleaf.web.console.texts import kwh


def next_time(text: str, now: datetime, zone: ZoneInfo) -> datetime:
    """The next moment at which the clocks of the site show ``HH:MM`` (UTC).

    Raises
    ------
    ValueError
        It is not a time of day.
    """
    at = time.fromisoformat(text)
    local = now.astimezone(zone)
    candidate = local.replace(
        hour=at.hour, minute=at.minute, second=0, microsecond=0, fold=0, tzinfo=zone
    )
    if candidate <= local:
        candidate += timedelta(days=1)
    return candidate.astimezone(now.tzinfo)


def read_wish(
    values: dict[str, str], session: SessionState, said_by: str, now: datetime, zone: ZoneInfo
) -> Wish:
    """What a filled-in form says.

    Raises
    ------
    ValueError
        With a sentence for the person who filled it in.
    """
    try:
        departure = next_time(values["departure"], now, zone)
    except (KeyError, ValueError):
        raise ValueError("Please give a time of departure, such as 07:30.") from None
    shown = session.departure_at.astimezone(zone).strftime("%H:%M")
    if values["departure"][:5] == shown and session.departure_at > now:
        departure = session.departure_at  # unchanged: it may be more than a day away
    return Wish(
        departure_at=departure,
        target_soc=_share(values, "target"),
        energy_kwh=_energy(values),
        reserve_soc=_share(values, "reserve"),
        v2g="v2g" in values if "has_v2g" in values else None,
        said_by=said_by,
        said_at=now,
    )


def _share(values: dict[str, str], name: str) -> float | None:
    if name not in values:
        return None
    try:
        share = float(values[name]) / 100
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ValueError("A state of charge lies between 0 and 100 %.")
    return share


def _energy(values: dict[str, str]) -> float | None:
    if "energy" not in values:
        return None
    try:
        energy = float(values["energy"])
    except ValueError:
        energy = -1.0
    if not 0 <= energy <= 1000:
        raise ValueError("The energy must be between 0 and 1000 kWh.")
    return energy


def wish_form(visit: Visit, session_id: str, *, compact: bool) -> None:
    """The form with what holds now; sending it records the wish and plans anew."""
    console = visit.console
    evse = console.evse_of(session_id)
    session = evse.session if evse is not None else None
    if session is None or evse is None:
        say("p", "This session is over.", "quiet")
        return
    principal = visit.principal
    said_by = "driver" if principal.role == "driver" or not compact else "operator"
    can_discharge = evse.discharge_max_kw > 0

    async def submit(values: dict[str, str]) -> None:
        live = console.evse_of(session_id)
        if live is None or live.session is None:
            tell("This session is over.", bad=True)
            return
        try:
            wish = read_wish(values, live.session, said_by, console.now(), console.zone)
        except ValueError as error:
            tell(str(error), bad=True)
            return
        await visit.act(lambda: console.platform.wish(session_id, wish), "Saved. The plan follows.")

    may = _may(visit, session)
    with (
        form("wishes" if compact else "wishes large", submit, aria_label="Wishes"),
        box("fieldset", "plain", **({} if may else {"disabled": True})),
    ):
        say("legend", "What the driver wants", "sr-only")
        local = session.departure_at.astimezone(console.zone)
        field(
            "When do you leave?" if not compact else "Departure",
            "departure",
            "time",
            local.strftime("%H:%M"),
            f"Local time of the site; so far {local:%a %d %b}.",
            required=True,
        )
        _how_much(session, evse.charge_efficiency, compact=compact)
        if can_discharge:
            _discharge(session, compact=compact)
        say("button", "Save", "button primary", type="submit")
    if not may:
        say("p", "You may look, but only operators and the driver can change this.", "hint")


def _may(visit: Visit, session: SessionState) -> bool:
    return visit.principal.operates or visit.principal.owns(session.id_token)


def _how_much(session: SessionState, charge_efficiency: float, *, compact: bool) -> None:
    if session.soc is not None and session.capacity_kwh:
        target = round(100 * session.target_kwh / session.capacity_kwh)
        _percent(
            "Charged to" if compact else "How full should it be?",
            "target",
            target,
            f"of {kwh(session.capacity_kwh, 0)}",
        )
    else:
        field(
            "Energy wanted (kWh)" if compact else "How much energy do you need (kWh)?",
            "energy",
            "number",
            f"{session.target_kwh / charge_efficiency:.0f}",
            "Counted from your arrival: the vehicle does not tell its state of charge.",
            min=0,
            max=1000,
            step=1,
            inputmode="decimal",
        )


def _discharge(session: SessionState, *, compact: bool) -> None:
    box("input", "", type="hidden", name="has_v2g").props["^value"] = "1"
    switch(
        "May give energy back (V2G)" if compact else "My car may give energy back",
        "v2g",
        session.v2g,
        "Only while there is time to charge again before you leave.",
    )
    if session.capacity_kwh:
        reserve = round(100 * session.reserve_kwh / session.capacity_kwh)
        _percent(
            "Reserve" if compact else "Always keep at least",
            "reserve",
            reserve,
            "never discharged below this",
        )


def _percent(label: str, name: str, value: int, note: str) -> None:
    """A slider with its figure beside it."""
    with box("div", "field range"):
        caption = say("label", label)
        slider = box("input", "", type="range", name=name, min=0, max=100, step=1)
        slider.props["^value"] = str(value)
        output = say("output", f"{value} %", "range-value")
        say("p", note, "hint")
        caption.props["for"] = f"c{slider.id}"
        slider.on(
            "input",
            js_handler=f"(e) => {{ getHtmlElement({output.id}).textContent = e.target.value + ' %'; }}",
        )
