"""torchvision's models: published weights as torchvision itself loads them, checkpoints, initial values."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlparse

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn
from torchvision.models import get_model_weights

import surgery
from surgery.diagnostics import SurgeryError
from surgery.model.seeds import derived_seed
from surgery.planning.context import Context
from surgery.sources.torchvision import Torchvision

pytestmark = pytest.mark.filterwarnings("ignore")


def real(name: str, **kwargs: object) -> nn.Module:
    return torchvision.models.get_model_builder(name)(**kwargs)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Make torch.hub's cache hold weights: random ones of the right names and shapes."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    directory = tmp_path / "hub" / "checkpoints"
    directory.mkdir(parents=True)

    def publish(name: str, weights: str, state: dict[str, torch.Tensor]) -> Path:
        file = directory / os.path.basename(urlparse(get_model_weights(name)[weights].url).path)
        torch.save(state, file)
        return file

    return publish


def shaken(model: nn.Module) -> OrderedDict[str, torch.Tensor]:
    """A state dict with values that no initialiser gives."""
    state = model.state_dict()
    for tensor in state.values():
        tensor.copy_(torch.rand(tensor.shape) * 10)
    return state


def agrees(name: str, weights: str, **kwargs: object) -> nn.Module:
    source = {"torchvision": name, "weights": weights, "kwargs": kwargs}
    ours = surgery.load({"source": source}).run().model
    theirs = real(name, weights=get_model_weights(name)[weights], **kwargs)
    assert str(ours) == str(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for key, tensor in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[key], tensor), key
    trained = {n: p.requires_grad for n, p in theirs.named_parameters()}
    assert {n: p.requires_grad for n, p in ours.named_parameters()} == trained
    return ours


def test_published_weights(hub: Callable[..., Path]) -> None:
    hub("resnet18", "IMAGENET1K_V1", shaken(real("resnet18")))
    agrees("resnet18", "IMAGENET1K_V1")


def test_default_and_the_long_name(hub: Callable[..., Path]) -> None:
    hub("resnet18", "IMAGENET1K_V1", shaken(real("resnet18")))
    states = [
        surgery.load({"source": {"torchvision": "resnet18", "weights": name}}).run().state_dict
        for name in ("DEFAULT", "ResNet18_Weights.IMAGENET1K_V1", "ResNet18_Weights.DEFAULT")
    ]
    assert all(torch.equal(states[0][key], state[key]) for state in states for key in state)


def test_auxiliary_heads_are_loaded_and_taken_away(hub: Callable[..., Path]) -> None:
    hub("googlenet", "IMAGENET1K_V1", shaken(real("googlenet", aux_logits=True, init_weights=False)))
    assert agrees("googlenet", "IMAGENET1K_V1").aux1 is None
    agrees("googlenet", "IMAGENET1K_V1", aux_logits=True)


def test_old_names_of_densenet_are_mended(hub: Callable[..., Path]) -> None:
    state = {key: tensor for key, tensor in shaken(real("densenet121")).items() if "num_batches" not in key}
    old = OrderedDict(
        (
            key.replace("norm1", "norm.1")
            .replace("conv1", "conv.1")
            .replace("norm2", "norm.2")
            .replace("conv2", "conv.2"),
            t,
        )
        for key, t in state.items()
    )
    assert any("norm.1" in key for key in old)
    hub("densenet121", "IMAGENET1K_V1", old)
    agrees("densenet121", "IMAGENET1K_V1")


def test_a_segmentation_model_follows_its_weights(hub: Callable[..., Path]) -> None:
    name, weights = "lraspp_mobilenet_v3_large", "COCO_WITH_VOC_LABELS_V1"
    hub(name, weights, shaken(real(name, weights_backbone=None, num_classes=21)))
    agrees(name, weights)


def test_a_detector_follows_its_weights(hub: Callable[..., Path]) -> None:
    name = "fasterrcnn_mobilenet_v3_large_320_fpn"
    state = shaken(real(name, weights_backbone=None, num_classes=91))
    hub(name, "COCO_V1", OrderedDict((k, v) for k, v in state.items() if "num_batches" not in k))
    agrees(name, "COCO_V1")


def test_a_backbone_with_weights_and_a_head_without(hub: Callable[..., Path]) -> None:
    name = "lraspp_mobilenet_v3_large"
    backbone = real("mobilenet_v3_large")
    hub("mobilenet_v3_large", "IMAGENET1K_V1", shaken(backbone))
    source = {"torchvision": name, "weights": None, "kwargs": {"weights_backbone": "IMAGENET1K_V1"}}
    ours = surgery.load({"source": source}).run().model
    theirs = real(name, weights_backbone="IMAGENET1K_V1")
    for key, tensor in theirs.backbone.state_dict().items():
        assert torch.equal(ours.backbone.state_dict()[key], tensor)
    assert ours.classifier.cbr[0].weight.std() > 0


def test_weights_older_than_the_counters_of_batch_norm(hub: Callable[..., Path]) -> None:
    old = OrderedDict((k, v) for k, v in shaken(real("resnet18")).items() if "num_batches" not in k)
    hub("resnet18", "IMAGENET1K_V1", old)
    assert agrees("resnet18", "IMAGENET1K_V1").bn1.num_batches_tracked == 0


def test_float_weights_of_a_model_for_quantisation(hub: Callable[..., Path]) -> None:
    hub("resnet18", "IMAGENET1K_V1", shaken(real("resnet18")))
    ours = surgery.load({"source": {"torchvision": "quantized_resnet18", "weights": "IMAGENET1K_V1"}}).run().model
    theirs = real("quantized_resnet18", weights="IMAGENET1K_V1")
    assert str(ours) == str(theirs)
    assert torch.equal(ours.fc.weight, theirs.fc.weight)


def test_a_plan_reads_headers_only(hub: Callable[..., Path]) -> None:
    file = hub("resnet18", "IMAGENET1K_V1", shaken(real("resnet18")))
    plan = surgery.load({"source": {"torchvision": "resnet18", "weights": "IMAGENET1K_V1"}}).plan()
    assert len(plan.before) == 122
    assert [state.size for state in plan.files.values()] == [file.stat().st_size]


@pytest.mark.parametrize("name", ["resnet18", "swin_t", "googlenet", "ssdlite320_mobilenet_v3_large"])
def test_initial_values_are_torchvisions_own(name: str) -> None:
    made = surgery.load({"seed": 4, "source": {"torchvision": name, "weights": None}}).run().model
    backbone = {"weights_backbone": None} if "ssd" in name else {}
    with torch.random.fork_rng():
        torch.manual_seed(derived_seed(4, name))
        theirs = real(name, weights=None, **backbone)
    assert list(made.state_dict()) == list(theirs.state_dict())
    assert all(torch.equal(made.state_dict()[key], tensor) for key, tensor in theirs.state_dict().items())
    assert str(made) == str(theirs)


def test_a_parameter_may_say_null() -> None:
    params = {"weights": {"type": "string", "default": "DEFAULT"}}
    recipe = surgery.load({"params": params, "source": {"torchvision": "squeezenet1_1", "weights": "$weights"}})
    assert recipe.plan(weights="null").subject.entries


def test_a_checkpoint_must_fit_exactly(tmp_path: Path) -> None:
    state = shaken(real("resnet18"))
    file = tmp_path / "weights.safetensors"
    save_file(state, file)
    source = {"torchvision": "resnet18", "weights": str(file)}
    made = surgery.load({"source": source}).run().model
    assert all(torch.equal(made.state_dict()[key], tensor) for key, tensor in state.items())
    del state["fc.bias"]
    save_file(state, file)
    with pytest.raises(SurgeryError) as caught:
        surgery.load({"source": source}).plan()
    assert caught.value.diagnostics[0].code == "load-mismatch"
    made = surgery.load({"source": {**source, "kwargs": {"num_classes": 10}}})
    with pytest.raises(SurgeryError, match=r"fc\.weight"):
        made.plan()


def test_without_the_network_the_error_says_what_to_do(
    hub: Callable[..., Path], golden: Callable[[str, str], None]
) -> None:
    recipe = surgery.load({"source": {"torchvision": "resnet18", "weights": "IMAGENET1K_V1"}})
    with pytest.raises(SurgeryError) as caught:
        recipe.plan()
    golden("sources/torchvision_network", str(caught.value))


def test_a_download_is_checked(hub: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str | None]] = []
    state = real("resnet18").state_dict()

    def download(url: str, target: str, hash_prefix: str | None, *, progress: bool) -> None:
        asked.append((os.path.basename(url), hash_prefix))
        torch.save(state, target)

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    recipe = surgery.load({"source": {"torchvision": "resnet18", "weights": "IMAGENET1K_V1"}})
    recipe.plan(allow=["network"])
    recipe.plan()
    assert asked == [("resnet18-f37072fd.pth", "f37072fd")]


MISTAKES = [
    {"torchvision": "resnet55", "weights": None},
    {"torchvision": "resnet18", "weights": "IMAGENET1K_V7"},
    {"torchvision": "resnet18", "weights": "ResNet50_Weights.IMAGENET1K_V1"},
    {"torchvision": "resnet18", "kwargs": {"num_class": 10}},
    {"torchvision": "resnet18", "weights": "IMAGENET1K_V1", "kwargs": {"num_classes": 10}},
    {"torchvision": "resnet18", "kwargs": {"weights": "DEFAULT"}},
    {"torchvision": "quantized_resnet18", "kwargs": {"quantize": True}},
    {"torchvision": "vgg11", "kwargs": {"num_classes": 10**12}},
    {"torchvision": "resnet18", "kwargs": 3},
]


def test_mistakes(golden: Callable[[str, str], None]) -> None:
    shown = []
    for source in MISTAKES:
        with pytest.raises(SurgeryError) as caught:
            surgery.load({"source": source}).plan()
        shown.append(str(caught.value))
    golden("sources/torchvision_mistakes", "\n\n".join(shown))


def test_torchvisions_own_loading_is_as_before(hub: Callable[..., Path]) -> None:
    hub("resnet18", "IMAGENET1K_V1", shaken(real("resnet18")))
    Torchvision("resnet18", "IMAGENET1K_V1").open(Context())
    state = get_model_weights("resnet18").IMAGENET1K_V1.get_state_dict(progress=False)
    assert not state["fc.weight"].is_meta


def test_weights_that_do_not_fit_are_told_at_their_place(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "other.safetensors")
    text = "source: {torchvision: resnet18, weights: other.safetensors}\n"
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(SurgeryError, match="load-mismatch") as caught:
        surgery.load(tmp_path / "r.yaml").plan()
    span = caught.value.diagnostics[0].span
    assert span is not None
    assert text[span.column - 1 :].startswith("other.safetensors")
    assert "`weights: null` and a step `load:" in caught.value.diagnostics[0].notes[-1]
