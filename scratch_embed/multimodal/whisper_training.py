"""Train Whisper's encoder to recognise what is said in each frame.

Papers    Radford et al. 2022 (the encoder); Graves & Schmidhuber 2005, "Framewise Phoneme
          Classification with Bidirectional LSTM and Other Neural Network Architectures" (the task)
Equation  L = −1/M Σ log softmax(W x_t + b)[label_t],   over the M frames of a batch that have a
          label, x_t the encoder's vector of frame t
Shapes    spectrograms (N, T, mels) float32, labels (N, T') int64, T' = 1 + ⌊(T − 1)/2⌋;
          W (classes, D)
Cost      per step, three times a forward pass of the batch
Differs   Whisper itself is trained to write the text, by a decoder, on 680,000 hours of speech.  A
          label for each frame is a simpler task, which needs no decoder.
Read next multimodal/whisper_verdict.py (is it better than label frequencies?), why/speech.py (what
          its layers know), worlds/speech.py (the toy world)

Why labels of frames?  A decoder learns which frames a letter belongs to; that takes much speech.
Where the label of each frame is known, the encoder can be trained alone, in half a minute.  A
whole sound may also have one label, a keyword or a speaker: then all its frames have it.

Gradient.  The loss is a mean over rows of one table, as in transformer/masked_lm.py: each worker
computes the sum over its sounds' frames divided by M, and the gradients of all workers add up.
"""
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.multimodal.audio import Sound, WhisperAudio, load_sound, log_mel_whisper
from scratch_embed.multimodal.whisper import STRIDE, Config, encode, infer
from scratch_embed.multimodal.whisper_encoder import WhisperEncoder
from scratch_embed.nn.layers import linear
from scratch_embed.nn.optim import AdamW, Optim, linear_warmup_decay
from scratch_embed.nn.params import Normal, Params, init_params, join, linear_tensors
from scratch_embed.nn.softmax import cross_entropy
from scratch_embed.numerics.settings import digest
from scratch_embed.training.session import RunOptions, session

UNLABELLED = -1                    # the label of a frame that takes no part in the loss


class Labelled(NamedTuple):
    """N spectrograms, and a label for each frame of the encoder, or UNLABELLED."""

    spectrograms: np.ndarray       # (N, T, mels) float32
    labels: np.ndarray             # (N, T') int64


class Trained(NamedTuple):
    """A trained encoder, its classifier of frames, and the loss of every step."""

    model: WhisperEncoder
    head: Params                   # head.weight (classes, D), head.bias (classes,)
    losses: list[float]


# ---- data ----------------------------------------------------------------------------------------

def spectrograms(sounds: Sequence[Sound], audio: WhisperAudio) -> np.ndarray:
    """The spectrograms of N sounds, padded or cut to the same length.  -> (N, T, mels) float32"""
    M = audio.filters()
    rows = [log_mel_whisper(load_sound(sound, audio.rate), audio, M) for sound in sounds]
    return np.array(rows, np.float32).reshape(-1, audio.frames, audio.mels)


def label_frames(syllables: np.ndarray) -> np.ndarray:
    """The labels of the encoder's frames from those of a spectrogram's.  (N, T) -> (N, T')

    Frame t of the encoder is centred on frame 2 t of the spectrogram.

    >>> label_frames(np.array([[7, 7, 8, 8, 9]])).tolist()
    [[7, 8, 9]]
    """
    return syllables[:, ::STRIDE]


# ---- the loss ------------------------------------------------------------------------------------

def frame_loss(batch: Labelled, p: Params, config: Config, frames: int | None = None
               ) -> tuple[float, Callable[[Params], None]]:
    """The loss of a batch, or of a worker's share of it.  -> loss, backward(g)

    frames: M, the labelled frames of the whole batch, by default those of `batch`
    """
    labelled = batch.labels != UNLABELLED                                      # (N, T')
    frames = int(labelled.sum()) if frames is None else frames
    x, back_x = encode(batch.spectrograms, p, config)                          # (N, T', D)
    logits, back_head = linear(x[labelled], p, "head")
    loss, back_loss = cross_entropy(logits, batch.labels[labelled], frames)

    def backward(g):
        dx = np.zeros_like(x)
        dx[labelled] = back_head(back_loss(), g)
        back_x(dx, g)
    return loss, backward


# ---- training ------------------------------------------------------------------------------------

def train(data: Labelled, model: WhisperEncoder, classes: int, steps: int = 300,
          batch_size: int = 32, optim: Optim = Optim(lr=2e-3), options: RunOptions = RunOptions()
          ) -> Trained:
    """Train an encoder, and a new classifier of its frames.

    model      its parameters are not changed
    classes    labels are 0 .. classes − 1, or UNLABELLED
    options    workers: each takes a share of the batch.  Equal seed and workers give equal bits.
    Raises     ValueError for labels or shapes that do not fit the model, or for a sound without a
               labelled frame; TrainingDiverged
    """
    require_data(data, model, classes)
    workers, seed, checkpoint, _ = options
    p = join(model.p, new_head(model, classes, seed))
    optimizer, grads = AdamW(p, weight_decay=optim.weight_decay), [p.like() for _ in range(workers)]
    settings = dict(steps=steps, batch_size=batch_size, **optim._asdict(), workers=workers,
                    seed=seed, classes=classes, **model.config._asdict(), audio=model.audio,
                    data=[*data], start=checkpoint and digest(*p.values()))

    with session({**p.trainable_views(), **optimizer.state()}, settings, options, steps) as run:
        for step, numbers in run.batches(len(data.labels), batch_size, steps):
            loss = train_step(data, numbers, p, model.config, grads, run.map)
            lr = linear_warmup_decay(step, steps, optim.lr, optim.warmup_ratio)
            optimizer.step(grads, lr, optim.max_grad_norm, run.map)
            run.record(loss, lr=lr)
    heads = ["head.weight", "head.bias"]
    return Trained(WhisperEncoder(model.config, p.only(set(p) - set(heads)), model.audio),
                   p.only(heads), run.losses)


def new_head(model: WhisperEncoder, classes: int, seed: int) -> Params:
    """A classifier of frames with random weights: head.weight (classes, D), head.bias."""
    return init_params(linear_tensors("head", classes, model.dim, Normal(model.dim ** -0.5)), seed,
                       model.p.flat.dtype)


def train_step(data: Labelled, numbers: np.ndarray, p: Params, config: Config, grads: list[Params],
               map: Callable) -> float:
    """Compute the loss of a batch and its gradient; each worker takes a share of the sounds.

    numbers: of the batch's sounds; grads: one for each worker, overwritten
    """
    frames = int((data.labels[numbers] != UNLABELLED).sum())
    shares = np.array_split(numbers, len(grads))

    def share_loss(worker):
        grads[worker].flat[:] = 0
        if not len(shares[worker]):
            return 0.0
        share = Labelled(*(array[shares[worker]] for array in data))
        loss, backward = frame_loss(share, p, config, frames)
        backward(grads[worker])
        return loss
    return sum(map(share_loss, range(len(grads))))


def classify(spectrograms: np.ndarray, model: WhisperEncoder, head: Params) -> np.ndarray:
    """The most probable class of each frame.  (N, T, mels) -> (N, T')"""
    x = infer(spectrograms, model.p, model.config)
    return linear(x, head, "head")[0].argmax(-1)


def require_data(data: Labelled, model: WhisperEncoder, classes: int) -> None:
    """Raise ValueError for data that do not fit the model, or each other."""
    (N, T, mels), config = data.spectrograms.shape, model.config
    shape = N, 1 + (T - 1) // STRIDE
    if mels != config.mels or shape[1] > config.positions or data.labels.shape != shape:
        raise ValueError(f"data: expected spectrograms (N, T, {config.mels}) with T at most "
                         f"{STRIDE * config.positions} and labels {shape}, got "
                         f"{data.spectrograms.shape} and {data.labels.shape}")
    if not UNLABELLED <= data.labels.min(initial=0) <= data.labels.max(initial=0) < classes:
        raise ValueError(f"labels: expected -1 to {classes - 1}, got {data.labels.min()} to "
                         f"{data.labels.max()}")
    without = (data.labels == UNLABELLED).all(1)
    if without.any() or not N:
        raise ValueError(f"labels: expected a labelled frame in each of at least 1 sound, got none "
                         f"in sound {without.argmax()}" if N else "data: expected at least 1 "
                         "sound, got 0")
