"""Files that other programs keep their accounts in: refused with what is wrong, in a line that a person can act on."""

from __future__ import annotations

from pathlib import Path

import pytest

from rebalancer.config.accounts_file import load_accounts
from rebalancer.domain.errors import ConfigurationError

FOREIGN = {
    "thetagang": ('[account]\nnumber = "DU1234567"\n[symbols.SPY]\nweight = 0.6\n', ":2: is not YAML"),
    "an ini file": ("[ibkr]\naccount=DU1\n", ":2: is not YAML"),
    "a list in a table": ("account_id,strategy\nDU1,alpha\n", ": has to be a list of accounts under the key accounts"),
    "a mapping": ('{"accounts": {"DU1": {"strategy": "alpha"}}}', ": needs the key accounts with a list of accounts"),
    "other names": ('[{"account": "DU1", "type": "paper"}]', ":1: [0].account is unknown: did you mean account_id?"),
    "a compose file": ("services:\n  ib:\n    image: x\n", ":2: services is unknown"),
    "a document": ("# Accounts\n\n* DU1 follows alpha\n", ":3: is not YAML"),
    "nothing": ("", ": is empty"),
    "bytes": ("\x00\x01", ": is not YAML"),
}


@pytest.mark.parametrize(("text", "why"), FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_accounts_file_is_refused_with_place_and_reason(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "accounts.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        load_accounts(file, {})
    assert any(f"accounts.yaml{why}" in problem for problem in refused.value.problems), refused.value.problems
