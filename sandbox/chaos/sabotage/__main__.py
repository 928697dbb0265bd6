"""``python -m sandbox.chaos.sabotage NAME MODULE ...``: a program of the product, broken."""

from __future__ import annotations

import runpy
import sys

from sandbox.chaos.sabotage.registry import BROKEN


def main() -> None:
    """Break it, then be ``python -m MODULE ...``.

    Raises:
        KeyError: no variant has that name.
        AttributeError, ModuleNotFoundError: the product has no such part any more.
    """
    name, module, *rest = sys.argv[1:]
    sys.argv = [module, *rest]
    for patch in BROKEN[name].patches:
        patch.apply()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
