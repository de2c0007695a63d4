"""The site takes its place in one step, and touches nothing that it did not make."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rmsprop.errors import UserError
from rmsprop.suite.report import write
from rmsprop.suite.report.write import MANIFEST, write_site

CHECKOUT = Path(__file__).parents[3]
OLD = {"index.html": "old", "figures/a.svg": "old", "gone.html": "old"}
NEW = {"index.html": "new", "figures/b.svg": "new"}


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and path.name != MANIFEST
    }


@pytest.fixture
def site(tmp_path):
    folder = tmp_path / "reports"
    write_site(folder, OLD)
    for name in ("notes.txt", "figures/mine.png", "asv/index.html", "mine.html"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("mine")
    return folder


MINE = dict.fromkeys(("notes.txt", "figures/mine.png", "asv/index.html", "mine.html"), "mine")


def test_the_new_site_replaces_the_former_one_and_what_is_not_of_it_stays(site):
    write_site(site, NEW)
    assert tree(site) == NEW | MINE
    assert [path.name for path in site.parent.iterdir()] == ["reports"]


def test_where_the_system_cannot_exchange_folders_the_end_is_the_same(site, monkeypatch):
    monkeypatch.setattr(write, "_renameat2", lambda: None)
    write_site(site, NEW)
    assert tree(site) == NEW | MINE


@pytest.mark.parametrize("name", ["README.md", "figures/b.svg", MANIFEST])
def test_a_file_of_somebody_else_is_never_overwritten(tmp_path, name):
    (tmp_path / "docs" / "figures").mkdir(parents=True)
    (tmp_path / "docs" / name).write_text("mine")
    with pytest.raises(UserError, match="was not made by `rmsprop report`"):
        write_site(tmp_path / "docs", NEW | {"README.md": "new"})
    assert (tmp_path / "docs" / name).read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["docs"]


def test_the_current_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="the current folder"):
        write_site(Path(), NEW)


KILLED = """
import os, signal, sys
from pathlib import Path
from rmsprop.suite.report import write
at = sys.argv[2]
real = getattr(write, at)
def killed(*arguments):
    if at != "_fill":
        real(*arguments)
    else:
        real(arguments[0], dict(list(arguments[1].items())[:1]))
    os.kill(os.getpid(), signal.SIGKILL)
setattr(write, at, killed)
write.write_site(Path(sys.argv[1]), {"index.html": "new", "figures/b.svg": "new"})
"""


@pytest.mark.parametrize(
    ("at", "there"),
    [("_refuse_foreign", "old"), ("_fill", "old"), ("_exchange", "new"), ("_move_foreign", "new")],
)
def test_a_build_killed_at_any_point_leaves_one_site_whole_and_the_next_brings_the_rest_back(site, at, there):
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(site), at],
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)}, check=False,
    )  # fmt: skip
    assert ended.returncode == -9
    made = {name: text for name, text in tree(site).items() if name not in MINE}
    assert made == (NEW if there == "new" else OLD)
    write_site(site, NEW)
    assert tree(site) == NEW | MINE
    assert [path.name for path in site.parent.iterdir()] == ["reports"]


def test_a_build_killed_between_two_renames_is_finished_by_the_next(site):
    ours = write.own_path(site.parent, f".{site.name}-building-").name
    host_and_dead = ours.rsplit("-", 2)[0] + "-999999999-x"
    shutil.copytree(site, site.parent / host_and_dead)
    site.rename(site.parent / f"{host_and_dead}.former")
    write_site(site, NEW)
    assert tree(site) == NEW | MINE
    assert [path.name for path in site.parent.iterdir()] == ["reports"]
