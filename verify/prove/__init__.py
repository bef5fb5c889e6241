"""Proofs: two functions, or two environments, are the same for all inputs of a declared domain.

Needs z3 where neither a look at the programs nor trying inputs decides: 'simlift[evidence]'.
"""

from .domain import Between, Domain, DomainError, Inputs, Layout, OneOf, violations
from .equivalence import Verdict, equivalent

__all__ = [
    "Between",
    "Domain",
    "DomainError",
    "Inputs",
    "Layout",
    "OneOf",
    "Verdict",
    "equivalent",
    "violations",
]
