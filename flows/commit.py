"""The commit that another workspace or another machine works on: told, got, checked out."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from flows import graph
from flows.exchange import overlap
from stages.errors import StageError

NAMED = 5
"""Changed files that are named."""


def present(root: Path) -> str:
    """The commit that is checked out, if it is all that counts: DVC's outs and `dvc.lock` may be other than in it.

    Raises:
        StageError: files that stages may read were changed, or are not in git.
    """
    if changed := list(_uncommitted(root)):
        more = f" and {len(changed) - NAMED} more" if len(changed) > NAMED else ""
        raise StageError(
            f"not committed: {', '.join(changed[:NAMED])}{more}; workers check out the commit: commit it, or git stash"
        )
    return git(root, "rev-parse", "HEAD")


def obtain(root: Path, commit: str) -> None:
    """Have `commit` in the repository in `root`.

    Raises:
        StageError: neither it nor its origin has it.
    """
    try:
        git(root, "cat-file", "-e", f"{commit}^{{commit}}")
    except StageError:
        try:
            git(root, "fetch", "--quiet", "origin", commit)
        except StageError as error:
            raise StageError(
                f"commit {commit} is not in {root} and not in its origin: git push it there ({error})"
            ) from None


def check_out(root: Path, worktree: Path, commit: str) -> None:
    """Bring a worktree of the repository in `root` to `commit`; what git does not track in it stays.

    Raises:
        StageError: git cannot.
    """
    if (worktree / ".git").exists():
        git(worktree, "checkout", "--quiet", "--force", "--detach", commit)
    else:
        git(root, "worktree", "prune")
        git(root, "worktree", "add", "--quiet", "--force", "--detach", str(worktree), commit)


def git(folder: Path, *arguments: str) -> str:
    """What a git command says.

    Raises:
        StageError: it failed.
    """
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise StageError(f"git {arguments[0]}: {done.stderr.strip() or 'failed without a reason'}")
    return done.stdout.rstrip("\n")


def _uncommitted(root: Path) -> Iterator[str]:
    read, written = graph.files(root)
    for line in git(root, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", ".").split("\0"):
        state, path = line[:2], line[3:]
        ours = path in ("", graph.LOCK) or any(overlap(path, out) for out in written)
        if not ours and (state != "??" or any(overlap(path, dep) for dep in read)):
            yield path
