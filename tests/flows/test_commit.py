"""What a worker would not have because it is in no commit."""

from __future__ import annotations

import subprocess

import pytest

from flows import commit
from stages.errors import StageError
from tests.flows.conftest import Project


def test_workers_would_not_have_what_is_not_committed(project: Project) -> None:
    """Changes of tracked files, and new ones that a stage reads; not what stages write, nor notes beside them."""
    root = project.root
    for arguments in (["add", "."], ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "start"]):
        subprocess.run(["git", *arguments], cwd=root, check=True)
    (root / "dvc.lock").write_text("schema: '2.0'\n")
    (root / "notes.txt").write_text("x")
    assert commit.present(root) == commit.git(root, "rev-parse", "HEAD")
    (root / "work.py").write_text("# edited")
    (root / "params.yaml").unlink()
    with pytest.raises(StageError, match=r"^not committed: params\.yaml, work\.py; workers check out the commit"):
        commit.present(root)
    commit.git(root, "rm", "--quiet", "--force", "--cached", "work.py")
    with pytest.raises(StageError, match=r"work\.py"):
        commit.present(root)
