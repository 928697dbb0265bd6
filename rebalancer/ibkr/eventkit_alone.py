"""eventkit, on which ib_async stands, without numpy; the images leave that out.

eventkit imports it for the operators of `eventkit.ops.array`, which neither ib_async nor we use. It would take 74 MB of
an image, 13 MB of each process that speaks to the gateway, and a thirtieth of a worker's start. An operator used all
the same raises AttributeError.
"""

import sys
from importlib import import_module
from types import ModuleType

if sys.modules.get("numpy") is None:
    sys.modules["numpy"] = ModuleType("numpy")
    try:
        import_module("eventkit")
    finally:
        del sys.modules["numpy"]  # other packages ask whether it is there
