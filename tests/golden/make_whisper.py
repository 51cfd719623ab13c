"""How whisper.safetensors was made: by transformers 5.24 and torch 2.13, with weights drawn here.

    python -m tests.golden.make_whisper

The weights are drawn here, for the reasons given in make_bert.py.  The shapes are unusual on
purpose: three heads, 11 mels, an odd number of positions.

    weight.NAME            float32         NAME: the name in transformers' WhisperEncoder
    grad.NAME              float64         gradients of Σ push · (the output), by torch in float64
    mel (N, T, mels)       float32         the input, time before mels
    grad_mel               float64         its gradient
    push (N, T', D)        float64
    state_0 .. state_L     float32, (N, T', D): hidden_states of transformers
    output64               float64         the last of them
The metadata have transformers' config.json.
"""
import json
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
CONFIG = {"num_mel_bins": 11, "d_model": 18, "encoder_layers": 2, "encoder_attention_heads": 3,
          "encoder_ffn_dim": 26, "max_source_positions": 13, "activation_function": "gelu_new",
          "decoder_layers": 1, "decoder_attention_heads": 3, "decoder_ffn_dim": 8, "vocab_size": 9,
          "max_target_positions": 4, "pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0,
          "decoder_start_token_id": 1, "begin_suppress_tokens": None}


def original(kind, config, seed):
    """A transformers model in evaluation mode with weights of order 1; its sinusoids stay."""
    import torch
    import transformers
    rng = np.random.default_rng(seed)
    config = transformers.WhisperConfig(**config)
    config._attn_implementation = "eager"
    model = getattr(transformers, kind)(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "encoder.embed_positions" in name:
                continue
            x = rng.standard_normal(weight.shape)
            if name.endswith("bias"):
                x = 0.3 * x
            elif x.ndim == 1:                              # a norm
                x = 1 + 0.3 * x
            else:                                          # (out, in) or (out, in, width)
                x = x * np.prod(weight.shape[1:]) ** -0.5
            weight.copy_(torch.tensor(x.astype(np.float32)))
    return model


def encoder(model):
    return model.encoder if hasattr(model, "encoder") else model.model.encoder


def states(model, mel):
    """hidden_states of transformers' encoder.  mel (N, T, mels) -> L + 1 tensors (N, T', D)"""
    return encoder(model)(mel.transpose(1, 2), output_hidden_states=True).hidden_states


def gradients(model, mel, push):
    """The output and the gradients of Σ push · output, in float64: {name: array}."""
    import torch
    model = model.double()
    model.zero_grad()
    mel = torch.tensor(mel, dtype=torch.float64, requires_grad=True)
    output = states(model, mel)[-1]
    (torch.tensor(push) * output).sum().backward()
    arrays = {"output64": output.detach().numpy(), "grad_mel": mel.grad.numpy()}
    return arrays | {"grad." + name: weight.grad.numpy()
                     for name, weight in encoder(model).named_parameters()
                     if weight.grad is not None}


def make(seed=0):
    """The arrays of the golden file, {name: array}, and its config.json."""
    import torch
    rng = np.random.default_rng([seed, 1])
    model = original("WhisperModel", CONFIG, seed)
    P = CONFIG["max_source_positions"]
    mel = rng.standard_normal((2, 2 * P, CONFIG["num_mel_bins"])).astype(np.float32)
    push = rng.standard_normal((2, P, CONFIG["d_model"]))
    arrays = {"weight." + name: weight.detach().numpy().copy()
              for name, weight in encoder(model).named_parameters()}
    with torch.no_grad():
        arrays |= {f"state_{n}": state.numpy()
                   for n, state in enumerate(states(model, torch.tensor(mel)))}
    assert 0.5 < arrays["state_2"].std() < 2
    arrays |= {"mel": mel, "push": push} | gradients(model, mel, push)
    return arrays, model.config.to_dict()


def main():
    from safetensors.numpy import save_file
    arrays, config = make()
    save_file({name: np.ascontiguousarray(x) for name, x in arrays.items()},
              HERE / "whisper.safetensors", {"config": json.dumps(config)})


if __name__ == "__main__":
    main()
