from __future__ import annotations

import base64
import random
import secrets
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_fakes import PASSWORD, station_site
from gridleaf.domain.clock import RealClock
from gridleaf.domain.site import SiteConfig, Station
from gridleaf.gateway.admission import Admission, Attempt, Refusal


def admission(site: SiteConfig | None = None, secret: str = PASSWORD) -> Admission:
    site = site or station_site("CP1", "CP2")
    return Admission(site, {s.id: secret for s in site.stations}, RealClock(), random.Random(1))


def basic(user: str, password: str | bytes = PASSWORD) -> str:
    raw = password if isinstance(password, bytes) else password.encode()
    return "Basic " + base64.b64encode(user.encode() + b":" + raw).decode()


def attempt(path: str = "/ocpp/CP1", *authorization: str, **changes: Any) -> Attempt:
    return Attempt(path=path, authorization=authorization, ip="10.0.0.1", **changes)


def reason(verdict: Station | Refusal) -> tuple[int, str]:
    assert isinstance(verdict, Refusal)
    return verdict.status, verdict.reason


def test_the_right_password_admits_the_station_of_the_path() -> None:
    verdict = admission().check(attempt("/ocpp/CP1", basic("CP1")))
    assert isinstance(verdict, Station)
    assert verdict.id == "CP1"


@pytest.mark.parametrize(
    "authorization",
    [
        (),
        ("",),
        ("Basic",),
        ("Basic !!!",),
        ("Basic é",),
        ("Bearer abc",),
        (basic("CP1", "wrong"),),
        (basic("CP1", b""),),
        (basic("CP2"),),
        (basic("cp1"),),
        (basic("CP1"), basic("CP1")),
    ],
)
def test_anything_but_the_right_password_is_one_and_the_same_refusal(
    authorization: tuple[str, ...],
) -> None:
    assert reason(admission().check(attempt("/ocpp/CP1", *authorization))) == (401, "credentials")


def test_an_unknown_identity_is_refused_as_a_known_one_with_a_wrong_password() -> None:
    door = admission()
    assert reason(door.check(attempt("/ocpp/GHOST", basic("GHOST")))) == (401, "credentials")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 404),
        ("/api/v1", 404),
        ("/ocppCP1", 404),
        ("/ocpp/", 400),
        ("/ocpp/..", 400),
        ("/ocpp/.", 400),
        ("/ocpp/%2e%2e", 400),
        ("/ocpp/%2e%2e%2fCP1", 400),
        ("/ocpp/../CP1", 400),
        ("/ocpp/%252e", 400),
        ("/ocpp/CP1/", 400),
        ("/ocpp/CP1?x=1", 400),
        ("/ocpp/CP1%00", 400),
        ("/ocpp/CP1%0a", 400),
        ("/ocpp/%ff", 400),
        ("/ocpp/%C3%A9", 400),
        ("/ocpp/" + "x" * 49, 400),
        ("/ocpp/CP 1", 400),
    ],
)
def test_a_malformed_identity_is_refused_before_anything_else(path: str, status: int) -> None:
    assert reason(admission().check(attempt(path, basic("CP1"))))[0] == status


def test_identities_may_hold_what_ocpp_allows_also_percent_encoded() -> None:
    door = admission(station_site("DE*ABC|E1:2=3+@.x"))
    raw = door.check(attempt("/ocpp/DE*ABC|E1:2=3+@.x", basic("DE*ABC|E1:2=3+@.x")))
    encoded = door.check(attempt("/ocpp/DE%2AABC%7CE1%3A2=3+@.x", basic("DE*ABC|E1:2=3+@.x")))
    assert isinstance(raw, Station)
    assert raw is encoded


def test_a_1_6_station_may_send_the_twenty_bytes_its_hexadecimal_key_stands_for() -> None:
    key = secrets.token_hex(20)
    door = admission(secret=key)
    assert isinstance(door.check(attempt("/ocpp/CP1", basic("CP1", bytes.fromhex(key)))), Station)
    assert isinstance(door.check(attempt("/ocpp/CP1", basic("CP1", key))), Station)
    assert reason(door.check(attempt("/ocpp/CP1", basic("CP1", bytes(20)))))[0] == 401


def test_forty_characters_that_are_no_key_are_a_password() -> None:
    door = admission(secret="z" * 40)
    assert isinstance(door.check(attempt("/ocpp/CP1", basic("CP1", "z" * 40))), Station)


def test_another_security_profile_than_configured_is_refused_and_reported() -> None:
    plain, secure = station_site("CP1"), station_site("CP1", security_profile=2)
    right = basic("CP1")
    assert isinstance(admission(secure).check(attempt("/ocpp/CP1", right, tls=True)), Station)
    for site, tls in ((secure, False), (plain, True)):
        verdict = admission(site).check(attempt("/ocpp/CP1", right, tls=tls))
        assert reason(verdict) == (401, "profile")
        assert isinstance(verdict, Refusal)
        assert verdict.genuine
        guess = admission(site).check(attempt("/ocpp/CP1", basic("CP1", "guess"), tls=tls))
        assert isinstance(guess, Refusal)
        assert not guess.genuine


def test_profile_3_takes_the_certificate_of_the_station_and_nothing_less() -> None:
    site = station_site("CP1", security_profile=3)
    named = station_site("CP1", security_profile=3, client_cn="serial-77")

    def cn(site: SiteConfig, name: str | None, *authorization: str) -> Station | Refusal:
        return admission(site).check(
            attempt("/ocpp/CP1", *authorization, tls=True, certificate_cn=name)
        )

    assert isinstance(cn(site, "CP1"), Station)
    assert isinstance(cn(named, "serial-77"), Station)
    assert reason(cn(named, "CP1")) == (401, "certificate")
    assert reason(cn(site, "CP2")) == (401, "certificate")
    assert reason(cn(site, None, basic("CP1"))) == (401, "profile")
    assert reason(cn(site, None)) == (401, "credentials")


def test_guesses_run_into_the_backoff() -> None:
    door = admission()
    verdicts = [door.check(attempt("/ocpp/CP1", basic("CP1", f"guess {n}"))) for n in range(50)]
    assert [reason(v)[0] for v in verdicts] == [401] * 5 + [429] * 45
    assert isinstance(verdicts[-1], Refusal)
    assert verdicts[-1].retry_after_s > 0
    right = Attempt(path="/ocpp/CP1", authorization=[basic("CP1")], ip="10.0.0.2")
    assert isinstance(door.check(right), Station)


def test_malformed_requests_count_against_the_address() -> None:
    door = admission()
    for _ in range(20):
        door.check(attempt("/etc/passwd"))
    assert reason(door.check(attempt("/ocpp/CP1", basic("CP1")))) == (429, "backoff")


@given(
    path=st.one_of(st.text(), st.text().map("/ocpp/".__add__)),
    authorization=st.lists(
        st.one_of(
            st.text(),
            st.binary().map(lambda raw: "Basic " + base64.b64encode(raw).decode()),
            st.binary().map(lambda raw: "Basic " + base64.b64encode(b"CP1:" + raw).decode()),
        ),
        max_size=2,
    ),
    certificate_cn=st.one_of(st.none(), st.text()),
)
def test_whatever_arrives_is_refused_in_order(
    path: str, authorization: list[str], certificate_cn: str | None
) -> None:
    verdict = admission().check(
        attempt(path, *authorization, certificate_cn=certificate_cn, tls=certificate_cn is not None)
    )
    assert reason(verdict)[0] in (400, 401, 404)
