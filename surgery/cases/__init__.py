"""``tests``: what a recipe does, proved on small inputs that each case makes for itself."""

from surgery.cases.case import Case, Failure, cases
from surgery.cases.made import Made

__all__ = ["Case", "Failure", "Made", "cases"]
