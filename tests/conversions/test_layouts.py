"""How implementations lay their weights out, each conversion beside the usual code for it, there and back again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import surgery

State = dict[str, Tensor]
Shapes = dict[str, tuple[int, ...]]

LAYERS, HEADS, HEAD, WIDTH = 3, 4, 8, 32


def layers(shapes: Shapes, count: int = LAYERS) -> Shapes:
    return {key.replace("*", str(i)): shape for i in range(count) for key, shape in shapes.items()}


@dataclass(frozen=True)
class Layout:
    """Shapes of the source, rules there, the same by hand, and rules back (none where something is lost)."""

    shapes: Shapes
    there: str
    by_hand: Callable[[State], State]
    back: str | None = None
    dtype: torch.dtype = torch.float32


LAYOUTS: dict[str, Layout] = {}


def layout(shapes: Shapes, there: str, back: str | None = None, dtype: torch.dtype = torch.float32):
    def register(by_hand: Callable[[State], State]) -> None:
        LAYOUTS[by_hand.__name__] = Layout(shapes, there, by_hand, back, dtype)

    return register


@layout(
    layers({"h.*.attn.query_key_value.weight": (96, 32), "h.*.attn.query_key_value.bias": (96,)}),
    'h.{i}.attn.query_key_value -> h.{i}.attn.(q|k|v) via rearrange("(h three d) ... -> (three h d) ...", h=4, three=3)'
    " | chunk",
    "h.{i}.attn.(q|k|v) -> h.{i}.attn.query_key_value via concat"
    ' | rearrange("(three h d) ... -> (h three d) ...", h=4, three=3)',
)
def bloom(state):
    """Each head has its query, key and value in turn (BLOOM, GPT-NeoX, Megatron)."""
    made = {}
    for key, tensor in state.items():
        parts = tensor.view(HEADS, 3, HEAD, *tensor.shape[1:])
        for n, name in enumerate("qkv"):
            made[key.replace("query_key_value", name)] = parts[:, n].reshape(WIDTH, *tensor.shape[1:])
    return made


@layout(
    layers({"h.*.attn.query_key_value.weight": (2 * 5 * 8, 32)}),
    "h.{i}.attn.query_key_value.weight -> h.{i}.attn.(q|k|v).weight"
    ' via rearrange("(g r) e -> g r e", g=2) | split([24, 8, 8], dim=1) | flatten(0, 1)',
    'h.{i}.attn.(q|k|v).weight -> h.{i}.attn.query_key_value.weight via rearrange("(g r) e -> g r e", g=2)'
    " | concat(dim=1) | flatten(0, 1)",
)
def falcon(state):
    """Grouped heads: for each key and value the three queries that share them (Falcon, InternLM 2)."""
    made = {}
    for key, tensor in state.items():
        groups = tensor.view(2, 5, HEAD, WIDTH)
        for name, part in zip("qkv", (groups[:, :3], groups[:, 3:4], groups[:, 4:]), strict=True):
            made[key.replace("query_key_value", name)] = part.reshape(-1, WIDTH)
    return made


@layout(
    {
        f"rank{r}.layers.{i}.{key}": shape
        for r in range(2)
        for i in range(LAYERS)
        for key, shape in {"qkv.weight": (48, 32), "qkv.bias": (48,), "dense.weight": (32, 16)}.items()
    },
    'rank{r:int}.layers.{i}.qkv -> layers.{i}.(q|k|v) via concat | rearrange("(h three d) ... -> three (h d) ...", '
    "three=3, d=8) | unstack, rank{r:int}.layers.{i}.dense -> layers.{i}.o via concat(dim=1)",
    'layers.{i}.(q|k|v) -> rank{r}.layers.{i}.qkv via stack | rearrange("three (r h d) ... -> r (h three d) ...", '
    "r=2, d=8) | unstack, layers.{i}.o.weight -> rank(0|1).layers.{i}.dense.weight via chunk(dim=1)",
)
def tensor_parallel(state):
    """Megatron's shards: rows of one projection and columns of another, heads interleaved."""
    made = {}
    for i in range(LAYERS):
        for name in ("weight", "bias"):
            joined = torch.cat([state[f"rank{r}.layers.{i}.qkv.{name}"] for r in range(2)])
            parts = joined.view(HEADS, 3, HEAD, *joined.shape[1:])
            for n, letter in enumerate("qkv"):
                made[f"layers.{i}.{letter}.{name}"] = parts[:, n].reshape(WIDTH, *joined.shape[1:])
        made[f"layers.{i}.o.weight"] = torch.cat([state[f"rank{r}.layers.{i}.dense.weight"] for r in range(2)], 1)
    return made


@layout(
    layers({"l.*.dense_h_to_4h.weight": (48, 32), "l.*.qkv.weight": (64, 32), "l.*.qkv.bias": (64,)}),
    "l.{i}.qkv -> l.{i}.(q|k|v) via split([32, 16, 16]), l.{i}.dense_h_to_4h -> l.{i}.(gate|up) via chunk",
    "l.{i}.(q|k|v) -> l.{i}.qkv via concat, l.{i}.(gate|up) -> l.{i}.dense_h_to_4h via concat",
    torch.bfloat16,
)
def chatglm(state):
    """Unequal parts, and a gate that is fused with what it gates (ChatGLM, Phi-3, EVA's w12)."""
    made = {}
    for key, tensor in state.items():
        fused = "qkv" if "qkv" in key else "dense_h_to_4h"
        names, sizes = (("q", "k", "v"), (32, 16, 16)) if fused == "qkv" else (("gate", "up"), (24, 24))
        for name, part in zip(names, tensor.split(sizes), strict=True):
            made[key.replace(fused, name)] = part
    return made


@layout(
    layers({"b.*.att.time_mix_k": (1, 1, 16), "b.*.att.time_mix_v": (1, 1, 16), "b.*.att.time_mix_r": (1, 1, 16)}),
    "b.{i}.att.time_mix_(r|k|v) -> b.{i}.mix via flatten | stack",
    "b.{i}.mix -> b.{i}.att.time_mix_(r|k|v) via unstack | reshape(1, 1, -1)",
)
def rwkv(state):
    """Vectors of several names as the rows of one tensor."""
    return {
        f"b.{i}.mix": torch.stack([state[f"b.{i}.att.time_mix_{n}"].flatten() for n in "rkv"]) for i in range(LAYERS)
    }


@layout(
    layers({"b.*.q_bias": (32,), "b.*.v_bias": (32,), "b.*.qkv.weight": (96, 32)}),
    "b.{i}.(q|k|v)_bias -> b.{i}.qkv.bias via concat(missing='zeros')",
)
def beit(state):
    """Keys without a bias: zeros."""
    made = {key: tensor for key, tensor in state.items() if "weight" in key}
    for i in range(LAYERS):
        made[f"b.{i}.qkv.bias"] = torch.cat([state[f"b.{i}.q_bias"], torch.zeros(32), state[f"b.{i}.v_bias"]])
    return made


@layout(
    {
        f"l.{i}.experts.{e}.{name}_proj.weight": (6, 16)
        for i in range(LAYERS)
        for e in range(11)
        for name in ("gate", "up")
    }
    | layers({"l.*.shared_experts.up_proj.weight": (12, 16)}),
    'l.{i}.experts.{e:int}.(gate|up)_proj.weight -> l.{i}.experts.gate_up via stack | rearrange("(e two) i h -> e '
    '(two i) h", two=2)',
    'l.{i}.experts.gate_up -> l.{i}.experts.{e}.(gate|up)_proj.weight via rearrange("e (two i) h -> (e two) i h", '
    "two=2) | unstack",
    torch.bfloat16,
)
def experts(state):
    """Two indices, the left one varying slowest, and 10 behind 9; the shared expert stays (DeepSeek, Qwen)."""
    made = {key: tensor for key, tensor in state.items() if "shared" in key}
    for i in range(LAYERS):
        pairs = [[state[f"l.{i}.experts.{e}.{n}_proj.weight"] for n in ("gate", "up")] for e in range(11)]
        made[f"l.{i}.experts.gate_up"] = torch.stack([torch.cat(pair) for pair in pairs])
    return made


@layout(
    layers({"l.*.gate_up_blocks": (5, 12, 2, 16), "l.*.gate_up_scales": (5, 12, 2)}),
    'l.{i}.gate_up_{k} -> l.{i}.(gate|up)_{k} via rearrange("e (i two) ... -> two e i ...", two=2) | unstack',
    'l.{i}.(gate|up)_{k} -> l.{i}.gate_up_{k} via stack | rearrange("two e i ... -> e (i two) ...")',
    torch.uint8,
)
def gpt_oss(state):
    """Rows of gate and up in turn, as blocks and scales of four-bit numbers that nobody unpacks."""
    return {
        key.replace("gate_up", name): tensor[:, n::2]
        for key, tensor in state.items()
        for n, name in enumerate(("gate", "up"))
    }


@layout(
    {f"l.{n}_proj.{key}": shape for n in "qkv" for key, shape in {"qweight": (4, 32), "g_idx": (32,)}.items()},
    "l.(q|k|v)_proj.qweight -> l.qkv.qweight via concat(dim=1), l.(q|k|v)_proj.g_idx -> l.qkv.g_idx via stack",
    "l.qkv.qweight -> l.(q|k|v)_proj.qweight via chunk(dim=1), l.qkv.g_idx -> l.(q|k|v)_proj.g_idx via unstack",
    torch.int32,
)
def gptq(state):
    """Packed integers, joined along their columns."""
    return {
        "l.qkv.qweight": torch.cat([state[f"l.{n}_proj.qweight"] for n in "qkv"], 1),
        "l.qkv.g_idx": torch.stack([state[f"l.{n}_proj.g_idx"] for n in "qkv"]),
    }


@layout(
    {f"up.{i}.block.{j}.conv.weight": (4, 4, 1, 1) for i in range(4) for j in range(2)},
    "up.{i:int}.block.{j}.conv.weight -> up_blocks.{3 - i}.resnets.{j}.linear.weight via squeeze(-1) | squeeze(-1)",
    "up_blocks.{i:int}.resnets.{j}.linear.weight -> up.{3 - i}.block.{j}.conv.weight via unsqueeze(-1) | unsqueeze(-1)",
)
def ldm_vae(state):
    """Blocks counted from the other end, convolutions that are linear."""
    names = {key: key.split(".") for key in state}
    return {
        f"up_blocks.{3 - int(n[1])}.resnets.{n[3]}.linear.weight": state[key][:, :, 0, 0] for key, n in names.items()
    }


@layout(
    {f"input_blocks.{n}.0.weight": (4,) for n in range(1, 12)},
    "input_blocks.{n:int}.0 -> down_blocks.{(n - 1) // 3}.resnets.{(n - 1) % 3}",
)
def ldm_unet(state):
    """A flat count of blocks as stages and places."""
    return {
        f"down_blocks.{(n - 1) // 3}.resnets.{(n - 1) % 3}.weight": state[f"input_blocks.{n}.0.weight"]
        for n in range(1, 12)
    }


@layout(
    {"kernel": (7 + 5, 20), "bias": (20,)},
    'kernel -> weight_(ih|hh)_l0 via rearrange("i (g h) -> g h i", g=4) | select([0, 2, 1, 3]) | flatten(0, 1)'
    " | split([7, 5], dim=1), bias -> bias_ih_l0 via reshape(4, -1) | select([0, 2, 1, 3]) | flatten",
    'weight_(ih|hh)_l0 -> kernel via concat(dim=1) | rearrange("(g h) i -> g h i", g=4) | select([0, 2, 1, 3])'
    ' | rearrange("g h i -> i (g h)"), bias_ih_l0 -> bias via reshape(4, -1) | select([0, 2, 1, 3]) | flatten',
)
def tensorflow_lstm(state):
    """Gates i, j, f, o of one kernel as i, f, g, o of two."""
    i, j, f, o = state["kernel"].chunk(4, 1)
    weight = torch.cat([i, f, j, o], 1).T
    i, j, f, o = state["bias"].chunk(4)
    return {"weight_ih_l0": weight[:, :7], "weight_hh_l0": weight[:, 7:], "bias_ih_l0": torch.cat([i, f, j, o])}


@layout(
    {"kernel": (7, 15), "bias": (2, 15)},
    'kernel -> weight_ih_l0 via rearrange("i (g h) -> g h i", g=3) | select([1, 0, 2]) | flatten(0, 1),'
    'bias -> bias_(ih|hh)_l0 via rearrange("two (g h) -> two g h", g=3) | select([1, 0, 2], dim=1) | flatten(1)'
    " | unstack",
    'weight_ih_l0 -> kernel via rearrange("(g h) i -> g h i", g=3) | select([1, 0, 2]) | rearrange("g h i -> i (g h)"),'
    "bias_(ih|hh)_l0 -> bias via reshape(3, -1) | select([1, 0, 2]) | flatten | stack",
)
def keras_gru(state):
    """Gates z, r, h as r, z, n."""

    def gates(tensor):
        z, r, h = tensor.chunk(3)
        return torch.cat([r, z, h])

    ih, hh = map(gates, state["bias"])
    return {"weight_ih_l0": gates(state["kernel"].T), "bias_ih_l0": ih, "bias_hh_l0": hh}


@layout(
    {"conv/kernel": (3, 3, 4, 8), "dw/depthwise_kernel": (3, 3, 8, 2), "fc/kernel": (2 * 2 * 8, 10), "bn/gamma": (8,)},
    'conv/kernel -> conv.weight via permute(3, 2, 0, 1), dw/depthwise_kernel -> dw.weight via rearrange("h w c m -> '
    '(c m) 1 h w"), fc/kernel -> fc.weight via rearrange("(h w c) o -> o (c h w)", h=2, w=2), bn/gamma -> bn.weight',
    'conv.weight -> conv/kernel via permute(2, 3, 1, 0), dw.weight -> dw/depthwise_kernel via rearrange("(c m) 1 h w '
    '-> h w c m", m=2), fc.weight -> fc/kernel via rearrange("o (c h w) -> (h w c) o", h=2, w=2),'
    "bn.weight -> bn/gamma",
)
def keras_convolutions(state):
    """Channels last, and a linear layer behind what flattened them."""
    return {
        "conv.weight": state["conv/kernel"].permute(3, 2, 0, 1),
        "dw.weight": state["dw/depthwise_kernel"].permute(2, 3, 0, 1).reshape(16, 1, 3, 3),
        "fc.weight": state["fc/kernel"].view(2, 2, 8, 10).permute(3, 2, 0, 1).reshape(10, 32),
        "bn.weight": state["bn/gamma"],
    }


@layout(
    {"decoder.layers.mlp.wi.kernel": (8, 12, 16), "decoder.layers.norm.scale": (8, 12)},
    "decoder.layers.mlp.wi.kernel -> decoder.layers.{i}.mlp.wi.weight via unstack(dim=1) | transpose(0, 1),"
    "decoder.layers.norm.scale -> decoder.layers.{i}.norm.weight via unstack(dim=1)",
    "decoder.layers.{i:int}.mlp.wi.weight -> decoder.layers.mlp.wi.kernel via transpose(0, 1) | stack(dim=1),"
    "decoder.layers.{i:int}.norm.weight -> decoder.layers.norm.scale via stack(dim=1)",
)
def scanned(state):
    """JAX's scan over layers, stacked along axis 1."""
    kernel, scale = state["decoder.layers.mlp.wi.kernel"], state["decoder.layers.norm.scale"]
    made = {f"decoder.layers.{i}.mlp.wi.weight": kernel[:, i].T for i in range(12)}
    return made | {f"decoder.layers.{i}.norm.weight": scale[:, i] for i in range(12)}


@layout(
    {"resnet/~/conv_0/w": (3, 3, 2, 4), "resnet/~/group_0/~/conv_1/w": (1, 1, 4, 4)},
    '"resnet/~/conv_0/w" -> conv1.weight via permute(3, 2, 0, 1),'
    '"resnet/~/group_"{g:int}"/~/conv_"{c:int}/w -> layer{g + 1}.conv{c + 1}.weight via permute(3, 2, 0, 1)',
)
def haiku(state):
    """Names with characters that are quoted."""
    first, second = state.values()
    return {"conv1.weight": first.permute(3, 2, 0, 1), "layer1.conv2.weight": second.permute(3, 2, 0, 1)}


@layout(
    {"conv.weight": (4, 3, 5, 5), "bn.weight": (4,)},
    '**.weight if ndim == 4 -> **.weight via repeat("o i h w -> o i t h w", t=5) | scale(1 / 5)',
)
def inflated(state):
    """Images to video."""
    return state | {"conv.weight": state["conv.weight"][:, :, None].repeat(1, 1, 5, 1, 1) * (1 / 5)}


@layout(
    {"unet.b.0.weight": (16, 8), "lora_unet_b_0.down": (4, 8), "lora_unet_b_0.up": (16, 4), "lora_unet_b_0.alpha": ()},
    "[unet.b.{i}.weight, lora_unet_b_{i}.down, lora_unet_b_{i}.up, lora_unet_b_{i}.alpha]"
    " -> unet.b.{i}.weight via lora",
)
def kohya(state):
    """Adapters that hold their alpha."""
    base, down, up, alpha = state.values()
    return {"unet.b.0.weight": base + up @ down * (alpha.item() / 4)}


@layout(
    layers({"l.*.norm.weight": (8,), "l.*.A_log": (8, 4)}),
    "l.{i}.norm.weight -> l.{i}.norm.weight via shift(1), l.{i}.A_log -> l.{i}.A via exp | scale(-1)",
)
def gemma_and_mamba(state):
    """A norm that is a difference from 1; a matrix that is stored as a logarithm."""
    return {key.replace("_log", ""): tensor + 1 if "norm" in key else -tensor.exp() for key, tensor in state.items()}


@layout(
    {"shared.table": (12, 4), "b.0.x": (2,)},
    'shared.table -> b.{i}.table via repeat("... -> l ...", l=3) | unstack',
)
def shared_table(state):
    """One table for all layers as one for each."""
    return {"b.0.x": state["b.0.x"]} | {f"b.{i}.table": state["shared.table"] for i in range(3)}


def drawn(shapes: Shapes, dtype: torch.dtype) -> State:
    chance = torch.Generator().manual_seed(0)
    if dtype.is_floating_point:
        return {key: torch.randn(shape, generator=chance).to(dtype) for key, shape in shapes.items()}
    most = torch.iinfo(dtype).max
    return {key: torch.randint(0, most, shape, dtype=dtype, generator=chance) for key, shape in shapes.items()}


def same(found: State, wanted: State) -> None:
    assert set(found) == set(wanted)
    for key, tensor in wanted.items():
        assert (found[key].dtype, found[key].shape) == (tensor.dtype, tensor.shape), key
        assert torch.equal(found[key], tensor), key


def through_files(rules: str, state: State) -> State:
    save_file({key: tensor.contiguous() for key, tensor in state.items()}, "in.safetensors")
    recipe = {"source": {"checkpoint": "in.safetensors"}, "steps": [{"convert": rules}], "output": "out.safetensors"}
    Path("out.safetensors").unlink(missing_ok=True)
    surgery.load(recipe).run()
    return load_file("out.safetensors")


def in_memory(rules: str, state: State) -> State:
    return surgery.load({"steps": [{"convert": rules}]}).run(state_dict=state).state_dict


@pytest.mark.parametrize("run", [in_memory, through_files])
@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout(name, run):
    case = LAYOUTS[name]
    state = drawn(case.shapes, case.dtype)
    wanted = case.by_hand(dict(state))
    same(run(case.there, state), wanted)
    if case.back is not None:
        same(run(case.back, wanted), state)


def test_rotary_embeddings_of_a_part_of_each_head():
    """GPT-J, DeepSeek: the rest of the head stays; three steps, each of which reads like what it does."""
    state = drawn(layers({"h.*.q.weight": (HEADS * HEAD, WIDTH)}), torch.float32)
    steps = [
        {"convert": 'h.*.q.weight -> h.*.q.(rotary|rest) via rearrange("(h d) e -> h d e", h=4) | split([4, 4], 1)'},
        {"convert": 'h.{i}.q.rotary -> h.{i}.q.rotary via rearrange("h (d two) e -> h (two d) e", two=2)'},
        {"convert": "h.{i}.q.(rotary|rest) -> h.{i}.q.weight via concat(dim=1) | flatten(0, 1)"},
    ]
    wanted = {}
    for key, tensor in state.items():
        heads = tensor.view(HEADS, HEAD, WIDTH)
        rotary = heads[:, :4].view(HEADS, 2, 2, WIDTH).transpose(1, 2).reshape(HEADS, 4, WIDTH)
        wanted[key] = torch.cat([rotary, heads[:, 4:]], 1).view(-1, WIDTH)
    same(surgery.load({"steps": steps}).run(state_dict=state).state_dict, wanted)


def test_a_norm_before_a_linear_layer_folded_into_it():
    state = drawn({"ln.weight": (8,), "ln.bias": (8,), "fc.weight": (6, 8), "fc.bias": (6,)}, torch.float32)
    steps = [
        {"copy": "[fc.weight, ln.bias] -> fc.shift via matmul"},
        {"convert": "[fc.bias, fc.shift] -> fc.bias via add, ln.weight -> ln.weight via unsqueeze(0)"},
        {"convert": "[fc.weight, ln.weight] -> fc.weight via mul"},
        {"filter": {"drop": "ln"}},
    ]
    wanted = {
        "fc.weight": state["fc.weight"] * state["ln.weight"],
        "fc.bias": state["fc.bias"] + state["fc.weight"] @ state["ln.bias"],
    }
    same(surgery.load({"steps": steps}).run(state_dict=state).state_dict, wanted)


def test_batch_norms_behind_layers_with_and_without_bias():
    """Two rules: the first takes the layers that have a bias, the second the others."""
    norm = ("weight", "bias", "running_mean", "running_var")
    shapes = {f"{c}.conv.weight": (8, 3, 3, 3) for c in "ab"} | {"b.conv.bias": (8,)}
    state = drawn(shapes | {f"{c}.bn.{n}": (8,) for c in "ab" for n in norm}, torch.float32)
    state |= {key: tensor.abs() + 0.5 for key, tensor in state.items() if "var" in key}
    names = ", ".join(f"{{m}}.bn.{n}" for n in norm)
    result = "[{m}.weight, {m}.bias] via fold_bn"
    rules = f"[{{m}}.conv.weight, {{m}}.conv.bias, {names}] -> {result}\n[{{m}}.conv.weight, {names}] -> {result}"
    found = in_memory(rules, state)
    assert set(found) == {"a.weight", "a.bias", "b.weight", "b.bias"}
    for c in "ab":
        image = torch.randn(2, 3, 5, 5)
        before = torch.nn.functional.conv2d(image, state[f"{c}.conv.weight"], state.get(f"{c}.conv.bias"))
        mean, var = state[f"{c}.bn.running_mean"], state[f"{c}.bn.running_var"]
        before = torch.nn.functional.batch_norm(before, mean, var, state[f"{c}.bn.weight"], state[f"{c}.bn.bias"])
        after = torch.nn.functional.conv2d(image, found[f"{c}.weight"], found[f"{c}.bias"])
        torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)
