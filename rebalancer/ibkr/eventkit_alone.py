"""eventkit, on which ib_async stands, without numpy where there is none: the images leave it out.

eventkit imports it for the operators of `eventkit.ops.array`, which neither ib_async nor we use. It would take 74 MB of
an image, and 13 MB of each process that speaks to the gateway. An operator used all the same raises AttributeError.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

if find_spec("numpy") is None:
    sys.modules["numpy"] = ModuleType("numpy")
    try:
        import_module("eventkit")
    finally:
        del sys.modules["numpy"]  # other packages ask whether it is there
