"""Passwords, tokens, session cookies and throttling."""

from __future__ import annotations

import asyncio

import pytest

from fake_depot import SteppedClock
from gridleaf.store import sqlite_store
from gridleaf.web.auth import FREE_ATTEMPTS, SESSION_LIFE, Accounts, Principal, Throttled

PASSWORD = "correct horse battery"


async def _accounts() -> tuple[Accounts, SteppedClock]:
    store = sqlite_store(None)
    await store.open()
    clock = SteppedClock()
    return Accounts(store, clock), clock


def test_only_the_right_password_opens() -> None:
    async def run() -> None:
        accounts, _ = await _accounts()
        await accounts.add_person("anna", "operator", PASSWORD)
        assert await accounts.by_password("anna", PASSWORD, "198.51.100.7") == Principal(
            name="anna", role="operator"
        )
        assert await accounts.by_password("anna", PASSWORD + " ", "198.51.100.7") is None
        assert await accounts.by_password("bert", PASSWORD, "198.51.100.7") is None
        assert await accounts.by_password("anna\x00", PASSWORD, "198.51.100.7") is None

    asyncio.run(run())


def test_passwords_are_kept_as_argon2id() -> None:
    async def run() -> str:
        accounts, _ = await _accounts()
        await accounts.add_person("anna", "viewer", PASSWORD)
        account = await accounts._store.account("anna")
        assert account is not None
        return account.secret_hash

    kept = asyncio.run(run())
    assert kept.startswith("$argon2id$")
    assert PASSWORD not in kept


def test_a_token_opens_only_with_its_own_secret_and_name() -> None:
    async def run() -> None:
        accounts, _ = await _accounts()
        token = await accounts.add_token("grafana", "viewer")
        other = await accounts.add_token("script", "operator")
        assert await accounts.by_token(token) == Principal(name="grafana", role="viewer")
        for wrong in (
            token + "x",
            token[:-1],
            "grafana." + other.rpartition(".")[2],
            "grafana.",
            "grafana",
            "",
            ".",
            "nobody." + token.rpartition(".")[2],
            "\x00." + token,
        ):
            assert await accounts.by_token(wrong) is None, wrong

    asyncio.run(run())


def test_a_renewed_token_replaces_the_old_one() -> None:
    async def run() -> None:
        accounts, _ = await _accounts()
        old = await accounts.add_token("grafana", "viewer")
        new = await accounts.add_token("grafana", "viewer")
        assert await accounts.by_token(old) is None
        assert await accounts.by_token(new) is not None

    asyncio.run(run())


def test_a_password_is_no_token_and_a_token_is_no_password() -> None:
    async def run() -> None:
        accounts, _ = await _accounts()
        await accounts.add_person("anna", "operator", PASSWORD)
        token = await accounts.add_token("grafana", "viewer")
        assert await accounts.by_token(f"anna.{PASSWORD}") is None
        assert await accounts.by_password("grafana", token, "198.51.100.7") is None

    asyncio.run(run())


def test_a_session_cookie_ends_with_its_time_its_account_and_its_password() -> None:
    async def run() -> None:
        accounts, clock = await _accounts()
        await accounts.add_person("anna", "operator", PASSWORD)
        principal = Principal(name="anna", role="operator")
        cookie = await accounts.open_session(principal)
        found = await accounts.by_cookie(cookie)
        assert found is not None
        assert (found.name, found.role) == ("anna", "operator")

        assert await accounts.still_welcome(found)
        await accounts.add_person("anna", "operator", PASSWORD + "!")
        assert await accounts.by_cookie(cookie) is None
        assert not await accounts.still_welcome(found)

        cookie = await accounts.open_session(principal)
        clock.advance(SESSION_LIFE.total_seconds() - 1)
        assert await accounts.by_cookie(cookie) is not None
        clock.advance(1)
        assert await accounts.by_cookie(cookie) is None

        cookie = await accounts.open_session(principal)
        await accounts._store.delete_account("anna")
        assert await accounts.by_cookie(cookie) is None

    asyncio.run(run())


@pytest.mark.parametrize("cookie", ["", ".", "e30.00", "ä.ö", "x" * 5000, "e30=." + "0" * 64])
def test_a_forged_cookie_is_nobody(cookie: str) -> None:
    async def run() -> None:
        accounts, _ = await _accounts()
        assert await accounts.by_cookie(cookie) is None

    asyncio.run(run())


def test_a_cookie_with_a_changed_body_is_nobody() -> None:
    async def run() -> None:
        accounts, _ = await _accounts()
        await accounts.add_person("anna", "viewer", PASSWORD)
        cookie = await accounts.open_session(Principal(name="anna", role="viewer"))
        body, _, signature = cookie.partition(".")
        assert await accounts.by_cookie(f"{body[:-2]}AA.{signature}") is None

    asyncio.run(run())


def test_guessing_passwords_is_slowed_down_for_that_address_only() -> None:
    async def run() -> None:
        accounts, clock = await _accounts()
        await accounts.add_person("anna", "operator", PASSWORD)
        for _ in range(FREE_ATTEMPTS):
            assert await accounts.by_password("anna", "guess", "2001:db8::1") is None
        with pytest.raises(Throttled):  # another address of the same /64 is the same household
            await accounts.by_password("anna", PASSWORD, "2001:db8::2")
        assert await accounts.by_password("anna", PASSWORD, "198.51.100.7") is not None
        clock.advance(1.1)
        assert await accounts.by_password("anna", "guess", "2001:db8::1") is None
        clock.advance(1.1)
        with pytest.raises(Throttled):
            await accounts.by_password("anna", PASSWORD, "2001:db8::1")
        clock.advance(1.0)
        assert await accounts.by_password("anna", PASSWORD, "2001:db8::1") is not None
        assert await accounts.by_password("anna", "guess", "2001:db8::1") is None

    asyncio.run(run())


def test_a_crowd_of_guesses_at_once_does_not_slip_through() -> None:
    async def run() -> int:
        accounts, _ = await _accounts()
        guesses = (accounts.by_password("anna", f"guess {n}", "198.51.100.7") for n in range(12))
        results = await asyncio.gather(*guesses, return_exceptions=True)
        return sum(isinstance(result, Throttled) for result in results)

    assert asyncio.run(run()) == 12 - FREE_ATTEMPTS


def test_a_driver_owns_the_token_in_upper_and_lower_case() -> None:
    driver = Principal(name="TAG-0001", role="driver")
    assert driver.owns("tag-0001")
    assert not driver.owns("tag-0002")
    assert not driver.owns(None)
    assert not Principal(name="TAG-0001", role="viewer").owns("TAG-0001")
