"""Fault 50: a typo, an unknown key, a wrong unit. ``check`` and ``run`` refuse it with path and reason."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path

import pytest

from gateway_tls import Authority
from gridleaf.app import Platform, running
from gridleaf.cli import main
from gridleaf.domain.clock import RealClock
from gridleaf.domain.errors import ConfigError
from gridleaf.domain.site import load
from gridleaf.gateway.server import OcppServer

PASSWORD = "tr3e-trunk-branch-leaf"
STATION = """
[[stations]]
id = "CP1"
password_env = "CP1_PASSWORD"
[[stations.evses]]
id = 1
charge_max_kw = 11
"""
MQTT = '[signals.mqtt]\nhost = "127.0.0.1"\n'


def site_file(folder: Path, text: str = "", station: str = STATION) -> Path:
    path = folder / "site.toml"
    head = 'name = "Depot"\nimport_limit_kw = 60\n'
    path.write_text(head + text.replace("FOLDER", str(folder)) + station)
    return path


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CP1_PASSWORD", PASSWORD)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    issued = Authority(tmp_path_factory.mktemp("tls")).issue("gateway")
    return {"CERTIFICATE": str(issued.certificate), "KEY": str(issued.key)}


def ended(*words: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(words)
    code = end.value.code
    assert code is None or isinstance(code, int)
    return code or 0


@pytest.mark.parametrize(
    ("text", "path", "reason"),
    [
        ('[tariff]\nsource = "csv"', "tariff.file", "needs the file"),
        ('[tariff]\nsource = "csv"\nfile = "none.csv"', "tariff.file", "No such file"),
        ('[tariff]\nsource = "csv"\nfile = "site.toml"', "tariff.file", "column"),
        ('[tariff]\nsource = "entsoe"', "tariff.area", "EIC code"),
        ('[tariff]\nsource = "entsoe"\narea = "10YNL----------L"', "tariff.token_file", "token"),
        ('[tariff]\nsource = "octopus"', "tariff.area", "tariff code"),
        (
            '[[signals.modbus]]\nmeasures = "grid_kw"\nhost = "127.0.0.1"\nmap = "nomap"',
            "signals.modbus.map",
            "eastron-sdm630",
        ),
        (
            '[[signals.modbus]]\nmeasures = "grid_kw"\nhost = "127.0.0.1"\nmap = "none.toml"',
            "none.toml",
            "No such file",
        ),
        (
            f'{MQTT}[signals.mqtt.fields]\ngrid_kw = "a/+/b"',
            "signals.mqtt.fields.grid_kw",
            "wildcards",
        ),
        (f"{MQTT}[signals.mqtt.fields]", "signals.mqtt.fields", "no field"),
        (
            f'{MQTT}password_env = "UNSET_PASSWORD"\n[signals.mqtt.fields]\ngrid_kw = "a"',
            "signals.mqtt.password_env",
            "not set",
        ),
        ('[server]\ntls_certificate = "CERTIFICATE"', "server", "belong together"),
        ('[server]\ntls_key = "KEY"', "server", "belong together"),
        (
            '[server]\ntls_certificate = "none.pem"\ntls_key = "KEY"',
            "server.tls_certificate",
            "No such file",
        ),
        ('[server]\nclient_ca = "CERTIFICATE"', "server.client_ca", "tls_certificate"),
        ("[server]\nport = 9000", "server.ocpp_port", "9000"),
        ('[server]\nport = 9000\nhost = "0.0.0.0"', "server.ocpp_port", "9000"),
        ('[storage]\nurl_env = "UNSET_URL"', "storage.url_env", "not set"),
        (
            '[[vehicles]]\nid_token = "T"\ncapacity_kwh = 39\nbattery = "nisan-leaf-40"',
            "vehicles.T.battery",
            "perhaps nissan-leaf-40",
        ),
        (
            '[[vehicles]]\nid_token = "T"\ncapacity_kwh = 39\ndischarge_kwh_per_year = -5',
            "vehicles.0.discharge_kwh_per_year",
            "greater than or equal to 0",
        ),
        (
            '[[vehicles]]\nid_token = "T"\ncapacity_kwh = 39\ndischarge_kwh_total = 0.012',
            "vehicles.0.discharge_kwh_total",
            "is it in MWh?",
        ),
        (
            '[[vehicles]]\nid_token = "T"\ncapacity_kwh = 39\nsoh_floor = 0.7',
            "vehicles.0",
            "belong together",
        ),
        (
            '[[vehicles]]\nid_token = "T"\ncapacity_kwh = 39\nbattery_since = 2022',
            "vehicles.0.battery_since",
            "must be a day",
        ),
        ('[defaults]\nbattery = "bolt"', "defaults.battery", "perhaps chevrolet-bolt-60"),
    ],
)
def test_what_run_refuses_check_refuses_too_and_nothing_is_opened(
    tmp_path: Path,
    tls: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    text: str,
    path: str,
    reason: str,
) -> None:
    for name, file in tls.items():
        text = text.replace(name, file)
    file = str(site_file(tmp_path, f"{text}\n"))

    assert ended("check", file, "--json") == 2
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is False
    assert len(told["refused"]) == 1
    assert ended("check", file) == 2
    printed = capsys.readouterr()
    assert "The file is valid." not in printed.out

    assert ended("run", file) == 2
    said = capsys.readouterr().err
    for words in (told["refused"][0], printed.err, said):
        assert f"{path}: " in words
        assert reason in words
        assert "Traceback" not in words
    assert not (tmp_path / "gridleaf-data").exists()


def test_a_catalogue_that_cannot_be_is_refused_with_the_site(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "batteries.toml"
    own.write_text('[packs.mine]\nlike = "nissan-leaf-40"\nseries = -96\n')
    monkeypatch.setenv("GRIDLEAF_CATALOGUE", str(own))
    file = str(site_file(tmp_path))
    assert ended("check", file, "--json") == 2
    (refused,) = json.loads(capsys.readouterr().out)["refused"]
    assert "batteries.toml: packs.mine: series" in refused
    assert ended("run", file) == 2
    assert refused in capsys.readouterr().err


def test_a_capacity_beyond_that_of_a_new_battery_is_noted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leaf = '[[vehicles]]\nid_token = "T"\ncapacity_kwh = 62\nbattery = "nissan-leaf-40"\n'
    assert ended("check", str(site_file(tmp_path, leaf)), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert any("vehicles.T.capacity_kwh: 62 kWh is more" in note for note in told["remarks"])


def test_a_client_certificate_needs_an_authority_to_check_it(
    tmp_path: Path, tls: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    text = f'[server]\ntls_certificate = "{tls["CERTIFICATE"]}"\ntls_key = "{tls["KEY"]}"\n'
    station = STATION.replace('password_env = "CP1_PASSWORD"', "security_profile = 3")
    file = site_file(tmp_path, text, station)
    assert ended("check", str(file)) == 2
    assert "stations.CP1.security_profile: 3 needs server.client_ca" in capsys.readouterr().err
    assert ended("run", str(file)) == 2
    assert "stations.CP1.security_profile: 3 needs server.client_ca" in capsys.readouterr().err


def test_a_station_that_the_security_profile_shuts_out_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    station = STATION.replace("[[stations.evses]]", "security_profile = 2\n[[stations.evses]]")
    assert ended("check", str(site_file(tmp_path, "", station)), "--json") == 0
    remarks = json.loads(capsys.readouterr().out)["remarks"]
    assert any("these stations cannot connect: CP1" in remark for remark in remarks)


@pytest.mark.parametrize(
    ("text", "station", "said"),
    [
        ("[tariff]\nimport_price = 280", STATION, "tariff.import_price: 280 EUR per kWh"),
        ("[tariff]\nadder = 16", STATION, "tariff.adder: 16 EUR"),
        ("[defaults]\nwear_per_kwh = 40", STATION, "defaults.wear_per_kwh: 40 EUR"),
        ("", STATION.replace("charge_max_kw = 11", "charge_max_kw = 0.5"), "import_limit_kw: 60"),
        (
            "[[circuits]]\nid = 'row'\nimport_limit_kw = 40000",
            STATION.replace("[[stations.evses]]", "circuit = 'row'\n[[stations.evses]]"),
            "circuits.row.import_limit_kw: 40000 kW",
        ),
        (
            "[[limit_windows]]\nstart = 17:00:00\nend = 20:00:00\nimport_limit_kw = 30000",
            STATION,
            "limit_windows.0.import_limit_kw: 30000 kW does nothing",
        ),
        ("voltage_v = 400", STATION, "voltage_v: 400 V"),
    ],
)
def test_a_number_that_is_odd_but_possible_is_a_remark_and_no_refusal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, station: str, said: str
) -> None:
    file = str(site_file(tmp_path, f"{text}\n", station))
    assert ended("check", file, "--json") == 0
    remarks = json.loads(capsys.readouterr().out)["remarks"]
    assert len([remark for remark in remarks if remark.startswith(said)]) == 1, remarks


def test_usual_numbers_of_any_currency_need_no_remark(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = 'currency = "HUF"\n[tariff]\nimport_price = 70\n[defaults]\nwear_per_kwh = 16\n'
    assert ended("check", str(site_file(tmp_path, text)), "--json") == 0
    remarks = " ".join(json.loads(capsys.readouterr().out)["remarks"])
    assert "is it" not in remarks


def test_a_password_that_is_missing_is_refused_by_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(site_file(tmp_path))
    assert ended("check", file, "--json") == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    monkeypatch.delenv("CP1_PASSWORD")
    assert ended("check", file, "--json") == 2
    assert "stations.CP1.password_env" in json.loads(capsys.readouterr().out)["refused"][0]


def test_all_that_is_wrong_is_told_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = f'[tariff]\nsource = "octopus"\n[server]\nport = 9000\n{MQTT}[signals.mqtt.fields]\n'
    file = str(site_file(tmp_path, text))
    assert ended("check", file, "--json") == 2
    assert len(json.loads(capsys.readouterr().out)["refused"]) == 3


def test_a_file_that_is_no_site_is_refused_in_json_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(site_file(tmp_path, "import_limit = 60\n"))
    assert ended("check", file, "--json") == 2
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["site"]) == (False, None)
    assert "import_limit: unknown key" in told["refused"][0]


def test_the_two_ports_may_be_free_ones_or_stand_on_two_addresses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for server in ("port = 0\nocpp_port = 0", 'port = 9000\nhost = "127.0.0.2"'):
        file = str(site_file(tmp_path, f"[server]\n{server}\n"))
        assert ended("check", file, "--json") == 0, server


@pytest.mark.parametrize("option", ["--port", "--ocpp-port"])
@pytest.mark.parametrize("command", ["run", "demo"])
def test_a_port_that_no_machine_has_is_wrong_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, option: str
) -> None:
    words = [str(site_file(tmp_path))] if command == "run" else []
    assert ended(command, *words, option, "70000") == 2
    assert option in capsys.readouterr().err


def test_one_of_our_errors_that_ends_the_run_comes_out_without_a_group_around_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = load(site_file(tmp_path, "[server]\nport = 0\nocpp_port = 0\n"))
    wrong = ConfigError("signals.mqtt.fields", "no field is mapped to a topic")

    async def run_out(self: Platform) -> None:
        async def fail() -> None:
            raise wrong

        async with asyncio.TaskGroup() as group:
            group.create_task(fail())

    monkeypatch.setattr(Platform, "run", run_out)

    async def test() -> None:
        rng = random.Random(1)
        async with running(site, clock=RealClock(), rng=rng, console=False) as service:
            await service.work

    with pytest.raises(ConfigError) as caught:
        asyncio.run(test())
    assert caught.value is wrong


def test_nothing_listens_before_everything_is_found_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def listen(self: OcppServer) -> int:
        raise AssertionError("stations could connect")

    monkeypatch.setattr(OcppServer, "start", listen)
    site = load(site_file(tmp_path, f"{MQTT}[signals.mqtt.fields]\n"))

    async def test() -> None:
        async with running(site, clock=RealClock(), rng=random.Random(1)):
            raise AssertionError("it runs")

    with pytest.raises(ConfigError, match=r"signals\.mqtt\.fields"):
        asyncio.run(test())
