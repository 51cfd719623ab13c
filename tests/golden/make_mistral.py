"""How mistral_* and llama_*.safetensors were made: by transformers 5.24 and torch 2.13.

    python -m tests.golden.make_mistral

make_gpt2.py describes the weights, which are drawn here, and the contents of a file.  There is one
difference: in every type, transformers computes the norms, softmax and rotary angles in float32, so
its float64 model has only seven correct digits.  For float64, this script replaces the norms by
torch's RMSNorm, the attention by torch's, and the angles by float64 angles.  `hidden` (float32) is
computed by the unchanged model.
"""
import numpy as np

from tests.golden.make_gpt2 import draw_batch, draw_weights, run, run_float32, save

CASES = {                      # class, config, lengths
    "window": ("MistralForCausalLM", {
        "vocab_size": 41, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 6,
        "num_key_value_heads": 2, "intermediate_size": 20, "max_position_embeddings": 16,
        "sliding_window": 3, "rms_norm_eps": 1e-5, "rope_theta": 100.0}, [5, 1, 9, 9, 2]),
    "tied": ("MistralForCausalLM", {
        "vocab_size": 37, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 1, "head_dim": 6, "intermediate_size": 30,
        "max_position_embeddings": 16, "sliding_window": None, "rms_norm_eps": 1e-6,
        "rope_theta": 10_000.0, "tie_word_embeddings": True}, [12, 1, 4]),
    "model": ("MistralModel", {
        "vocab_size": 31, "hidden_size": 15, "num_hidden_layers": 1, "num_attention_heads": 2,
        "num_key_value_heads": 2, "head_dim": 8, "intermediate_size": 14,
        "max_position_embeddings": 16, "sliding_window": 2, "rms_norm_eps": 1e-3,
        "rope_theta": 1000.0}, [3, 3, 1, 7]),
    "llama_lm": ("LlamaForCausalLM", {
        "vocab_size": 29, "hidden_size": 15, "num_hidden_layers": 1, "num_attention_heads": 3,
        "num_key_value_heads": 1, "head_dim": 4, "intermediate_size": 12,
        "max_position_embeddings": 16, "rms_norm_eps": 1e-5, "rope_theta": 500.0,
        "attention_bias": True, "mlp_bias": True}, [6, 1, 2]),
    "llama_model": ("LlamaModel", {
        "vocab_size": 23, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "intermediate_size": 10, "max_position_embeddings": 16,
        "rms_norm_eps": 1e-6, "rope_theta": 10_000.0}, [1, 9, 4]),
}


def original(kind, config, attention="eager"):
    """A new transformers model in evaluation mode, and its config.json."""
    import transformers
    theta = config["rope_theta"]
    config = {name: value for name, value in config.items() if name != "rope_theta"}
    family = transformers.LlamaConfig if kind.startswith("Llama") else transformers.MistralConfig
    config = family(
        **config, rope_parameters={"rope_type": "default", "rope_theta": theta})
    config._attn_implementation = attention
    return getattr(transformers, kind)(config).eval(), config.to_dict()


def in_float64(model, theta):
    """The model with norms and rotary angles, too, computed in float64."""
    import torch

    class Rotary(torch.nn.Module):
        def forward(self, x, position_ids):
            d = model.config.head_dim
            angles = position_ids[..., None].double() * theta ** (
                -torch.arange(0, d, 2).double() / d)
            angles = torch.cat([angles, angles], -1)
            return angles.cos(), angles.sin()

    def float64_norm(norm):
        new = torch.nn.RMSNorm(norm.weight.shape, eps=norm.variance_epsilon)
        new.weight = norm.weight
        return new
    body = model.base_model
    body.rotary_emb, body.norm = Rotary(), float64_norm(body.norm)
    for layer in body.layers:
        layer.input_layernorm = float64_norm(layer.input_layernorm)
        layer.post_attention_layernorm = float64_norm(layer.post_attention_layernorm)
    return model.double()


def make(kind, config, lengths, seed):
    """The arrays of one golden file, {name: array}, and its config.json."""
    rng = np.random.default_rng(seed)
    model, fields = original(kind, config)
    draw_weights(model, rng, inputs_axis=1)
    batch = draw_batch(config["vocab_size"], lengths, rng)
    weights = {"weight." + name: weight.detach().numpy().copy()
               for name, weight in model.named_parameters()}
    same, _ = original(kind, config, "sdpa")
    same.load_state_dict(model.state_dict())
    return batch | weights | run_float32(model, batch) | run(
        in_float64(same, config["rope_theta"]), batch, rng), fields


def main():
    for seed, (name, (kind, config, lengths)) in enumerate(CASES.items()):
        save(name if "llama" in name else f"mistral_{name}", *make(kind, config, lengths, seed))


if __name__ == "__main__":
    main()
