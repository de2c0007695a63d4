"""What this repository hands to asv, pytest-benchmark and the gate.

The harness, `rmsprop.suite`, is always the one of this checkout, whatever rmsprop is under test: asv installs
the wheel of each commit, the gate puts the tree of each side on the path, and both have a suite of their own
or none. So this package, which each of the three imports first, loads the harness that lies beside it under
its name. So are the hyperparameters of the book (`rmsprop.book.programs`): an older commit has them
elsewhere. All else of `rmsprop.book`, and `rmsprop.optimizers`, stay those under test.
"""

import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

_BESIDE = Path(__file__).parents[1] / "rmsprop"


def _load(name: str, file: Path) -> None:
    """Import `file` under `name`, unless that is what the name stands for already."""
    known = sys.modules.get(name)
    if known is not None and Path(str(known.__file__)).resolve() == file.resolve():
        return
    for loaded in [module for module in sys.modules if module == name or module.startswith(f"{name}.")]:
        del sys.modules[loaded]
    spec = spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module = module_from_spec(spec)
    spec.loader.exec_module(module)
    parent, _, leaf = name.rpartition(".")
    try:
        package = import_module(parent)
    except ModuleNotFoundError:  # the commit has no rmsprop.book
        sys.modules[parent] = package = ModuleType(parent)
        package.__path__ = []
    setattr(package, leaf, module)


for _name, _file in (
    ("rmsprop.errors", "errors.py"),
    ("rmsprop.book.programs", "book/programs.py"),
    ("rmsprop.suite", "suite/__init__.py"),
):
    _load(_name, _BESIDE / _file)
