"""What every stage's command line shares: its parser, its exit codes, its way to fail."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from stages.errors import StageError

FAILURE = 1
INTERRUPTED = 130  # 128 + SIGINT, as shells report it


def parser(module: str, description: str | None) -> argparse.ArgumentParser:
    """A parser for ``python -m module`` whose help is the module's own docstring."""
    return argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def run(main: Callable[[Sequence[str] | None], None]) -> None:
    """Run a command: 0 on success, 1 with one line on a `StageError`, 130 on Ctrl-C."""
    try:
        main(None)
    except StageError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(FAILURE) from None
    except BrokenPipeError:  # who reads has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would complain as it ends
        raise SystemExit(FAILURE) from None
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None
