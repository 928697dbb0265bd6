"""The workflows of the hosted CI: pinned, with no more rights than each job needs, for both kinds of machine."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / ".github/workflows").glob("*.y*ml"))
WORKFLOWS: dict[str, Any] = {file.name: yaml.safe_load(file.read_text(encoding="utf-8")) for file in FILES}
JOBS: dict[str, Any] = {f"{file}:{name}": job for file, one in WORKFLOWS.items() for name, job in one["jobs"].items()}
STEPS: list[dict[str, Any]] = [step for job in JOBS.values() for step in job.get("steps", ())]
WRITES = {
    "publish.yml:build": {"packages"},
    "publish.yml:sign": {"packages", "id-token", "attestations"},
    "publish.yml:release": {"packages", "contents"},
}
"""Whoever gets into a job can do this, hence nothing else: in the registry, in our name, in the repository."""
IMAGES = {"ibkr-rebalancer", "ibkr-rebalancer-sandbox", "ibkr-rebalancer-redis"}


def test_every_action_is_one_commit_with_its_version_beside_it() -> None:
    used = [line for file in FILES for line in re.findall(r"uses: (.*)", file.read_text(encoding="utf-8"))]
    foreign = [line for line in used if not line.startswith("./")]
    assert len(foreign) == len([step for step in STEPS if "uses" in step])
    assert [line for line in foreign if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


def test_an_action_is_the_same_commit_everywhere() -> None:
    pins = {step["uses"] for step in STEPS if "uses" in step}
    assert len({pin.partition("@")[0] for pin in pins}) == len(pins)


@pytest.mark.parametrize("file", WORKFLOWS)
def test_nothing_is_allowed_but_what_a_job_names(file: str) -> None:
    assert WORKFLOWS[file]["permissions"] == {}
    assert "pull_request_target" not in WORKFLOWS[file][True]  # YAML's word for `on`


@pytest.mark.parametrize("name", JOBS)
def test_a_job_writes_only_what_it_is_there_for(name: str) -> None:
    rights = JOBS[name]["permissions"]
    assert {scope for scope, right in rights.items() if right == "write"} == WRITES.get(name, set())
    assert {scope for scope, right in rights.items() if right != "write"} <= {"contents"}


@pytest.mark.parametrize(
    "name", [name for name, scopes in WRITES.items() if "id-token" in scopes or "contents" in scopes]
)
def test_none_of_our_code_runs_where_our_name_is_signed(name: str) -> None:
    assert not any("checkout" in step.get("uses", "") for step in JOBS[name]["steps"])
    assert not any(re.search(r"\b(make|pip|docker run)\b", step.get("run", "")) for step in JOBS[name]["steps"])


def test_no_text_from_outside_becomes_a_command() -> None:
    """An expression inside of a command is replaced before the shell reads it; a variable is not."""
    assert [step["run"] for step in STEPS if "${{" in step.get("run", "")] == []


def test_no_checkout_leaves_its_token_behind() -> None:
    checkouts = [step for step in STEPS if "actions/checkout@" in step.get("uses", "")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_every_job_ends() -> None:
    assert [name for name, job in JOBS.items() if "uses" not in job and "timeout-minutes" not in job] == []


def test_ci_runs_the_targets_on_each_python_that_the_project_names() -> None:
    job = JOBS["ci.yml:test"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [line.rpartition(" :: ")[2] for line in project["classifiers"] if re.search(r":: 3\.\d+$", line)]
    assert job["strategy"]["matrix"]["python"] == named
    assert [step["run"] for step in job["steps"] if step.get("run", "").startswith("make ")] == [
        "make check",
        "make coverage",
        "make test",
    ]
    assert job["env"]["PYTHON"] == "python${{ matrix.python }}"


def test_nothing_is_published_that_was_not_tested_first() -> None:
    assert set(JOBS["publish.yml:build"]["needs"]) == {"ci", "smoke"}
    assert JOBS["publish.yml:ci"]["uses"] == "./.github/workflows/ci.yml"
    assert "make smoke" in _commands("publish.yml:smoke")
    assert (JOBS["publish.yml:sign"]["needs"], JOBS["publish.yml:release"]["needs"]) == ("build", "sign")


def _commands(name: str) -> list[str]:
    return [step["run"] for step in JOBS[name]["steps"] if "run" in step]


def _builds() -> Iterator[dict[str, str]]:
    """The matrix as GitHub unfolds it."""
    matrix = JOBS["publish.yml:build"]["strategy"]["matrix"]
    for image in matrix["image"]:
        for arch in matrix["arch"]:
            one = {"image": image, "arch": arch}
            fitting = [
                more for more in matrix["include"] if all(one.get(key, value) == value for key, value in more.items())
            ]
            yield {key: value for more in (one, *fitting) for key, value in more.items()}


def test_each_image_is_built_and_tried_on_both_kinds_of_machine() -> None:
    builds = list(_builds())
    assert {one["image"] for one in builds} == set(JOBS["publish.yml:sign"]["strategy"]["matrix"]["image"]) == IMAGES
    runners = {"amd64": "ubuntu-24.04", "arm64": "ubuntu-24.04-arm"}
    assert {(one["image"], one["arch"]) for one in builds} == {(image, arch) for image in IMAGES for arch in runners}
    assert all(one["runner"] == runners[one["arch"]] and one["try"] for one in builds)
    expected = {f"{one['image']}-{one['arch']}" for one in builds}
    assert JOBS["publish.yml:build"]["outputs"] == {key: f"${{{{ steps.tried.outputs.{key} }}}}" for key in expected}
    assert JOBS["publish.yml:sign"]["outputs"] == {key: f"${{{{ steps.signed.outputs.{key} }}}}" for key in IMAGES}


def test_what_is_published_is_what_compose_would_build() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yaml").read_text(encoding="utf-8"))["services"].values()
    built = {
        re.sub(r".*:-(.*):.*", r"\1", one["image"]): (one["build"]["context"], one["build"].get("target"))
        for one in compose
        if "build" in one
    }
    assert {one["image"]: (one["context"], one.get("target")) for one in _builds()} == built


def test_the_release_names_the_variables_that_compose_reads() -> None:
    compose = (ROOT / "docker-compose.yaml").read_text(encoding="utf-8")
    asked = re.findall(r"image: \$\{(REBALANCER_\w+):-", compose)
    (release,) = _commands("publish.yml:release")
    assert re.findall(r'"(REBALANCER_\w+)=\$\w+"', release) == asked
    assert len(asked) == len(IMAGES)


def test_the_signature_is_verified_as_the_document_says() -> None:
    document = (ROOT / "docs/images.md").read_text(encoding="utf-8")
    signed = "\n".join(_commands("publish.yml:sign"))
    issuer = "--certificate-oidc-issuer https://token.actions.githubusercontent.com"
    assert issuer in document
    assert issuer in signed
    assert "/.github/workflows/publish.yml@refs/tags/v" in document
    assert '--certificate-identity "$GITHUB_SERVER_URL/$GITHUB_WORKFLOW_REF"' in signed
