"""`make pin`: images from elsewhere by the digest that the registry shows, or not at all."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

ENGINE = """#!/bin/sh
# Stands in for the engine's command: it knows a digest of each image but those that were built here.
case $1 in
  pull) [ "$3" != "$REFUSED" ] || exit 1 ;;
  image) for image; do :; done; sum=$(echo "$image" | sha256sum | cut -d' ' -f1)
    [ "$image" = "$LOCAL" ] || echo "somewhere/$image@sha256:$sum" ;;
esac
"""
NAMED = dict(re.findall(r"\$\{([A-Z_]+_IMAGE):-([^}]+)\}", (ROOT / "docker-compose.yaml").read_text()))
OURS = {name for name, image in NAMED.items() if image.startswith("ibkr-rebalancer")}
USED = {name: image for name, image in NAMED.items() if name not in OURS}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "docker").mkdir()
    for name in ("docker-compose.yaml", "docker/pin.sh"):
        shutil.copy(ROOT / name, tmp_path / name)
    (engine := tmp_path / "bin/docker").parent.mkdir()
    engine.write_text(ENGINE)
    engine.chmod(0o755)
    return tmp_path


def pin(checkout: Path, **knobs: str) -> subprocess.CompletedProcess[str]:
    path = f"{checkout / 'bin'}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "REFUSED": "", "LOCAL": "", **knobs}
    return subprocess.run(
        ["sh", "docker/pin.sh"],  # noqa: S607
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_image_from_elsewhere_is_pinned_and_the_rest_of_the_file_stays(checkout: Path) -> None:
    (checkout / ".env").write_text("COMPOSE_PROFILES=paper\nREDIS_IMAGE=redis:6\n")
    assert pin(checkout).returncode == 0
    first = (checkout / ".env").read_text()
    lines = dict(line.split("=", 1) for line in first.splitlines())
    assert lines.pop("COMPOSE_PROFILES") == "paper"
    assert {name: text.partition("@")[0] for name, text in lines.items()} == USED
    assert all(re.fullmatch(r".+@sha256:[0-9a-f]{64}", text) for text in lines.values())
    assert pin(checkout).returncode == 0
    assert sorted((checkout / ".env").read_text().splitlines()) == sorted(first.splitlines())
    assert (checkout / ".env").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("knob", ["REFUSED", "LOCAL"])
def test_what_has_no_digest_is_not_pinned_and_says_so(checkout: Path, knob: str) -> None:
    done = pin(checkout, **{knob: USED["REDIS_IMAGE"]})
    assert done.returncode != 0
    assert "REDIS_IMAGE" not in (checkout / ".env").read_text()


def written(checkout: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in (checkout / ".env").read_text().splitlines())


def test_ours_are_pinned_where_they_come_from_a_registry(checkout: Path) -> None:
    assert len(OURS) == 3
    (checkout / ".env").write_text("".join(f"{name}=registry/{name.lower()}:0.1.0\n" for name in OURS))
    assert pin(checkout).returncode == 0
    assert all(
        re.fullmatch(rf"registry/{name.lower()}:0\.1\.0@sha256:[0-9a-f]{{64}}", written(checkout)[name])
        for name in OURS
    )


def test_a_digest_of_ours_that_somebody_verified_is_left_as_it_is(checkout: Path) -> None:
    verified = {name: f"registry/{name.lower()}@sha256:{'0' * 64}" for name in OURS}
    older = "REBALANCER_IMAGE=registry/older:0.0.9\n"
    (checkout / ".env").write_text(older + "".join(f"{name}={image}\n" for name, image in verified.items()))
    assert pin(checkout, REFUSED=verified["REBALANCER_IMAGE"]).returncode == 0
    assert {name: written(checkout)[name] for name in OURS} == verified
