"""What every call passes before a handler sees it, as a list of named links. `chain.py` has the order."""

from greenroomd.platform.interceptors.chain import LINKS, OPEN_METHODS, ORDER, Chain
from greenroomd.platform.interceptors.link import Link, Proceed, Wiring
from greenroomd.platform.interceptors.methods import Method, ServiceMisdeclaredError, methods_of

__all__ = [
    "LINKS",
    "OPEN_METHODS",
    "ORDER",
    "Chain",
    "Link",
    "Method",
    "Proceed",
    "ServiceMisdeclaredError",
    "Wiring",
    "methods_of",
]
