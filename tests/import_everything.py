"""Import every module of the package: none may need an extra just to be imported, but what draws the corpus.

python tests/import_everything.py            with what is installed (CI: the core alone)
python tests/import_everything.py --hide     with the extras' packages hidden, where they are installed
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import tomllib
from importlib.machinery import PathFinder
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))["project"]
OPTIONAL = {
    "bitsandbytes": "bitsandbytes",
    "cv2": "opencv-python-headless",
    "espeakng_loader": "espeakng-loader",
    "c2pa": "c2pa-python",
    "fastapi": "fastapi",
    "jinja2": "jinja2",
    "librosa": "librosa",
    "matplotlib": "matplotlib",
    "mediapipe": "mediapipe",
    "onnx": "onnx",
    "onnxruntime": "onnxruntime",
    "onnxscript": "onnxscript",
    "ray": "ray",
    "scenedetect": "scenedetect-headless",
    "tensorboard": "tensorboard",
    "uvicorn": "uvicorn",
}
"""Packages that are no dependency of the core, by the name that they are imported by; those that became one are not
hidden."""
MAY_NEED = {"paha.dataset.synth": {"cv2", "espeakng_loader"}, "paha.serve": {"fastapi"}}
"""Packages whose modules are the extra's own."""


def hidden() -> set[str]:
    """Names of the packages that the core does not depend on."""
    core = " ".join(PROJECT["dependencies"]).lower()
    return {name for name, package in OPTIONAL.items() if package not in core}


def hide() -> None:
    """Make the extras' packages look as if they were not installed."""

    class Finder(PathFinder):
        @classmethod
        def find_spec(cls, fullname, path=None, target=None):  # type: ignore[override]
            return None if fullname.partition(".")[0] in hidden() else PathFinder.find_spec(fullname, path, target)

    sys.meta_path[:] = [Finder if finder is PathFinder else finder for finder in sys.meta_path]


def may_fail(module: str, error: Exception) -> bool:
    """Whether a module may need what is missing."""
    missing = (getattr(error, "name", None) or "").partition(".")[0]
    return any(module.startswith(package) and missing in needs for package, needs in MAY_NEED.items())


def main() -> int:
    """Import all modules, print what failed and why; returns how many did."""
    if "--hide" in sys.argv:
        hide()
    import paha

    failed = 0
    names = [module.name for module in pkgutil.walk_packages(paha.__path__, "paha.")]
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:
            if not may_fail(name, error):
                failed += 1
                print(f"{name}: {type(error).__name__}: {error}")
    print(f"{len(names) - failed} of {len(names)} modules import")
    return failed


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
