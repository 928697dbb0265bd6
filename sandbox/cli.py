"""`rebalancer sandbox ...`: the simulated outside world. A thin list of commands; each imports what it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rebalancer.cli.chosen_stack import on_a_stack
from rebalancer.domain.loopback import LOOPBACK

ALL = "all"
SCENARIOS = Path(__file__).parent / "scenarios"

app = typer.Typer(no_args_is_help=True, help="The simulated outside world: gateway, signals, allocations, demo.")


@app.callback()
def sandbox() -> None:
    """Keep the commands named even while there is only one."""


@app.command()
def gateway(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = LOOPBACK,
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 4002,
    scenario: Annotated[Path, typer.Option(help="Scenario file; see docs/sandbox.md.")] = SCENARIOS / "default.yaml",
    *,
    control_port: Annotated[
        int | None, typer.Option(help="HTTP port for tests, on the loopback address; 0 takes a free one.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="File in which orders and accounts outlive the process.", dir_okay=False)
    ] = None,
    login_log: Annotated[
        Path | None, typer.Option(help="File to which it writes how far its login is, as IBC does.", dir_okay=False)
    ] = None,
    accounts: Annotated[
        str | None, typer.Option(help="The login manages these alone of the scenario's, separated by commas.")
    ] = None,
) -> None:
    """Run the simulated IB Gateway until SIGINT or SIGTERM."""
    from sandbox.gateway.run import Files, run  # noqa: PLC0415 - each command pays for its own imports only

    only = None if accounts is None else frozenset(accounts.split(","))
    raise typer.Exit(run(host, port, scenario, control_port, Files(data, login_log), only))


@app.command()
def allocations(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = LOOPBACK,
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8090,
    file: Annotated[Path | None, typer.Option(help="JSON file of strategies; the shipped one by default.")] = None,
    key: Annotated[
        str, typer.Option(help="Value that the x-api-key header must have.", envvar="ALLOCATIONS_API_KEY")
    ] = "sandbox",
) -> None:
    """Run the stand-in for the allocations API until SIGINT or SIGTERM."""
    from sandbox.allocations.server import run  # noqa: PLC0415 - each command pays for its own imports only

    raise typer.Exit(run(host, port, file, key))


@app.command()
def flex(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = LOOPBACK,
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8070,
    *,
    data: Annotated[
        list[Path], typer.Option(help="The books that a gateway keeps; of several, again.", dir_okay=False)
    ],
    scenario: Annotated[Path, typer.Option(help="The gateways' scenario.")] = SCENARIOS / "default.yaml",
    token: Annotated[str, typer.Option(help="The token that is accepted.", envvar="FLEX_TOKEN")],
    query: Annotated[str, typer.Option(help="The query's number.", envvar="FLEX_QUERY_ID")] = "1",
    today: Annotated[bool, typer.Option("--today", help="Statements of today, not of yesterday.")] = False,
) -> None:
    """Run the stand-in for the Flex web service until SIGINT or SIGTERM."""
    from sandbox.flex.knobs import Knobs  # noqa: PLC0415 - each command pays for its own imports only
    from sandbox.flex.server import of_files, run  # noqa: PLC0415 - as above

    knobs = Knobs(queries=frozenset({query}), through="today" if today else "yesterday")
    raise typer.Exit(run(host, port, of_files(scenario, data, token, knobs)))


@app.command()
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running afterwards.")] = False,
    picture: Annotated[Path | None, typer.Option(help="Also save the result as an SVG picture.")] = None,
) -> None:
    """Rebalance seven simulated accounts, from an empty machine to a verified result."""
    from sandbox.demo import run  # noqa: PLC0415 - each command pays for its own imports only

    raise typer.Exit(run(keep=keep, picture=picture))


@app.command()
def ably(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = LOOPBACK,
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8080,
    data: Annotated[Path | None, typer.Option(help="SQLite file that keeps messages; in memory without.")] = None,
    control_port: Annotated[
        int | None, typer.Option(help="HTTP port for faults, on the loopback address; 0 takes a free one.")
    ] = None,
    key: Annotated[str, typer.Option(help="The API key that is accepted, NAME:SECRET.")] = "sandbox.local:stand-in",
    history_window_s: Annotated[float, typer.Option(min=1, help="Age at which messages are forgotten.")] = 259_200,
) -> None:
    """Run the local Ably stand-in until SIGINT or SIGTERM."""
    from sandbox.ably.options import AblyOptions  # noqa: PLC0415 - each command pays for its own imports only
    from sandbox.ably.run import run  # noqa: PLC0415 - as above

    raise typer.Exit(run(AblyOptions(host, port, key, data, history_window_s), control_port))


@app.command()
@on_a_stack
def publish(
    channel: Annotated[str, typer.Argument(help="The strategy's name.")],
    payload: Annotated[str, typer.Argument(help='JSON; {"exec": "rebalance"} trades, all else is a dry run.')] = "{}",
) -> None:
    """Publish a signal to the Ably stand-in that REALTIME_ENDPOINT names."""
    from rebalancer.cli.output import services  # noqa: PLC0415 - each command pays for its own imports only
    from sandbox.publish import publish as send  # noqa: PLC0415 - as above

    typer.echo(send(services().settings.signals, channel, payload))


@app.command()
def faults(
    messages: Annotated[int, typer.Option(min=1, help="Messages to publish.")] = 2000,
    faults: Annotated[int, typer.Option(min=0, help="Faults to inject meanwhile.")] = 100,
    seed: Annotated[int, typer.Option(help="Another seed is another sequence of messages and faults.")] = 1,
    pause_s: Annotated[float, typer.Option(min=0, help="Pause between two messages.")] = 0.08,
) -> None:
    """Publish messages while everything fails in turn, and show that none was lost or served twice."""
    from sandbox.fault_trials.run import run  # noqa: PLC0415 - each command pays for its own imports only

    raise typer.Exit(run(messages, faults, seed, pause_s))


@app.command()
def chaos(
    runs: Annotated[int, typer.Option(min=1, help="Trials, each from nothing.")] = 1,
    seed: Annotated[int, typer.Option(help="Of the first; each further one has the next number.")] = 1,
    jobs: Annotated[int, typer.Option(min=1, help="So many at a time.")] = 1,
    kind: Annotated[list[str] | None, typer.Option(help="Only this goes wrong; may be given again.")] = None,
    *,
    shorten: Annotated[bool, typer.Option("--shorten", help="Look for the shortest story that fails.")] = False,
    report: Annotated[
        Path | None,
        typer.Option(help="Write a document of all trials on record there, and play only the others.", dir_okay=False),
    ] = None,
    broken: Annotated[
        list[str] | None, typer.Option(help="Break the product like that, or in every way: all; may be given again.")
    ] = None,
) -> None:
    """Let everything fail at once, and judge from outside what became of the money."""
    from sandbox.chaos.run import run, run_broken  # noqa: PLC0415 - each command pays for its own imports only
    from sandbox.chaos.sabotage.registry import BROKEN  # noqa: PLC0415 - as above

    if kind and report:
        raise typer.BadParameter("is of trials in which everything may go wrong", param_hint="--report")
    if broken:
        if unknown := set(broken) - {*BROKEN, ALL}:
            message = f"{', '.join(sorted(unknown))}; known are {', '.join((ALL, *BROKEN))}"
            raise typer.BadParameter(message, param_hint="--broken")
        names = list(BROKEN) if ALL in broken else broken
        raise typer.Exit(run_broken(names, runs, seed, jobs=jobs, kinds=kind or (), report=report))
    raise typer.Exit(run(runs, seed, jobs=jobs, kinds=kind or (), shorten=shorten, report=report))


@app.command()
def burst(
    signals: Annotated[int, typer.Option(min=1, help="Signals, without a pause.")] = 10_000,
    accounts: Annotated[int, typer.Option(min=3, help="Accounts that follow the strategies.")] = 7,
    patience_s: Annotated[float, typer.Option(min=1, help="How long it may take until all is calm.")] = 900,
) -> None:
    """Publish many signals at once to many accounts, and show that none was lost or served twice."""
    from sandbox.endurance.burst import run  # noqa: PLC0415 - each command pays for its own imports only

    raise typer.Exit(run(signals, accounts, patience_s))


@app.command()
def soak(
    minutes: Annotated[float, typer.Option(min=1, help="How long.")] = 60,
    every_s: Annotated[float, typer.Option(min=0.1, help="A signal that trades, so often.")] = 5,
) -> None:
    """Trade on one signal after the other, and show that memory, handles, connections and rows stay flat."""
    from sandbox.endurance.soak import run  # noqa: PLC0415 - each command pays for its own imports only

    raise typer.Exit(run(minutes, every_s))
