"""Pattern 8: other input channels and other classes for every model of torchvision, by selectors."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torchvision import models

import surgery

CLASSIFIERS = models.list_models(module=models)
DETECTORS = models.list_models(module=models.detection)
SEGMENTERS = models.list_models(module=models.segmentation)
VIDEO = models.list_models(module=models.video)
QUANTIZED = models.list_models(module=models.quantization)
FLOW = models.list_models(module=models.optical_flow)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def on_meta(name: str, **kwargs: object) -> nn.Module:
    widths = models.regnet.BlockParams.from_init_params

    def computed(*args: object, **options: object) -> object:
        # RegNet computes its widths with tensors, which have to be real
        with torch.device("cpu"):
            return widths(*args, **options)

    with pytest.MonkeyPatch.context() as patch, torch.device("meta"):
        patch.setattr(models.regnet.BlockParams, "from_init_params", computed)
        return models.get_model_builder(name)(weights=None, **kwargs)


def put(model: nn.Module, path: str, layer: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, layer)


def widened(old: nn.Conv2d | nn.Conv3d, channels: int) -> nn.Module:
    """The convolution for other input channels, as one writes it."""
    return type(old)(
        channels,
        old.out_channels,
        old.kernel_size,
        stride=old.stride,
        padding=old.padding,
        bias=old.bias is not None,
        device=old.weight.device,
    )


def classifier_by_hand(model: nn.Module, channels: int, classes: int) -> list[str]:
    """Replace the first convolution, the last layer and auxiliary heads, whatever their names; the names of these."""
    named = dict(model.named_modules())
    first = next(path for path, module in named.items() if isinstance(module, nn.Conv2d))
    put(model, first, widened(named[first], channels))
    last = [path for path, module in named.items() if isinstance(module, nn.Linear | nn.Conv2d)][-1]
    heads = [path for path in ("aux1.fc2", "aux2.fc2", "AuxLogits.fc") if path in named]
    for path in (last, *heads):
        old = named[path]
        if isinstance(old, nn.Linear):
            put(model, path, nn.Linear(old.in_features, classes, bias=old.bias is not None, device=old.weight.device))
        else:
            put(model, path, nn.Conv2d(old.in_channels, classes, old.kernel_size, device=old.weight.device))
    return [first, last, *heads]


def agrees(plan: surgery.Plan, expected: nn.Module) -> None:
    """A plan's model is the one made by hand: layers with their arguments, keys, shapes."""
    assert str(plan.subject.skeleton.module) == str(expected)
    shapes = {key: tuple(tensor.shape) for key, tensor in expected.state_dict().items()}
    assert {key: entry.spec.shape for key, entry in plan.subject.entries.items()} == shapes


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_classifier(name: str) -> None:
    recipe = surgery.load("torchvision/classifier")
    plan = recipe.plan(architecture=name, weights="null", in_channels=5, num_classes=7)
    expected = on_meta(name)
    classifier_by_hand(expected, 5, 7)
    agrees(plan, expected)


@pytest.mark.parametrize(
    "name", ["resnet18", "squeezenet1_1", "vit_b_16", "convnext_tiny", "googlenet", "mobilenet_v3_small"]
)
def test_weights_for_other_classes_than_a_thousand(name: str) -> None:
    recipe = surgery.load("torchvision/classifier")
    plan = recipe.plan(architecture=name, weights="null", in_channels=5, num_classes=7, old_classes=20)
    expected = on_meta(name)
    classifier_by_hand(expected, 5, 7)
    agrees(plan, expected)


def test_what_has_no_such_layer_is_an_error() -> None:
    with pytest.raises(surgery.SurgeryError, match="check-failed"):
        surgery.load("torchvision/classifier").plan(architecture="r3d_18", weights="null", num_classes=3)


SMALL = ["squeezenet1_1", "shufflenet_v2_x0_5", "mnasnet0_5", "mobilenet_v3_small", "regnet_y_400mf", "resnet18"]
LARGER = ["densenet121", "efficientnet_b0", "convnext_tiny", "swin_t"]


@pytest.mark.parametrize(
    ("name", "channels"), [*((name, 4) for name in SMALL + LARGER), ("resnet18", 1), ("swin_t", 3)]
)
def test_its_tensors_are_those_of_plain_pytorch_and_timm(name, channels, shaken, same) -> None:
    model = shaken(models.get_model_builder(name)(weights=None))
    torch.save(model.state_dict(), "model.pth")
    params = {"architecture": name, "weights": "model.pth", "in_channels": channels, "num_classes": 7}
    ours = surgery.load("torchvision/classifier").run(params=params).model.eval()
    matches(ours, model, channels, same)


def matches(ours: nn.Module, model: nn.Module, channels: int, same) -> None:
    """The same done to a model by hand, with timm's function for the convolution."""
    timm = pytest.importorskip("timm.models")
    weight = next(module for module in model.modules() if isinstance(module, nn.Conv2d)).weight.detach().clone()
    first, last = classifier_by_hand(model, channels, 7)
    with torch.no_grad():
        model.get_submodule(first).weight.copy_(timm.adapt_input_conv(channels, weight))
    if model.get_submodule(first).bias is not None:
        model.get_submodule(first).bias = ours.get_submodule(first).bias
    model.get_submodule(last).load_state_dict(ours.get_submodule(last).state_dict())
    same(ours.state_dict(), model.state_dict())
    x = torch.rand(2, channels, 96, 96)
    with torch.no_grad():
        assert torch.equal(ours(x), model(x))


@pytest.mark.parametrize("channels", [3, 4])
def test_published_googlenet(channels, shaken, same, directory, monkeypatch) -> None:
    """Its weights come with a transformation of the three channels of RGB, which stays where there are three."""
    monkeypatch.setenv("TORCH_HOME", str(directory))
    cache = directory / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    weights = models.GoogLeNet_Weights.DEFAULT
    torch.save(
        shaken(models.googlenet(weights=None, init_weights=False)).state_dict(), cache / weights.url.split("/")[-1]
    )
    model = models.googlenet(weights=weights).eval()
    params = {"architecture": "googlenet", "in_channels": channels, "num_classes": 7}
    ours = surgery.load("torchvision/classifier").run(params=params).model.eval()
    assert ours.transform_input == (channels == 3)
    model.transform_input = channels == 3
    matches(ours, model, channels, same)


@pytest.mark.parametrize("name", [*DETECTORS, *SEGMENTERS, *VIDEO, *QUANTIZED, *FLOW])
def test_every_other_model(name: str) -> None:
    """Detectors have 91 classes, several outputs for each; segmenters 21, video models 400; flow has no classes."""
    backbone = {"weights_backbone": None} if name in DETECTORS + SEGMENTERS else {}
    classes = 91 if name in DETECTORS else 21 if name in SEGMENTERS else 400 if name in VIDEO else 1000
    test = f"% {classes} == 0" if name in DETECTORS else f"== {classes}"
    keypoints = "optional roi_heads.keypoint_predictor.kps_score_lowres -> ConvTranspose2d(old.in_channels, 5, ...)\n"
    rules = (
        "**[Conv2d|Conv3d] if shape[1] == 3 -> {conv}(4, ...) with overlap(fill='mean')\n"
        "optional **[Linear] if shape[0] {test} -> Linear(old.in_features, old.out_features // {n} * 7, ...)\n"
        "optional **[{conv}] if shape[0] {test} -> {conv}(old.in_channels, old.out_channels // {n} * 7, ...)\n"
    ).format(conv="Conv3d" if name in VIDEO else "Conv2d", n=classes, test=test)
    source = {"torchvision": name, "weights": None}
    plan = surgery.load({"source": source, "steps": [{"replace_layer": rules + keypoints}]}).plan()
    expected = on_meta(name, **backbone)
    other_by_hand(expected, classes)
    agrees(plan, expected)


def other_by_hand(model: nn.Module, classes: int) -> None:
    """By the names that the layers have in torchvision's code."""
    named = dict(model.named_modules())
    for path, old in named.items():
        if isinstance(old, nn.Conv2d | nn.Conv3d) and old.in_channels == 3:
            put(model, path, widened(old, 4))
    ends = [
        "roi_heads.box_predictor.cls_score",
        "roi_heads.box_predictor.bbox_pred",
        "head.classification_head.cls_logits",
    ]
    ends += ["roi_heads.mask_predictor.mask_fcn_logits", "classifier.low_classifier", "classifier.high_classifier"]
    ends += [
        "fc",
        "head",
        "head.1",
        "classifier.1",
        "classifier.3",
        "classifier.4",
        "aux1.fc2",
        "aux2.fc2",
        "AuxLogits.fc",
    ]
    ends += [f"head.classification_head.module_list.{i}{inner}" for i in range(6) for inner in ("", ".1")]
    for path in ends:
        old = named.get(path)
        if isinstance(old, nn.Linear) and classes in (old.out_features, old.out_features // 4):
            put(model, path, nn.Linear(old.in_features, old.out_features // classes * 7, device="meta"))
        elif isinstance(old, nn.Conv2d | nn.Conv3d) and old.out_channels % classes == 0:
            sizes = {"kernel_size": old.kernel_size, "stride": old.stride, "padding": old.padding}
            put(model, path, type(old)(old.in_channels, old.out_channels // classes * 7, **sizes, device="meta"))
    points = "roi_heads.keypoint_predictor.kps_score_lowres"
    if points in named:
        put(model, points, nn.ConvTranspose2d(named[points].in_channels, 5, 4, stride=2, padding=1, device="meta"))


def test_a_detector_for_four_channels_and_seven_classes_detects(shaken) -> None:
    source = {"torchvision": "ssdlite320_mobilenet_v3_large", "weights": None}
    steps = [
        {
            "replace_layer": "**[Conv2d] if shape[1] == 3 -> Conv2d(4, ...) with overlap(fill='mean')\n"
            "**[Conv2d] if shape[0] % 91 == 0 -> Conv2d(old.in_channels, old.out_channels // 91 * 7, ...)"
        },
        {
            "set": "transform -> image_mean=[0.5, 0.5, 0.5, 0.5], image_std=[0.5, 0.5, 0.5, 0.5]\n"
            "head.classification_head -> num_columns=7"
        },
        {"mode": "eval"},
    ]
    model = surgery.load({"source": source, "steps": steps}).run().model
    with torch.no_grad():
        (found,) = model([torch.rand(4, 320, 320)])
    assert found["labels"].numel()
    assert found["labels"].max() < 7


def test_a_segmenter_and_a_video_model_run(shaken) -> None:
    rules = (
        "**[Conv2d] if shape[1] == 3 -> Conv2d(4, ...), **[Conv2d] if shape[0] == 21 -> Conv2d(old.in_channels, 7, ...)"
    )
    source = {"torchvision": "lraspp_mobilenet_v3_large", "weights": None}
    model = surgery.load({"source": source, "steps": [{"replace_layer": rules}, {"mode": "eval"}]}).run().model
    assert model(torch.rand(1, 4, 64, 64))["out"].shape == (1, 7, 64, 64)
    rules = "stem.0 -> Conv3d(1, ...) with reduce('o i t h w -> o 1 t h w', 'sum'), fc -> Linear(old.in_features, 7)"
    source = {"torchvision": "r3d_18", "weights": None}
    model = surgery.load({"source": source, "steps": [{"replace_layer": rules}, {"mode": "eval"}]}).run().model
    x = torch.rand(1, 1, 4, 32, 32)
    assert model(x).shape == (1, 7)
