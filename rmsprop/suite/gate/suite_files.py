"""Where the suite lies, and a copy of it that both sides import: the suite is today's on either side."""

import ast
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rmsprop.errors import UserError


@dataclass(frozen=True)
class SuiteFiles:
    """A suite as a module and the files that it needs.

    Attributes
    ----------
    module
        Its name in the harness.
    source
        The file, or the folder, that is copied.
    into
        Where the copy goes, relative to the harness.
    """

    module: str
    source: Path
    into: Path


def find_suite(folder: Path, suite: str) -> SuiteFiles:
    """The suite that `package.module` or a path names, below `folder`; UserError if there is none.

    A module of a package is copied with its package, and a file in a folder that can be no package (its name
    has a hyphen) with that folder. A file in `folder` itself is copied alone, and so is a suite inside the
    package that it measures: the package must come from the tree under test.
    """
    file = Path(suite if suite.endswith(".py") else f"{suite.replace('.', '/')}.py")
    if file.is_absolute() or ".." in file.parts or not (found := _existing(folder, file)):
        raise UserError(
            f"there is no suite {suite!r} here: expected a module or a .py file below the folder that the "
            "gate starts in, such as benchmarks.suite; name yours with --suite"
        )
    parents = found.parts[:-1]
    if not parents or _measures(folder / found, parents[0]):
        return SuiteFiles(found.stem, folder / found, Path(found.name))
    if all(part.isidentifier() for part in parents):
        module = ".".join(parents if found.stem == "__init__" else (*parents, found.stem))
        return SuiteFiles(module, folder / parents[0], Path(parents[0]))
    return SuiteFiles(found.stem, (folder / found).parent, Path())


def copy_suite(suite: SuiteFiles, harness: Path, listed: Iterable[Path]) -> None:
    """Copy the suite, and those of the listed files that lie beside it in its package; links stay links."""
    alone = [suite.source] if suite.source.is_file() else []
    for path in dict.fromkeys([*listed, *alone]):
        if path == suite.source or path.is_relative_to(suite.source):
            target = harness / suite.into / path.relative_to(suite.source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target, follow_symlinks=False)


def _existing(folder: Path, file: Path) -> Path | None:
    return next(
        (one for one in (file, file.with_suffix("") / "__init__.py") if (folder / one).is_file()), None
    )


def _measures(file: Path, package: str) -> bool:
    """Whether the suite says that it measures the package of that name: `PACKAGE = "mine"`."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return False  # the process that imports it says what is wrong
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "PACKAGE" for target in node.targets
        ):
            value = node.value
            return isinstance(value, ast.Constant) and str(value.value).split(".")[0] == package
    return False
