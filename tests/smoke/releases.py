"""Older releases: their code, on today's dependencies."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence

import docker
from tests.smoke.engine import SANDBOX_IMAGE, VERSION, archive

_NUMPY = "numpy.py"
"""Eventkit wanted it at first, and calls nothing of it."""


def old_worker() -> str:
    """Id of an image whose worker knows an older schema."""
    files = archive("8f5c57e", ["rebalancer", "tasks", "celeryconfig.py"])
    return _image(files, f"FROM {SANDBOX_IMAGE}\nCOPY . /old\nENV PYTHONPATH=/old\n", (_NUMPY,))


BEFORE_LOGINS = "bd05844"
"""The last commit whose newest migration is 0017: the next one gives each event a gateway."""


def product_before_logins() -> str:
    """Id of an image of all that a deployment runs, with its migrations."""
    files = archive(
        BEFORE_LOGINS,
        [
            "rebalancer",
            "tasks",
            "listener",
            "api",
            "celeryconfig.py",
            "alembic",
            "alembic.ini",
            "docker/flowerconfig.py",
        ],
    )
    lines = (
        f"FROM ibkr-rebalancer:{VERSION}",
        "COPY . /old",
        "COPY docker/flowerconfig.py /old/",
        "ENV PYTHONPATH=/old",
        "WORKDIR /old",
    )
    return _image(files, "\n".join(lines))


def _image(files: bytes, dockerfile: str, empty: Sequence[str] = ()) -> str:
    context = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(files)) as old, tarfile.open(fileobj=context, mode="w") as tar:
        for member in old.getmembers():
            tar.addfile(member, old.extractfile(member) if member.isfile() else None)
        for name, text in {"Dockerfile": dockerfile, **dict.fromkeys(empty, "")}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    context.seek(0)
    image, _ = docker.from_env().images.build(fileobj=context, custom_context=True, rm=True)
    return str(image.id)
