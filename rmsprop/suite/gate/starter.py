"""`rmsprop gate --init`: a suite to start from, which runs as it is written."""

from pathlib import Path

from rmsprop.errors import UserError

NAME = "speed.py"
TEMPLATE = Path(__file__).with_name("starter_suite.txt")


def write_suite(folder: Path) -> Path:
    """Write a suite for the package of that folder, or of its src/; UserError if one is there already."""
    path = folder / NAME
    packages = sorted(
        file.parent.name
        for place in (folder, folder / "src")
        for file in place.glob("*/__init__.py")
        if file.parent.name.isidentifier() and file.parent.name not in ("tests", "test", "docs", "benchmarks")
    )
    if not packages:
        raise UserError(f"{folder} has no package: expected a folder with an __init__.py, there or in src/")
    text = TEMPLATE.read_text(encoding="utf-8").replace("PACKAGE_NAME", packages[0])
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UserError(f"{path} is there already; --init writes over nothing") from None
    return path
