"""WhisperEncoder: encode(sounds) -> (N, D), with folders that transformers reads and writes.

Bytes     config.json, see FIELDS; model.safetensors, see NAMES and transformer/checkpoint.py;
          preprocessor_config.json, see multimodal/audio.py
Differs   Folders of WhisperModel, WhisperEncoder, WhisperForConditionalGeneration and
          WhisperForAudioClassification are read; the tensors of their decoders and heads are
          ignored, by name.
          save() writes the encoder alone, for WhisperForAudioClassification(...).encoder.
          AutoModel reads it too, and gives it a decoder without layers.
          A sound longer than 30 s is encoded in parts of 30 s; transformers drops what is beyond.
Read next multimodal/whisper.py (the encoder), multimodal/audio.py (spectrograms)
"""
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scratch_embed.multimodal.audio import (
    FILE,
    PROCESSOR_FILE,
    Sound,
    WhisperAudio,
    load_sound,
    log_mel_whisper,
    read_whisper_audio,
    write_whisper_audio,
)
from scratch_embed.multimodal.whisper import (
    STRIDE,
    Config,
    infer,
    new_params,
    sound_frames,
    tensors,
)
from scratch_embed.nn.params import Params
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.folders import replaced_together
from scratch_embed.numerics.json_files import Fields, show
from scratch_embed.numerics.workers import parallel_map
from scratch_embed.transformer.checkpoint import (
    Renames,
    Weights,
    open_weights,
    read_tensors,
    write_model,
)
from scratch_embed.transformer.config_fields import (
    ACTIVATIONS,
    activation_name,
    check_fields,
    read_sizes,
)

TOKENS = 1_024                     # frames that are encoded together

# ---- names and config.json -----------------------------------------------------------------------

NAMES = Renames({                  # {ours: the original's}, see transformer/checkpoint.py
    "conv1": "conv1",
    "conv2": "conv2",
    "positions.weight": "embed_positions.weight",
    "layers.*.attn_norm": "layers.*.self_attn_layer_norm",
    "layers.*.attn.q": "layers.*.self_attn.q_proj",
    "layers.*.attn.k": "layers.*.self_attn.k_proj",
    "layers.*.attn.v": "layers.*.self_attn.v_proj",
    "layers.*.attn.o": "layers.*.self_attn.out_proj",
    "layers.*.mlp_norm": "layers.*.final_layer_norm",
    "layers.*.mlp.up": "layers.*.fc1",
    "layers.*.mlp.down": "layers.*.fc2",
    "norm": "layer_norm"},
    prefix="encoder.")
# of the names in folders of WhisperForConditionalGeneration, of the others, and of WhisperEncoder
PREFIXES = "model.encoder.", "encoder.", ""
# tensors that are not the encoder's: the decoder, the word predictor and heads of classifiers
OTHERS = ("model.decoder.", "decoder.", "proj_out.", "projector.", "classifier.", "layer_weights")

FIELDS = {"mels": "num_mel_bins", "dim": "d_model", "layers": "encoder_layers",
          "heads": "encoder_attention_heads", "ff": "encoder_ffn_dim",
          "positions": "max_source_positions"}
UNUSED = (                         # fields that do not change the encoder's output
    "decoder_layers", "decoder_attention_heads", "decoder_ffn_dim", "decoder_layerdrop",
    "vocab_size", "max_target_positions", "median_filter_width", "forced_decoder_ids",
    "is_encoder_decoder",
    # training: dropout and SpecAugment
    "dropout", "activation_dropout", "encoder_layerdrop", "init_std", "apply_spec_augment",
    "mask_time_prob", "mask_time_length", "mask_time_min_masks", "mask_feature_prob",
    "mask_feature_length", "mask_feature_min_masks",
    # heads of classifiers
    "use_weighted_layer_sum", "classifier_proj_size",
    # multiplies the embeddings of words in the decoder; the encoder ignores it
    "scale_embedding")


def read_config(path: str | os.PathLike) -> Config:
    """Read a Config from a config.json.

    Raises FormatError with the field, the expected values and the value found.
    """
    fields = Fields.read(path)
    fields.one_of("model_type", ["whisper"])
    check_fields(fields, (*FIELDS.values(), *UNUSED, "model_type", "activation_function",
                          "num_hidden_layers"))
    sizes = read_sizes(fields, FIELDS)
    fields.one_of("num_hidden_layers", [sizes["layers"]], sizes["layers"])     # a second name
    if sizes["dim"] % 2 or sizes["dim"] < 4:
        raise fields.fault("d_model", "an even number of at least 4", show(sizes["dim"]))
    activation = ACTIVATIONS[fields.one_of("activation_function", ACTIVATIONS, "gelu")]
    return Config(**sizes, activation=activation)


def config_fields(config: Config) -> dict:
    """The fields of a config.json.  The decoder has no layers and one token.

    Raises ValueError for an activation that config.json has no name for, or another eps.
    """
    if config.eps != Config().eps:
        raise ValueError(f"eps={config.eps}: config.json has no field for it; expected "
                         f"{Config().eps}")
    return {"architectures": ["WhisperForAudioClassification"], "model_type": "whisper",
            **{theirs: getattr(config, ours) for ours, theirs in FIELDS.items()},
            "activation_function": activation_name(config.activation),
            "decoder_layers": 0, "decoder_attention_heads": config.heads,
            "decoder_ffn_dim": config.ff, "vocab_size": 1, "max_target_positions": 1,
            "pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0, "decoder_start_token_id": 0,
            "begin_suppress_tokens": None}


def encoder_weights(weights: Weights) -> tuple[Weights, str]:
    """The entries of the encoder's tensors, and the prefix of their names."""
    prefix = next((prefix for prefix in PREFIXES if prefix + "conv1.weight" in weights.entries),
                  NAMES.prefix)
    entries = {name: entry for name, entry in weights.entries.items()
               if not name.startswith(OTHERS)}
    return Weights(weights.path, entries, {name: weights.files[name] for name in entries}), prefix


# ---- the model -----------------------------------------------------------------------------------

@dataclass(frozen=True, eq=False, repr=False)
class WhisperEncoder:
    """An encoder of sounds: its sizes, its parameters and the settings of its spectrograms.

    >>> model = WhisperEncoder.new(Config(mels=8, dim=16, positions=50),
    ...                            WhisperAudio(mels=8, seconds=1))
    >>> model
    WhisperEncoder(2 layers x 16, 1 s at 16,000 Hz)
    >>> model.encode([(np.ones(800, np.float32), 8000)]).shape
    (1, 16)
    """

    config: Config
    p: Params
    audio: WhisperAudio

    def __repr__(self) -> str:
        return (f"{type(self).__name__}({self.config.layers} layers x {self.dim}, "
                f"{self.audio.seconds} s at {self.audio.rate:,} Hz)")

    @classmethod
    def new(cls, config: Config, audio: WhisperAudio, seed: int = 1) -> "WhisperEncoder":
        """An encoder with random parameters.  Raises ValueError if the two do not fit."""
        if problem := misfit(config, audio):
            raise ValueError(f"audio: {problem}")
        return cls(config, new_params(config, seed), audio)

    @property
    def dim(self) -> int:
        """D, the dimension of a vector."""
        return self.config.dim

    def encode(self, sounds: Sequence[Sound], layer: int | None = None, workers: int = 1
               ) -> np.ndarray:
        """One vector for each sound: the mean of its frames' vectors.  -> (N, D)

        sounds   paths of WAV files, or (samples, rate); any rate; channels are averaged
        layer    as in infer()
        workers  threads; each encodes some of the sounds
        Raises   FormatError, ValueError as load_sound() does
        """
        vectors = np.empty((len(sounds), self.dim), self.p.flat.dtype)
        size = max(1, TOKENS // self.config.positions)

        def encode_group(start):
            for n, x in enumerate(self.features(sounds[start:start + size], layer), start):
                vectors[n] = x.mean(0)
        with parallel_map(workers) as map:
            map(encode_group, range(0, len(sounds), size))
        return vectors

    def features(self, sounds: Sequence[Sound], layer: int | None = None) -> list[np.ndarray]:
        """The vectors of each sound's frames, 20 ms each in Whisper.  -> N arrays (frames, D)

        The frames of the padding are left out.  Arguments and errors: as encode().
        """
        M, n = self.audio.filters(), self.audio.samples
        waves = [load_sound(sound, self.audio.rate) for sound in sounds]
        parts = [(which, x[start:start + n]) for which, x in enumerate(waves)
                 for start in range(0, len(x), n)]
        found: list[list[np.ndarray]] = [[] for _ in waves]
        size = max(1, TOKENS // self.config.positions)
        for at in range(0, len(parts), size):
            batch = parts[at:at + size]
            y = np.stack([log_mel_whisper(x, self.audio, M) for _, x in batch])
            vectors = infer(y.astype(self.p.flat.dtype), self.p, self.config, layer)
            for (which, x), of_frames in zip(batch, vectors):
                found[which].append(of_frames[:sound_frames(len(x), self.audio)])
        return [np.concatenate(frames) for frames in found]

    @classmethod
    def load(cls, folder: str | os.PathLike, dtype: type = np.float32) -> "WhisperEncoder":
        """Load the encoder of a folder of any Whisper model.

        Without a file of the feature extractor's settings, they are the released models'.
        Raises FormatError if a file is missing or damaged, or if two files contradict each other.
        """
        path = os.path.join(folder, "config.json")
        config = read_config(path)
        weights, prefix = encoder_weights(open_weights(folder, config.layers))
        p = read_tensors(weights, tensors(config), NAMES._replace(prefix=prefix),
                         f"a Whisper encoder of {config.layers} layers", dtype)
        has_settings = any(os.path.exists(os.path.join(folder, name))
                           for name in (FILE, PROCESSOR_FILE))
        audio = (read_whisper_audio(folder) if has_settings else
                 WhisperAudio(mels=config.mels))
        if problem := misfit(config, audio):
            source = f"from {FILE}" if has_settings else f"by default: {FILE} is missing"
            raise FormatError(path, "num_mel_bins, max_source_positions", f"{problem}, {source}")
        return cls(config, p.freeze(["positions.weight"]), audio)

    def save(self, folder: str | os.PathLike) -> None:
        """Write config.json, model.safetensors and preprocessor_config.json.

        Raises ValueError for weights that are not finite, or another eps than transformers has.
        """
        fields = config_fields(self.config)
        with replaced_together(folder, "config.json") as temporary:
            write_whisper_audio(temporary, self.audio)
            write_model(temporary, self.p, tensors(self.config), NAMES, fields, prefixed=True)


def misfit(config: Config, audio: WhisperAudio) -> str:
    """What is wrong between the sizes of a model and of its spectrograms; "" if they fit."""
    expected = config.mels, STRIDE * config.positions
    if (audio.mels, audio.frames) == expected:
        return ""
    return (f"expected spectrograms of {expected[0]} mels and {expected[1]} frames, as the model "
            f"has, got {audio.mels} and {audio.frames}")
