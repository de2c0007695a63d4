"""What this repository hands to asv, pytest-benchmark and the gate.

The harness, `rmsprop.suite`, is always the one of this checkout, whatever rmsprop is under test: asv installs
the wheel of each commit, the gate puts the tree of each side on the path, and both have a suite of their own
or none. So this package, which each of the three imports first, loads the harness that lies beside it under
its name. `rmsprop.optimizers` and `rmsprop.book` stay those under test.
"""

import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

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
    setattr(import_module(parent), leaf, module)


for _name, _file in (("rmsprop.errors", "errors.py"), ("rmsprop.suite", "suite/__init__.py")):
    _load(_name, _BESIDE / _file)
