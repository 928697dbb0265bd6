"""ibflex without its own client, which brings requests and what that guesses encodings with: 5 MB of each process that
reads a statement. We ask over `rebalancer.http_get`; a function of that client used all the same raises AttributeError.
"""

import sys
from types import ModuleType

sys.modules.setdefault("ibflex.client", ModuleType("ibflex.client"))
