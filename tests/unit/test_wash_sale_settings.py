"""What is held for a while in place of a symbol that was sold at a loss: by a setting, and a set of the file."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from rebalancer.config.settings import Settings
from rebalancer.domain.errors import ConfigurationError
from rebalancer.domain.portfolio import Replacement
from rebalancer.services import Services

ACCOUNTS = "accounts:\n  - {account_id: DU1, type: paper, strategy_name: mine}\n"
SETS = "ira:\n  - {source: DBC, target: PDBC, scale: 1}\nlosses:\n  - {source: IWM, target: VB, scale: 1}\n"


def services(folder: Path, **values: str) -> Services:
    (folder / "accounts.yaml").write_text(ACCOUNTS)
    (folder / "sets.yaml").write_text(SETS)
    files = {"accounts_file": folder / "accounts.yaml", "replacement_sets_file": folder / "sets.yaml"}
    return Services.of(Settings.from_flat(files | values))


def test_the_set_that_is_named_is_used_while_it_is_wanted(tmp_path: Path) -> None:
    wanted = services(tmp_path, wash_sales="replace", wash_sale_set="losses")
    assert wanted.substitutes() == (Replacement("IWM", "VB", Decimal(1)),)
    assert services(tmp_path, wash_sales="hold", wash_sale_set="losses").substitutes() == ()
    assert services(tmp_path).substitutes() == ()


def test_without_a_set_there_is_nothing_to_replace_with() -> None:
    with pytest.raises(ValidationError, match="WASH_SALE_SET has to name a set of the replacement-sets file"):
        Settings.from_flat({"wash_sales": "replace"})


def test_a_set_that_is_not_in_the_file_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"WASH_SALE_SET = 'loses' is unknown: .*losses"):
        services(tmp_path, wash_sales="replace", wash_sale_set="loses").accounts()
    services(tmp_path, wash_sales="hold", wash_sale_set="loses").accounts()  # it is not in force
