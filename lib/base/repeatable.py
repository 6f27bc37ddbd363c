"""What makes a process repeatable: one thread, seeded generators, deterministic kernels."""

import os
import random
import re
import warnings

import numpy as np


def repeatable(seed: int, device: str = "cpu") -> None:
    """One thread for torch and for the linear algebra of NumPy, deterministic kernels, every generator seeded.

    ValueError if `device` is not one that this machine has.
    """
    import threadpoolctl

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    check_device(device)
    torch.set_num_threads(1)
    threadpoolctl.threadpool_limits(1)
    # the same as use_deterministic_algorithms, which would load torch's compiler as well: a second and a half
    torch.set_deterministic_debug_mode("error" if device == "cpu" else "warn")
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - libraries that still draw from the old global generator
    for module in ("torch", "torchvision", "captum", "sklearn", "matplotlib", "lightning_fabric"):
        warnings.filterwarnings("ignore", module=rf"{module}(\.|$)")


def check_device(device: str) -> None:
    """ValueError with a sentence unless torch can compute on `device` ('cpu', 'cuda', 'cuda:1', 'mps') here."""
    import torch

    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", device):
        raise ValueError(f"device is {device!r}, expected cpu, cuda, cuda:<number> or mps")
    if device.startswith("cuda") and int(device[5:] or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"device is {device!r}, but torch finds {torch.cuda.device_count()} CUDA devices here; use 'cpu'"
        )
    if device == "mps" and not torch.backends.mps.is_available():
        raise ValueError("device is 'mps', but torch finds no Apple GPU here; use 'cpu'")
