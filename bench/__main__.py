"""Run every benchmark of this folder, or those named on the command line, and print one table."""

import importlib
import pkgutil
import sys

import torch

import bench


def main(names: list[str]) -> None:
    known = sorted(module.name for module in pkgutil.iter_modules(bench.__path__) if not module.name.startswith("_"))
    if unknown := sorted(set(names) - set(known)):
        raise SystemExit(f"no benchmark is called {', '.join(unknown)}; expected some of {', '.join(known)}")
    torch.set_num_threads(1)
    for name in names or known:
        module = importlib.import_module(f"bench.{name}")
        print(f"{name}: {module.__doc__.splitlines()[0]}")
        rows = module.run()
        for row in rows:
            print(f"  {row.what:{max(len(r.what) for r in rows)}}  {row.ratio:6.2f}x   {row.note}")


if __name__ == "__main__":
    main(sys.argv[1:])
