"""Places: where a checkpoint is. A path, or an address whose scheme is one small file here."""

from surgery.places.place import Place, place
from surgery.places.scheme import SCHEMES, Scheme, locate

__all__ = ["SCHEMES", "Place", "Scheme", "locate", "place"]
