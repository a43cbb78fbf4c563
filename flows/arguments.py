"""The command line of `python -m flows`: each command and what may be said with it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flows import refresh, trace
from flows.search import space
from stages import command
from stages.errors import StageError
from stages.tracking import links

COMMANDS = "plan|run|full|refresh|search|trace|ui|doctor"


def read(arguments: Sequence[str] | None, description: str | None) -> argparse.Namespace:
    """What was asked for.

    Raises:
        StageError: a number of workers that cannot be.
    """
    parser = command.parser("flows", description)
    commands = parser.add_subparsers(dest="command", required=True, metavar=COMMANDS)
    _graph(commands)
    _workspaces(commands)
    _search(commands)
    _browsing(commands)
    options = parser.parse_args(arguments)
    if getattr(options, "workers", 1) < 1:
        raise StageError("--workers must be at least 1")
    return options


def _graph(commands: Any) -> None:
    """On the graph as it is."""
    plan = commands.add_parser("plan", help="say what is out of date and why")
    run = commands.add_parser("run", help="reproduce what is out of date")
    for parser in (plan, run):
        parser.add_argument("targets", nargs="*", help="stages, as in dvc.yaml; default: all")
        _workers(parser)
    run.add_argument("--pool", metavar="NAME", help="a Prefect work pool whose workers make what can be made elsewhere")
    commands.add_parser("doctor", help="say what is wrong with this machine and project")


def _workspaces(commands: Any) -> None:
    """With other parameters."""
    full = commands.add_parser("full", help="reproduce flows/<name>.yaml in a workspace of its own, and publish")
    full.add_argument("name", nargs="?", default="full", help="of the file in flows/; default: full")
    refreshing = _explained(commands, "refresh", "go on with new rows of sources, and promote what is better", refresh)
    for parser in (full, refreshing):
        parser.add_argument(
            "-S", "--set-param", action="append", default=[], metavar="KEY=VALUE", help="as in dvc exp run"
        )
        _workers(parser)


def _search(commands: Any) -> None:
    parser = _explained(commands, "search", "look for better parameters by trials", space)
    parser.add_argument("--space", type=Path, default=Path("flows/search.yaml"), help="default: %(default)s")
    parser.add_argument("--storage", default="", metavar="URL", help="Optuna's database; default: in .state/search")
    parser.add_argument("--write", action="store_true", help="put the best values into params.yaml")
    _workers(parser, 1, "trials")


def _browsing(commands: Any) -> None:
    """What was run."""
    told = "lead a number, a cell of the results, a stage or a run back to its inputs"
    tracing = _explained(commands, "trace", told, trace)
    tracing.add_argument("words", nargs="+", help="a number, columns of reports/results.csv, a stage, or a run's id")
    tracing.add_argument("--report", default="", metavar="NAME", help="of reports/NAME; default: of this project")
    browse = commands.add_parser("ui", help="open MLflow's UI, where numbers of the report lead to their runs")
    browse.add_argument("--port", type=int, default=links.PORT, help="default: %(default)s")


def _explained(commands: Any, name: str, told: str, module: Any) -> argparse.ArgumentParser:
    """A command whose help is the docstring of a module."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=told, description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    return parser


def _workers(parser: argparse.ArgumentParser, default: int = 2, what: str = "stages") -> None:
    parser.add_argument("-w", "--workers", type=int, default=default, help=f"{what} at a time; default: %(default)s")
