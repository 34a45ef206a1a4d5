from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gridleaf.cli import main

PROGRAM = "from gridleaf.cli import main; main()"


@pytest.mark.parametrize("taken", ["--port", "--ocpp-port"])
def test_a_port_that_is_taken_is_told_in_plain_words(tmp_path: Path, taken: str) -> None:
    site = tmp_path / "site.toml"
    with pytest.raises(SystemExit) as ended:
        main(["init", str(site)])
    assert not ended.value.code
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ports = {"--port": 0, "--ocpp-port": 0, taken: port}
        options = [str(word) for pair in ports.items() for word in pair]
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, "run", str(site), *options],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    assert done.returncode == 2
    key = {"--port": "server.port", "--ocpp-port": "server.ocpp_port"}[taken]
    said = done.stderr.splitlines()[-1]
    assert said.startswith(f"gridleaf: {key}: cannot listen on 127.0.0.1:{port}: ")
    assert "Traceback" not in done.stderr
