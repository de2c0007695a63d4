"""The site on disk: all files of a build are put in place, or none is."""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from rmsprop.errors import UserError
from rmsprop.suite.records.files import check_writable, write_atomically
from rmsprop.suite.report.html import GENERATOR


def write_site(reports: Path, files: Mapping[str, str]) -> tuple[Path, ...]:
    """Write the files by name below `reports`, and remove a former build's that are no more; their paths.

    All are written beside the former ones first; a file that cannot be put in place puts the former ones
    back. UserError where `reports` cannot be written.
    """
    check_writable(reports)
    try:
        with TemporaryDirectory(dir=reports, prefix=".building-") as staging:
            new, former = Path(staging) / "new", Path(staging) / "former"
            for name, content in files.items():
                write_atomically(new / name, content)
            _swap(reports, new, former, [*files, *_stale(reports, files)])
    except OSError as error:
        raise UserError(
            f"cannot write to {reports}: {error.strerror or error}; choose another folder"
        ) from error
    return tuple(reports / name for name in files)


def _stale(reports: Path, files: Iterable[str]) -> Iterator[str]:
    """Pages and figures of a former build that this one does not have."""
    names = set(files)
    for path in sorted(reports.glob("*.html")):
        if path.name not in names and GENERATOR in path.read_text("utf-8", errors="replace"):
            yield path.name
    for path in sorted(reports.glob("figures/*.svg")):
        if f"figures/{path.name}" not in names:
            yield f"figures/{path.name}"


def _swap(reports: Path, new: Path, former: Path, names: Iterable[str]) -> None:
    """Put what is in `new` in place of what has its name; what `new` lacks is removed."""
    listed = list(names)
    for name in listed:
        (reports / name).parent.mkdir(exist_ok=True)
        (former / name).parent.mkdir(exist_ok=True, parents=True)
        if (reports / name).exists():
            shutil.copy2(reports / name, former / name)
    try:
        for name in listed:
            if (new / name).exists():
                (new / name).replace(reports / name)
            else:
                (reports / name).unlink()
    except OSError:
        for name in listed:
            if (former / name).exists():
                (former / name).replace(reports / name)
            else:
                (reports / name).unlink(missing_ok=True)
        raise
