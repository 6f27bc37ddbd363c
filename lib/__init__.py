"""What do deep networks like to see? The thin helper library of the notebooks.

This file does one thing: it makes `import torchvision` work where a CPU build of torch sits beside a CUDA build of
torchvision, a pair that a plain pip install may choose. The import then stops at "operator torchvision::nms does not
exist". Declaring the schemas of the two operators cures it; nothing here uses them, and models and transforms work.
Nothing is imported until somebody imports torchvision, and nothing is declared where its operators can be loaded.
"""

import importlib.machinery
import sys
from pathlib import Path


class _TorchvisionGuard:
    """Import hook that acts once, just before the first `import torchvision`, and steps aside."""

    schemas = None  # the declared operators; torch forgets them when this object goes

    def find_spec(self, name, path=None, target=None):
        if name == "torchvision":
            sys.meta_path.remove(self)
            spec = importlib.machinery.PathFinder.find_spec(name)
            if spec is not None and spec.origin:
                _declare_missing_operators(Path(spec.origin).parent)
        return None  # the ordinary finders import it


def _declare_missing_operators(folder: Path) -> None:
    """Declare nms and qnms unless torchvision's own compiled file in `folder` brings them."""
    import torch

    for compiled in sorted(folder.glob("_C*.so")) + sorted(folder.glob("_C*.pyd")):
        try:
            torch.ops.load_library(str(compiled))
        except (OSError, ImportError):
            continue
    missing = [name for name in ("nms", "qnms") if not hasattr(torch.ops.torchvision, name)]
    if missing:
        _TorchvisionGuard.schemas = torch.library.Library("torchvision", "FRAGMENT")
        for name in missing:
            _TorchvisionGuard.schemas.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


if "torchvision" not in sys.modules and not any(isinstance(hook, _TorchvisionGuard) for hook in sys.meta_path):
    sys.meta_path.insert(0, _TorchvisionGuard())
