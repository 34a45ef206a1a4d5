from __future__ import annotations

import asyncio
import base64
import logging
import secrets

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from gateway_fakes import PASSWORD, StationEnd, listening, station_site
from gridleaf.ocpp.csms import Payload

GUESS = f"planted-{secrets.token_urlsafe(12)}"


@pytest.mark.parametrize("password", [None, GUESS, ""])
def test_fault_01_bad_credentials_get_401_before_any_upgrade(password: str | None) -> None:
    async def main() -> None:
        async with listening(station_site()) as port:
            with pytest.raises(InvalidStatus) as refused:
                await port.dial(password=password)
            assert refused.value.response.status_code == 401
            assert refused.value.response.headers["WWW-Authenticate"].startswith("Basic ")
            assert port.intake.events == []
            assert port.store.epochs == {}

    asyncio.run(main())


def test_fault_01_the_log_names_identity_and_address_and_no_credential(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with listening(station_site()) as port:
            await port.refusal(password=GUESS)
            with pytest.raises(InvalidStatus):
                await connect(f"ws://CP1:{GUESS}@127.0.0.1:{port.number}/ocpp/CP1", proxy=None)
            station = await port.dial()
            await station.close()

    with caplog.at_level(logging.DEBUG, logger="gridleaf"), caplog.at_level(logging.DEBUG, "root"):
        logging.getLogger("websockets.client").setLevel(logging.WARNING)  # the test's own side
        asyncio.run(main())
    captured = capfd.readouterr()
    said = captured.out + captured.err + caplog.text
    assert "CP1" in said
    assert "127.0.0.1" in said
    for secret in (GUESS, PASSWORD):
        for form in (secret, base64.b64encode(f"CP1:{secret}".encode()).decode()):
            assert form not in said


def test_fault_01_a_secret_sent_to_a_station_is_in_no_log_and_no_stored_frame(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Fault 53 for this room."""
    planted = secrets.token_urlsafe(16)

    async def accept(payload: Payload) -> Payload:
        assert payload["value"] == planted
        return {"status": "Accepted"}

    async def main() -> None:
        async with listening(station_site()) as port:
            socket = await port.dial(versions=["ocpp1.6"])
            station = StationEnd.over(socket, port.clock, {"ChangeConfiguration": accept})
            await station.boot()
            await port.gateway.request(
                "CP1", "ChangeConfiguration", {"key": "AuthorizationKey", "value": planted}
            )
            await port.gateway.close()
            frames = [row.frame for row in port.store.logged]
            assert any("AuthorizationKey" in frame for frame in frames)
            assert all(planted not in frame for frame in frames)

    caplog.set_level(logging.DEBUG)
    logging.getLogger("websockets.client").setLevel(logging.WARNING)
    asyncio.run(main())
    captured = capfd.readouterr()
    assert planted not in captured.out + captured.err + caplog.text
