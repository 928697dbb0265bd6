"""Health checks of single processes: each passes for a process that works, and fails for one that does not."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from api.app import create_app
from rebalancer.config.proof_file import Proof
from tests.conftest import ROOT
from tests.serving import serving
from tests.world import World, until

FRESH_S = 2.0


def healthy(*question: str, proof: Path | None = None) -> tuple[int, str]:
    """What Docker would hear of a container."""
    command = ["bash", str(ROOT / "docker/healthy.sh"), *question]
    environment = os.environ | {"PROOF_FILE": str(proof)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def proof(here: World) -> Path:
    """Of the processes that the test starts."""
    file = here.folder / "proof"
    here.environment["PROOF_FILE"] = str(file)
    return file


def fresh(proof: Path) -> bool:
    """Whether another proof has been given since the question."""
    asked = time.time()
    until(lambda: proof.exists() and proof.stat().st_mtime > asked, 30)
    return True


def silent(proof: Path, seconds: float) -> bool:
    """Whether none is given for so long."""
    until(lambda: time.time() - proof.stat().st_mtime > seconds, 60)
    return True


def test_a_worker_proves_that_its_pool_lives_and_that_it_takes_messages(here: World, proof: Path) -> None:
    assert healthy("proof", "40", proof=proof)[0] == 1
    worker = here.start_worker()
    assert fresh(proof)
    assert healthy("proof", "40", proof=proof)[0] == 0
    os.kill(worker.pid, signal.SIGSTOP)  # its pool beats on, and nobody takes messages
    try:
        assert silent(proof, 12)
        assert Proof(proof).of_part("pool").given_within(12)
        assert healthy("proof", "10", proof=proof)[0] == 1
    finally:
        os.kill(worker.pid, signal.SIGCONT)
    assert fresh(proof)


@pytest.mark.parametrize(
    ("there", "back"),
    [
        ("schedules RENAME COLUMN next_at TO x", "schedules RENAME COLUMN x TO next_at"),
        ("components RENAME TO x", "x RENAME TO components"),
    ],
    ids=["a part does not work", "the ledger takes no sign of life"],
)
def test_beat_proves_itself_by_its_ticks_and_by_its_parts(here: World, proof: Path, there: str, back: str) -> None:
    here.start_beat()
    assert fresh(proof)
    with here.ledger.begin() as session:
        session.execute(text(f"ALTER TABLE {there}"))
    try:
        assert silent(proof, 4)
    finally:
        with here.ledger.begin() as session:
            session.execute(text(f"ALTER TABLE {back}"))
    assert fresh(proof)


def test_the_api_proves_itself_by_an_answer(here: World) -> None:
    with serving(create_app(here.settings)) as client:
        port = str(client.base_url.port)
        assert healthy("answers", port, "/livez", "200") == (0, "/livez answers 200\n")
        assert healthy("answers", port, "/nothing-here", "200") == (1, "/nothing-here answers 404\n")
    assert healthy("answers", port, "/livez", "200")[0] == 1


def test_a_proof_that_cannot_be_given_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Proof(tmp_path / "no-folder" / "proof").give()
    assert "proof_not_given" in capsys.readouterr().out
    Proof(None).give()
    assert Proof(None).given_within(0)
