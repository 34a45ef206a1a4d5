"""The fleet method on a Ray cluster of two workers: the same plan, whoever dies."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gridleaf.bench.instances import depot, fleet
from gridleaf.cli import main
from gridleaf.domain.errors import ConfigError
from gridleaf.plan import Plan, Progress, cluster, solve, verify, write_problem


def test_without_a_cluster_one_is_started_and_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'gridleaf[ray]'")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    problem = fleet(300)
    plan = solve(problem, method="fleet", workers="ray")
    assert verify(problem, plan) == []
    assert not ray.is_initialized()


def test_a_cluster_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="ray is not installed: pip install 'gridleaf[ray]'")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(
        ConfigError, match=r"RAY_ADDRESS: no Ray cluster at 127\.0\.0\.1:1: .*refused"
    ):
        solve(fleet(300), method="fleet", workers="ray")


def test_without_ray_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    file = tmp_path / "problem.npz"
    write_problem(fleet(300), file)
    with pytest.raises(SystemExit) as ended:
        main(["plan", str(file), "--method", "fleet", "--workers", "ray"])
    assert ended.value.code == 2
    assert "pip install 'gridleaf[ray]'" in capsys.readouterr().err


def test_workers_are_a_number_or_ray(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "problem.npz"
    write_problem(fleet(300), file)
    for wrong in ("0", "-1", "many", "1.5"):
        with pytest.raises(SystemExit) as ended:
            main(["plan", str(file), "--workers", wrong])
        assert ended.value.code == 2
        assert "--workers" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["plan", str(file), "--method", "fleet", "--workers", "1", "--json"])
    assert ended.value.code == 0


@pytest.fixture(scope="module")
def two_workers() -> Iterator[Any]:
    """A cluster on this machine with room for two workers."""
    ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'gridleaf[ray]'")
    ray.init(
        address="local",
        num_cpus=2,
        object_store_memory=100_000_000,
        include_dashboard=False,
        log_to_driver=False,
    )
    yield ray
    ray.shutdown()


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every question goes to the workers, however small."""
    monkeypatch.setattr(cluster, "NEAR", 0)


def assert_same(one: Plan, two: Plan) -> None:
    assert two.objective_eur == pytest.approx(one.objective_eur, rel=1e-9)
    assert two.lower_bound_eur == pytest.approx(one.lower_bound_eur, rel=1e-9)
    np.testing.assert_allclose(two.charge_kw, one.charge_kw, atol=1e-9)
    np.testing.assert_allclose(two.discharge_kw, one.discharge_kw, atol=1e-9)


@pytest.mark.usefixtures("two_workers", "far")
@pytest.mark.parametrize("problem", [fleet(3000, "full"), depot(60)], ids=["fleet", "depot"])
def test_two_workers_make_the_plan_of_the_threads(problem: Any) -> None:
    one = solve(problem, method="fleet")
    two = solve(problem, method="fleet", workers="ray")
    assert_same(one, two)
    assert verify(problem, two) == []


@pytest.mark.usefixtures("far")
@pytest.mark.parametrize("way", ["killed", "ended by the cluster"])
def test_a_worker_lost_in_mid_search_changes_nothing(
    two_workers: Any, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = fleet(3000)
    bounds: list[float] = []
    started: list[Any] = []
    start = cluster.Cluster.__init__

    def watched(self: cluster.Cluster, *args: Any) -> None:
        start(self, *args)
        started.append(self)

    def tell(progress: Progress) -> None:
        bounds.append(progress.lower_bound_eur if progress.share == 1 else -np.inf)
        if progress.rounds == 20:
            (vehicles,) = started
            worker = vehicles._workers[1]
            if way == "killed":
                own = worker.__ray_call__.remote(lambda _: os.getpid())
                os.kill(two_workers.get(own), signal.SIGKILL)
            else:
                two_workers.kill(worker)

    monkeypatch.setattr(cluster.Cluster, "__init__", watched)
    one = solve(problem, method="fleet")
    two = solve(problem, method="fleet", workers="ray", progress=tell)
    assert started[0]._lost == 1
    assert_same(one, two)
    assert verify(problem, two) == []
    assert max(bounds) <= solve(problem, method="fleet", gap=1e-6).objective_eur
