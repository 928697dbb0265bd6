"""No secret is committed; one that was would be found, without a network."""

from __future__ import annotations

import subprocess
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import pytest
from detect_secrets import SecretsCollection
from detect_secrets.core import baseline
from detect_secrets.settings import transient_settings

ROOT = Path(__file__).parents[2]
KNOWN = ROOT / ".secrets.baseline"
"""What looks like a secret and is none, by hash. A person looks at each before
`detect-secrets scan --baseline .secrets.baseline` adds it."""
NAMED = ("Secret Keyword", "Basic Auth Credentials")
"""Found by the name before it. Tests name passwords all the time: there only what looks random counts."""
WITHOUT_SECRETS = (".lock", ".png", KNOWN.name)
INNOCENT = "secrets/innocent"
"""In pytest's cache: digests of files in which nothing at all was found; they are not looked through again."""
OF_CHANCE = "tests/fuzz/corpus/"
"""Bytes that look random because they are."""


def scan(*files: str) -> SecretsCollection:
    """Look through files with the plugins and filters that the baseline names."""
    with transient_settings(baseline.load_from_file(str(KNOWN))):
        found = SecretsCollection()
        found.scan_files(*files, num_processors=2)
        return found


def digest(name: str, rules: bytes) -> str:
    """What a verdict on a file depends on."""
    return sha256(b"\0".join((rules, name.encode(), Path(name).read_bytes()))).hexdigest()


def test_nothing_that_is_committed_looks_like_a_secret(
    monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    monkeypatch.chdir(ROOT)
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, check=True)  # noqa: S607
    names = [name for name in listed.stdout.split("\0") if name and not name.endswith(WITHOUT_SECRETS)]
    names = [name for name in names if not name.startswith(OF_CHANCE)]
    assert len(names) > 300
    rules = KNOWN.read_bytes() + version("detect-secrets").encode()
    digests = {name: digest(name, rules) for name in names if Path(name).exists()}
    innocent = set(pytestconfig.cache.get(INNOCENT, []))
    found = scan(*(name for name, one in digests.items() if one not in innocent))
    pytestconfig.cache.set(INNOCENT, sorted(one for name, one in digests.items() if name not in found.files))
    new = found - SecretsCollection.load_from_baseline(baseline.load_from_file(str(KNOWN)))
    serious = [(name, one) for name, one in new if not (name.startswith("tests/") and one.type in NAMED)]
    accused = [f"{name}:{secret.line_number}: {secret.type}" for name, secret in serious]
    assert accused == [], "take it out and exchange it; is it none, see KNOWN"


LETTERS = "kQ3vZx9TnB7mWc2RfY8pLd5H"
PLANTED = {
    "a password in Python": ("p.py", f'IB_{"PASSWORD"} = "{LETTERS}"'),
    "a key in .env": (".env", f"MANAGEMENT_API_{'KEY'}={LETTERS}"),
    "a password in YAML": ("compose.yaml", f"  db_{'password'}: {LETTERS}"),
    "a URL with a password": (".env", f"DATABASE_URL=postgresql://me:{LETTERS}@db.example.org/rebalancer"),
    "a private key": ("key.pem", f"-----BEGIN {'RSA PRIVATE'} KEY-----"),
    "an AWS key": ("notes.md", f"AKIA{'Q2W3E4R5T6Y7U8I9'}"),
    "a text of chance": ("p.py", f'value = "{LETTERS}{LETTERS[::-1]}"'),
}


@pytest.mark.parametrize(("name", "line"), PLANTED.values(), ids=PLANTED.keys())
def test_a_planted_secret_is_found(tmp_path: Path, name: str, line: str) -> None:
    (file := tmp_path / name).write_text(f"{line}\n")
    assert [kind.type for _, kind in scan(str(file))] != []


def test_an_innocent_file_is_not_accused(tmp_path: Path) -> None:
    (file := tmp_path / "innocent.py").write_text("password = settings.require('ib_password')\nkey = None\n")
    assert list(scan(str(file))) == []
