"""Operations beside what they are named after, in torch, einops, timm and peft's way of writing it."""

import einops
import pytest
import torch
from timm.layers import pos_embed, pos_embed_rel
from torch import nn
from torch.nn.utils import fusion, parametrizations
from torch.nn.utils import weight_norm as old_weight_norm

from surgery.ops import OPS
from surgery.ops.arithmetic import spec_of
from surgery.ops.base import OpError


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def run(name, inputs, *args, outputs=None, **kwargs):
    op = OPS[name].bind(args, kwargs)
    planned = op.infer(tuple(map(spec_of, inputs)), outputs)
    return op.apply(list(inputs), len(planned))


def close(found, wanted):
    torch.testing.assert_close(found, wanted.to(found.dtype), rtol=1e-5, atol=1e-6)


GRIDS = [((1, 17, 8), (6, 6), 1, None), ((1, 14, 8), (3, 5), 2, (3, 4)), ((1, 16, 8), (2, 9), 0, None)]


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("mode", ["bicubic", "bilinear"])
@pytest.mark.parametrize(("shape", "size", "prefix", "old"), GRIDS, ids=str)
def test_resample_grid_is_timms(shape, size, prefix, old, mode, antialias):
    table = torch.randn(shape)
    wanted = pos_embed.resample_abs_pos_embed(
        table, list(size), list(old) if old else None, prefix, interpolation=mode, antialias=antialias
    )
    options = {"prefix": prefix, "mode": mode, "antialias": antialias} | ({"old_height": old[0]} if old else {})
    (found,) = run("resample_grid", [table], *size, **options)
    assert torch.equal(found, wanted)


def test_a_grid_that_is_no_square_wants_its_height():
    with pytest.raises(OpError, match="which are no square grid") as refused:
        run("resample_grid", [torch.zeros(1, 13, 8)], 4, 4)
    assert "`old_height`" in refused.value.suggestion
    with pytest.raises(OpError, match="which are no grid of 5 rows"):
        run("resample_grid", [torch.zeros(1, 13, 8)], 4, 4, old_height=5)


@pytest.mark.parametrize("old", [2, 7, 12])
@pytest.mark.parametrize("window", [(3, 3), (8, 8), (12, 16)])
@pytest.mark.parametrize("suffix", [0, 3])
def test_resample_bias_is_timms(old, window, suffix):
    table = torch.randn((2 * old - 1) ** 2 + suffix, 4)
    shape = ((2 * window[0] - 1) * (2 * window[1] - 1) + suffix, 4)
    (found,) = run("resample_bias", [table], *window, suffix=suffix)
    close(found, pos_embed_rel.resize_rel_pos_bias_table(table, window, shape))
    (found,) = run("resample_bias", [table], *window, suffix=suffix, mode="bicubic")
    close(found, pos_embed_rel.resize_rel_pos_bias_table_simple(table, window, shape))


def test_resample_bias_keeps_its_middle():
    """The bias of a token for itself is a position of both grids."""
    table = torch.randn(13 * 13, 3)
    (found,) = run("resample_bias", [table], 12, 12)
    assert torch.equal(found[23 * 23 // 2], table[13 * 13 // 2])


@pytest.mark.parametrize("shape", [(168, 3), (144, 3), (169, 3, 1), (0, 3)])
def test_resample_bias_wants_a_table(shape):
    with pytest.raises(OpError, match="`resample_bias`"):
        run("resample_bias", [torch.zeros(shape)], 12, 12)


def batch_norm(channels):
    norm = nn.BatchNorm2d(channels, eps=1e-3)
    for tensor in (norm.weight, norm.bias, norm.running_mean):
        nn.init.normal_(tensor)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    return norm.requires_grad_(False)


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_fold_bn_is_torchs_and_computes_the_same(bias, transpose):
    layer = (nn.ConvTranspose2d if transpose else nn.Conv2d)(3, 8, 2, bias=bias).requires_grad_(False).eval()
    norm = batch_norm(8).eval()
    inputs = [layer.weight, *([layer.bias] if bias else [])]
    inputs += [norm.weight, norm.bias, norm.running_mean, norm.running_var]
    weight, shift = run("fold_bn", inputs, eps=1e-3, transpose=transpose)
    wanted = fusion.fuse_conv_bn_weights(
        layer.weight, layer.bias, norm.running_mean, norm.running_var, 1e-3, norm.weight, norm.bias, transpose
    )
    close(weight, wanted[0])
    close(shift, wanted[1])
    image = torch.randn(2, 3, 5, 5)
    before = norm(layer(image))
    after = (nn.functional.conv_transpose2d if transpose else nn.functional.conv2d)(image, weight, shift)
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("layer", [nn.Conv1d(4, 6, 3), nn.ConvTranspose1d(4, 6, 3), nn.Linear(4, 6)], ids=str)
@pytest.mark.parametrize("dim", [0, 1, -1, -2, None])
def test_weight_norm_is_torchs_in_both_spellings(layer, dim):
    new = parametrizations.weight_norm(type(layer)(*([4, 6] if isinstance(layer, nn.Linear) else [4, 6, 3])), dim=dim)
    with torch.no_grad():
        new.parametrizations.weight.original0.mul_(1.7)
    state = new.state_dict()
    pair = [state["parametrizations.weight.original1"], state["parametrizations.weight.original0"]]
    close(run("weight_norm", pair, dim=dim)[0], new.weight.detach())
    if dim in (0, 1, None):  # the old one does not know negative dimensions
        with pytest.warns(FutureWarning, match="weight_norm"):
            old = old_weight_norm(type(layer)(*([4, 6] if isinstance(layer, nn.Linear) else [4, 6, 3])), dim=dim)
        close(run("weight_norm", [old.weight_v.detach(), old.weight_g.detach()], dim=dim)[0], old.weight.detach())


def test_lora_with_alpha_in_a_tensor():
    base, a, b = torch.randn(6, 4), torch.randn(2, 4), torch.randn(6, 2)
    wanted = run("lora", [base, a, b], alpha=3.0)[0]
    for alpha in (torch.tensor(3.0), torch.tensor([3.0], dtype=torch.float16)):
        assert torch.equal(run("lora", [base, a, b, alpha])[0], wanted)
    for inputs, options in (([base, a, b], {}), ([base, a, b, torch.ones(2)], {}), ([base, a, b, a], {"alpha": 1})):
        with pytest.raises(OpError, match="`lora`"):
            run("lora", inputs, **options)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("shape", [(12, 7), (6, 3, 5), (8, 3, 3, 3)])
def test_low_rank_is_the_nearest_and_merges_again(shape, dtype):
    """As near as the singular values that are left out say; whole where the rank is."""
    tensor = torch.randn(shape).to(dtype)
    matrix = tensor.flatten(1).double()
    values = torch.linalg.svdvals(matrix)
    for rank in (1, 2, min(matrix.shape)):
        a, b = run("low_rank", [tensor], rank)
        assert a.dtype == b.dtype == dtype
        product = b.double().flatten(1) @ a.double().flatten(1)
        missing = values[rank:].square().sum().sqrt().item()
        eps = 20 * torch.finfo(torch.float32 if dtype == torch.float64 else dtype).eps
        assert torch.linalg.norm(product - matrix).item() == pytest.approx(missing, abs=eps * float(values[0]))
        largest = a.flatten(1).gather(1, a.flatten(1).abs().argmax(1, keepdim=True))
        assert bool((largest > 0).all())
        again = run("low_rank", [tensor], rank)
        assert torch.equal(a, again[0])
        assert torch.equal(b, again[1])
        (merged,) = run("lora", [torch.zeros_like(tensor), a, b], alpha=rank)
        assert merged.shape == tensor.shape


def test_rotary_halves_are_einops_and_back():
    """Meta's interleaved pairs to transformers' halves, as its conversion script writes it; and with grouped heads."""
    for heads in (4, 2):
        weight = torch.randn(heads * 8, 16)
        pairs = {"h": heads, "two": 2}
        (found,) = run("rearrange", [weight], "(h d two) e -> (h two d) e", **pairs)
        assert torch.equal(found, weight.view(heads, 4, 2, 16).transpose(1, 2).reshape(heads * 8, 16))
        assert torch.equal(found, einops.rearrange(weight, "(h d two) e -> (h two d) e", **pairs))
        (back,) = run("rearrange", [found], "(h two d) e -> (h d two) e", **pairs)
        assert torch.equal(back, weight)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_small_floats_are_added_up_in_float32_and_rounded_once(dtype):
    many = [torch.randn(50).to(dtype) for _ in range(33)]
    exact = torch.stack(many).double()
    assert torch.equal(run("mean", many)[0], exact.mean(0).to(dtype))
    assert torch.equal(run("sum", many)[0], exact.sum(0).to(dtype))
    assert torch.equal(run("shift", [many[0]], 0.3)[0], (many[0].float() + 0.3).to(dtype))
    assert torch.equal(run("scale", [many[0]], 0.3)[0], (many[0].float() * 0.3).to(dtype))
    assert torch.equal(run("exp", [many[0]])[0], many[0].float().exp().to(dtype))


def test_logarithms():
    tensor = torch.rand(50) + 0.1
    close(run("exp", run("log", [tensor]))[0], tensor)
    with pytest.raises(OpError, match=r"-1\.0 has no logarithm"):
        run("log", [torch.tensor([2.0, -1.0, -3.0])])
    with pytest.raises(OpError, match=r"100\.0 is too large for float32"):
        run("exp", [torch.tensor([2.0, 100.0])])
    assert run("exp", [torch.tensor([float("inf")])])[0].isinf().all()
