"""Verdict on a classifier of frames: is it better than the frequencies of the labels?

Equation  L = −1/M Σ log P(label_t) over the M labelled frames, with P of the model, or
          P(k) = (c_k + ½) / Σ_j (c_j + ½), c_k how often label k occurs in training
Shapes    as in multimodal/whisper_training.py
Cost      two forward passes over the data
Read next training/verdict.py (how losses become a verdict), why/speech.py (what the layers know)

A model that always answers the most frequent label may be right in many frames: a third of the toy
speech is silence.  So its accuracy stands beside that of the most frequent label.
"""
from typing import NamedTuple

import numpy as np

from scratch_embed.multimodal.whisper import infer
from scratch_embed.multimodal.whisper_encoder import TOKENS, WhisperEncoder
from scratch_embed.multimodal.whisper_training import UNLABELLED, Labelled
from scratch_embed.nn.layers import linear
from scratch_embed.nn.params import Params
from scratch_embed.nn.softmax import log_softmax
from scratch_embed.training.verdict import GROUPS, Verdict, compare


class FrameVerdict(NamedTuple):
    """The Verdict on the losses, and the share of frames that are right."""

    verdict: Verdict
    accuracy: float
    most_frequent: float           # the accuracy of the label that is most frequent in training


def of_frames(model: WhisperEncoder, head: Params, start: tuple[WhisperEncoder, Params],
              data: Labelled, counts: np.ndarray) -> FrameVerdict:
    """The verdict on a result of whisper_training.train.

    start    the encoder and a classifier before training
    data     sounds to measure on, usually others than those of training
    counts   (classes,) how often each label occurs in training
    """
    frequencies = np.log((counts + 0.5) / (counts + 0.5).sum())
    sums, right, frequent = [], 0, 0
    groups = np.array_split(np.arange(len(data.labels)), min(GROUPS, len(data.labels)))
    for group in groups:
        part = Labelled(*(array[group] for array in data))
        labels = part.labels[part.labels != UNLABELLED]
        trained, untrained = (log_probabilities(part, *pair) for pair in ((model, head), start))
        rows = np.arange(len(labels))
        sums.append([-trained[rows, labels].sum(), -untrained[rows, labels].sum(),
                     -frequencies[labels].sum(), len(labels)])
        right += int((trained.argmax(1) == labels).sum())
        frequent += int((labels == counts.argmax()).sum())
    trained, untrained, baseline, n = np.array(sums).T
    return FrameVerdict(compare(trained, baseline, untrained, n), right / n.sum(),
                        frequent / n.sum())


def log_probabilities(data: Labelled, model: WhisperEncoder, head: Params) -> np.ndarray:
    """log P of all classes in each labelled frame.  -> (M, classes) float64"""
    size = max(1, TOKENS // model.config.positions)
    found = []
    for at in range(0, len(data.labels), size):
        x = infer(data.spectrograms[at:at + size], model.p, model.config)
        labelled = data.labels[at:at + size] != UNLABELLED
        found.append(linear(x[labelled], head, "head")[0].astype(np.float64))
    return log_softmax(np.concatenate(found))[0]
