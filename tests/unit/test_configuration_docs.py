"""The documents of the configuration are complete and say what the code says."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from rebalancer.config.account_entry import NotifyEntry
from rebalancer.config.accounts_file import (
    AccountEntry,
    FirstGenerationEntry,
    NotificationEntry,
    Rebalancing,
    ReplacementRule,
)
from rebalancer.config.field_help import allowed_values, default_note
from rebalancer.config.foreign_keys import FOREIGN_KEYS
from rebalancer.config.gateway_entry import GatewayEntry
from rebalancer.config.settings import FIELDS, Settings, environment_names, load_settings
from rebalancer.config.source_entry import ColumnsEntry, SourceEntry
from rebalancer.config.strategy_entry import CanaryEntry, StrategyEntry

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (`.*?`.*?) \| .* \|$", re.MULTILINE)


def _row(label: str, field: FieldInfo) -> str:
    default = default_note(field).removeprefix("default ")
    return f"| {label} | {default} | {allowed_values(field)} | {field.description} |"


def _setting_rows() -> list[str]:
    rows = []
    for name, field in FIELDS.items():
        today, *older = environment_names(name)
        label = f"`{today}`" + "".join(f" (older: `{other}`)" for other in older)
        rows.append(_row(label, field))
    return rows


def _file_rows() -> list[str]:
    models: dict[str, type[BaseModel]] = {
        "accounts[].": AccountEntry,
        "accounts[].notify.": NotifyEntry,
        "sources.<strategy>.": SourceEntry,
        "sources.<strategy>.columns.": ColumnsEntry,
        "gateways.<name>.": GatewayEntry,
        "strategies.<strategy>.": StrategyEntry,
        "strategies.<strategy>.canary.": CanaryEntry,
        "[].": FirstGenerationEntry,
        "[].notification.": NotificationEntry,
        "[].rebalancing.": Rebalancing,
        "<set>[].": ReplacementRule,
    }
    return [
        _row(f"`{prefix}{name}`", field)
        for prefix, model in models.items()
        for name, field in model.model_fields.items()
    ]


def _expected_rows() -> list[str]:
    return [*_setting_rows(), *(f"| `{key}` | {why} |" for key, why in FOREIGN_KEYS.items()), *_file_rows()]


def _documented_rows() -> list[str]:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    return [found.group() for found in ROW.finditer(text)]


def test_every_key_is_documented_with_its_default_range_and_reason() -> None:
    missing = sorted(set(_expected_rows()) - set(_documented_rows()))
    assert not missing, "docs/configuration.md needs these rows:\n" + "\n".join(missing)


def test_nothing_is_documented_that_does_not_exist() -> None:
    unknown = sorted(set(_documented_rows()) - set(_expected_rows()))
    assert not unknown, "docs/configuration.md has rows that say something else than the code:\n" + "\n".join(unknown)


def test_no_key_is_documented_twice() -> None:
    rows = _documented_rows()
    assert len(rows) == len(set(rows))


@pytest.mark.parametrize(
    "model",
    [
        *(group.annotation for group in Settings.model_fields.values()),
        AccountEntry,
        NotifyEntry,
        SourceEntry,
        ColumnsEntry,
        GatewayEntry,
        StrategyEntry,
        CanaryEntry,
        FirstGenerationEntry,
        NotificationEntry,
        Rebalancing,
        ReplacementRule,
    ],
)
def test_every_field_has_a_description(model: type[BaseModel]) -> None:
    assert [name for name, field in model.model_fields.items() if not field.description] == []


def _example() -> str:
    return (ROOT / ".env.example").read_text(encoding="utf-8")


def test_the_example_shows_every_key_with_its_default() -> None:
    shown = dict(re.findall(r"^#([A-Z0-9_]+)=(.*)$", _example(), re.MULTILINE))
    expected = dict.fromkeys(FOREIGN_KEYS, "")
    for name, field in FIELDS.items():
        default = default_note(field)
        expected[name.upper()] = "" if default == "optional" else default.removeprefix("default ")
    assert shown == expected


def test_the_example_sets_nothing_by_itself() -> None:
    assert [line for line in _example().splitlines() if line and not line.startswith("#")] == []


def test_the_example_with_every_line_switched_on_means_the_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for known in (known for name in FIELDS for known in environment_names(name)):
        monkeypatch.delenv(known, raising=False)
    file = tmp_path / ".env"
    file.write_text(re.sub(r"^#(?=[A-Z0-9_]+=)", "", _example(), flags=re.MULTILINE), encoding="utf-8")
    monkeypatch.setenv("ENV_FILE", str(file))
    assert load_settings() == Settings.from_flat()
