"""Weights that torchvision publishes: which there are, and the file of each in torch.hub's cache."""

from __future__ import annotations

import os
import re
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from torchvision.models._api import WeightsEnum

from surgery.diagnostics import Span, fail
from surgery.planning.context import Context
from surgery.suggest import did_you_mean

__all__ = ["cached_file", "named_weights"]

# as in torch.hub: the digits of the SHA-256 that the file's name ends with
_HASH = re.compile(r"-([a-f0-9]+)\.")


def named_weights(builder: Callable[..., Any], name: str, kwargs: dict[str, Any], span: Span | None) -> WeightsEnum:
    """The published weights of a builder by their name; the name may stand behind that of the enumeration.

    Raises:
        SurgeryError: code ``unknown-weights``.
    """
    enumerations = _enumerations(builder, quantized=bool(kwargs.get("quantize")))
    prefix, _, member = name.rpartition(".")
    for enumeration in enumerations:
        if member in enumeration.__members__ and prefix in ("", enumeration.__name__):
            return enumeration[member]
    known = [m for enumeration in enumerations for m in (*enumeration.__members__, "DEFAULT")]
    known = list(dict.fromkeys(known)) if any(e.__members__ for e in enumerations) else []
    listed = f"published are {', '.join(known)}" if known else "torchvision publishes none for this model: `null`"
    notes = [note for note in (did_you_mean(member, known), listed, "a file is a path: `./weights.pth`") if note]
    raise fail("unknown-weights", f"there are no weights `{name}` for `{builder.__name__}`", span, notes)


def _enumerations(builder: Callable[..., Any], *, quantized: bool) -> list[type[WeightsEnum]]:
    """The enumerations that the builder's `weights` may come from."""
    annotation = typing.get_type_hints(builder).get("weights")
    found = [
        option
        for option in (annotation, *typing.get_args(annotation))
        if isinstance(option, type) and issubclass(option, WeightsEnum)
    ]
    fitting = [option for option in found if ("Quantized" in option.__name__) == quantized]
    return fitting or found


def cached_file(weights: WeightsEnum, context: Context, span: Span | None) -> Path:
    """The file of the weights in torch.hub's cache; where it is not there, it is downloaded if that is allowed.

    Raises:
        SurgeryError: ``not-allowed``, ``download``.
    """
    copied = context.pins.vendored(str(weights)) if context.pins is not None else None
    if copied is not None:
        return copied
    url: str = weights.url
    name = os.path.basename(urlparse(url).path)
    directory = Path(str(torch.hub.get_dir())) / "checkpoints"
    file: Path = directory / name
    if file.is_file():
        return file
    if "network" not in context.allow:
        message = f"the weights {weights} are not in torch.hub's cache ({name}), and the network is not allowed"
        note = "`--allow network`, or `allow=['network']` in Python, lets a run download them"
        raise fail("not-allowed", message, span, (note,))
    match = _HASH.search(name)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(file), match[1] if match else None, progress=False)
    except (OSError, RuntimeError) as error:
        message = f"the weights {weights} cannot be downloaded from {url}: {error}"
        raise fail("download", message, span, cause=error) from error
    return file
