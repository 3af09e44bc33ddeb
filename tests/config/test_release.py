"""The release that logs and processes name."""

from __future__ import annotations

from pathlib import Path

from config.release import release_name


def test_the_release_is_the_commit_or_the_version(tmp_path: Path) -> None:
    commit = "0123456789abcdef" * 2
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2"\n')
    unknown = release_name(tmp_path)
    git = tmp_path / ".git"
    git.mkdir()
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "packed-refs").write_text(f"# pack-refs\n{commit} refs/heads/main\n")
    packed = release_name(tmp_path)
    (git / "HEAD").write_text(f"{commit[::-1]}\n")

    assert (unknown, packed, release_name(tmp_path)) == ("1.2", commit[:12], commit[::-1][:12])
