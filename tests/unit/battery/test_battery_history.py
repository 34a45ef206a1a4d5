"""Histories: how they repeat, and files that people really have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gridleaf.battery.ageing import History, life, model, simulate
from gridleaf.battery.ageing.files import read_history
from gridleaf.domain.errors import ConfigError

HEAD = "time_s,soc,temperature_c\n"
DAY = HEAD + "0,0.9,20\n28800,.9,20\n32400,.8,20\n61200,.8,20\n79200,.9,20\n86400,.9,20\n"
CELL = model("Lfp_Gr_250AhPrismatic")


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "profile.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def days(rows: int, step_h: float = 1.0) -> History:
    time = step_h * np.arange(rows)
    soc = 0.7 + 0.2 * np.cos(2.0 * np.pi * time / 24.0)
    return History(time_h=time, soc=soc, temperature_c=np.full(rows, 25.0))


@pytest.mark.parametrize(
    ("rows", "step_h", "period_h"),
    [(25, 1.0, 24.0), (24, 1.0, 24.0), (169, 1.0, 168.0), (7, 1 / 6, 1.0), (8760, 1.0, 8760.0)],
)
def test_a_history_repeats_after_whole_days_where_it_nearly_reaches_them(
    rows: int, step_h: float, period_h: float
) -> None:
    assert days(rows, step_h).period_h == pytest.approx(period_h)


def test_24_rows_of_a_day_are_the_day_that_25_close() -> None:
    open_day, closed = simulate(CELL, days(24), 2), simulate(CELL, days(25), 2)
    assert open_day.relative_capacity == pytest.approx(closed.relative_capacity, rel=1e-9)


def test_a_day_a_week_and_a_year_of_it_are_the_same() -> None:
    ends = [simulate(CELL, days(24 * n + 1), 2).relative_capacity[-1] for n in (1, 7, 365)]
    assert ends == pytest.approx([ends[0]] * 3, rel=1e-9)


def test_rows_far_apart_are_sampled_by_the_hour(tmp_path: Path) -> None:
    knots = read_history(written(tmp_path, DAY))
    time = np.arange(25.0)
    soc = np.interp(time, knots.time_h, knots.soc)
    hourly = History(time_h=time, soc=soc, temperature_c=np.full(25, 20.0))
    expected = simulate(CELL, hourly, 3).relative_capacity
    assert simulate(CELL, knots, 3).relative_capacity == pytest.approx(expected, rel=1e-9)


def test_a_year_uses_the_cycles_that_it_has() -> None:
    life = simulate(CELL, days(25), 3)
    assert life.efc == pytest.approx(0.4 * 365.0 * np.arange(1, 4), rel=0.01)


def test_a_year_of_many_rows_is_worked_through_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = simulate(CELL, days(25, 0.93), 2)
    monkeypatch.setattr(life, "AT_ONCE", 900)
    parts = simulate(CELL, days(25, 0.93), 2)
    assert parts.relative_capacity == pytest.approx(whole.relative_capacity, rel=1e-6)
    assert parts.efc == pytest.approx(whole.efc, rel=2e-5)


def test_rows_that_no_gauge_can_make_are_refused() -> None:
    with pytest.raises(ConfigError, match="two rows a second"):
        days(25, 1e-6)


def test_the_years_must_be_one_or_more() -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        simulate(CELL, days(25), 0)


@pytest.mark.parametrize(
    "text",
    [
        DAY,
        "\ufeff" + DAY,
        DAY.replace(",", ";"),
        "time_s;soc;temperature_c\n0;0,9;20\n86400;0,9;20,0\n",
        DAY.replace(",", "\t"),
        DAY.replace("\n", "\r\n"),
        DAY.replace("time_s,soc,temperature_c", " Time_s , SoC,Temperature_C,note"),
        DAY + "\n\n",
        "\n" + DAY,
        DAY.replace("\n", ",\n"),
        DAY.replace("\n", "\r"),
    ],
    ids=[
        "plain",
        "BOM",
        "semicolons",
        "decimal commas",
        "tabs",
        "CRLF",
        "header",
        "blank lines",
        "blank line first",
        "comma at the end",
        "CR",
    ],
)
def test_a_history_is_read_as_people_write_it(tmp_path: Path, text: str) -> None:
    history = read_history(written(tmp_path, text))
    assert history.period_h == 24.0
    assert history.soc[0] == 0.9


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", "", "empty"),
        (HEAD, "", "at least two rows"),
        (HEAD + "0,.5,20\n", "", "at least two rows"),
        ("time_s,soc\n0,.5\n", ":1", "no column temperature_c"),
        ("0,.5,20\n3600,.5,20\n", ":1", "no column time_s and soc and temperature_c"),
        ("time_s,soc,soc,temperature_c\n0,1,1,1\n", ":1", "more than once"),
        (HEAD + "0,.5,20\n3600,nan,20\n", ":3", "'nan' is not a number"),
        (HEAD + "0,.5,20\n3600,inf,20\n", ":3", "'inf' is not a number"),
        (HEAD + "0,.5,20\n3600,,20\n", ":3", "'' is not a number"),
        (HEAD + "0,.5,20\n3600,.5\n", ":3", "'' is not a number"),
        (HEAD + "0,.5,20\n7200,.5,20\n3600,.5,20\n", ":4", "does not come after"),
        (HEAD + "0,.5,20\n0,.6,20\n", ":3", "does not come after"),
        (HEAD + "0,50,20\n3600,80,20\n", ":2", "per cent"),
        (HEAD + "0,.5,20\n3600,1.2,20\n", ":3", "soc 1.2 is not from 0 to 1"),
        (HEAD + "0,-.1,20\n3600,.5,20\n", ":2", "soc -0.1 is not"),
        (HEAD + "0,.5,293\n3600,.5,295\n", ":2", "kelvin"),
        (HEAD + "0,.5,20\n3600,.5,120\n", ":3", "temperature_c 120 is not from -50 to 90"),
        (b"time_s,soc,temperature_c\n\xff\xfe\x00", "", "not text"),
        (HEAD + "0,0,9,20\n3600,0,8,20\n", ":2", "4 values under 3 columns; a decimal comma"),
        ("\n" + HEAD + "0,.5,20\n\n3600,x,20\n", ":5", "'x' is not a number"),
        (HEAD + "0,.9,20\n8,.1,20\n24,.9,20\n", ": soc", "at 240C all the time: is time in hours?"),
        (HEAD + "0,.5,20\n1.7e12,.5,20\n", ": time", "5.39e+04 years long: is it in milliseconds?"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_line(
    tmp_path: Path, text: str | bytes, line: str, reason: str
) -> None:
    with pytest.raises(ConfigError) as error:
        read_history(written(tmp_path, text))
    assert error.value.path.endswith("profile.csv" + line)
    assert reason in error.value.reason
