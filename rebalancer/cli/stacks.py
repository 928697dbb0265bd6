"""The settings of a running stack for other programs, and what to try when it does not answer."""

from __future__ import annotations

import shlex

import typer

from rebalancer.cli.output import Json, print_json
from rebalancer.config import running_stack
from rebalancer.config.running_stack import RunningStack
from rebalancer.config.settings import ENV_FILE, resolve, setting_names
from rebalancer.domain.errors import ConfigurationError, NothingRuns

SECRETS = 'These hold keys and passwords: keep them out of files and chats. Use: eval "$(rebalancer env)"\n'


def env(as_json: Json = False) -> None:
    """Print the settings of the running stack for a shell: eval "$(rebalancer env)". They hold its secrets."""
    origin = resolve()[1]
    found = origin.stack or running_stack.find()
    if found is None:
        raise NothingRuns(origin.remedy())
    settings = exported(found)
    if as_json:
        print_json(settings)
        return
    running_stack.announce(origin)
    typer.echo(SECRETS, err=True, nl=False)
    for name, text in settings.items():
        typer.echo(f"export {name}={shlex.quote(text)}")


def exported(stack: RunningStack) -> dict[str, str]:
    """What another program has to be given to work with a stack; paths are absolute."""
    known = {name: stack.environment[name] for name in sorted(setting_names()) if stack.environment.get(name)}
    files = {ENV_FILE: ".env", "ACCOUNTS_FILE": "accounts.yaml", "REPLACEMENT_SETS_FILE": "replacement-sets.yaml"}
    for name, usual in files.items():
        path = stack.directory / (stack.environment.get(name) or usual)
        if name in stack.environment or path.exists():
            known[name] = str(path)
    return known


def remedy() -> str:
    """What to try when the ledger cannot be reached, for what this command was given."""
    try:
        return resolve()[1].remedy()
    except (ConfigurationError, NothingRuns) as error:
        return str(error)
