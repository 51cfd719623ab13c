"""Whisper's spectrograms, encoding and training with this package and with transformers on PyTorch.

    python bench/multimodal/whisper.py [spectrograms encoding training start] [--rounds 5]

Both sides have the same architecture, random weights and the same inputs.  The sides take turns, A
B A B, in one process; medians of the rounds, and ratios round by round.  `spectrograms` computes
the log-mel spectrograms of sounds of 30 s and of 5 s, one by one, by one thread of each side;
transformers' extractor computes in float32 with torch, this package in float64.  `encoding` goes
from samples to a vector for each sound of 30 s, with the sizes of Whisper's tiny and base models.
`training` takes steps of multimodal/whisper_training.py on sounds of one second; PyTorch's are
eager, with fused AdamW.  `start` runs each side in a new process: seconds and peak memory from its
start to the first vector of a sound, from a saved folder.
"""
import argparse
import os
import sys
import tempfile
import time

import numpy as np

sys.path.insert(1, os.path.join(os.path.dirname(__file__), ".."))
from side_by_side import choose, in_a_process, median, peak_mib, ratios, script, spread, take_turns

from scratch_embed.multimodal.audio import WhisperAudio, log_mel_whisper
from scratch_embed.multimodal.whisper import Config
from scratch_embed.multimodal.whisper_encoder import WhisperEncoder, config_fields
from scratch_embed.multimodal.whisper_training import Labelled, train
from scratch_embed.nn.optim import Optim
from scratch_embed.numerics.blas import one_blas_thread
from scratch_embed.training.session import RunOptions

THREADS, STEPS, SOUNDS, CLASSES = 2, 10, 4, 9          # STEPS: of training, in a round
RATE = 16_000
RELEASED = {"tiny (384 wide, 4 layers)": Config(80, 384, 4, 6, 1536, 1500),
            "base (512 wide, 6 layers)": Config(80, 512, 6, 8, 2048, 1500)}
TRAINED = {"64 wide, 2 layers, 32 sounds": (Config(40, 64, 2, 4, 256, 50), 32),
           "256 wide, 4 layers, 32 sounds": (Config(80, 256, 4, 4, 1024, 50), 32)}


def draw(seconds, count=SOUNDS):
    """Noise, count sounds of so many seconds."""
    rng = np.random.default_rng(0)
    return [0.1 * rng.standard_normal(int(RATE * seconds), np.float32) for _ in range(count)]


def original(config):
    """transformers' WhisperEncoder with random weights."""
    import torch
    import transformers
    from transformers.models.whisper.modeling_whisper import WhisperEncoder
    torch.set_num_threads(THREADS)
    return WhisperEncoder(transformers.WhisperConfig(**config_fields(config)))


def report(name, sides, rounds, seconds):
    """Time sides in turn; print seconds of sound per second, and the last side over the first.

    seconds: of sound that a call processes
    """
    taken = take_turns(sides, rounds, warmup_rounds=1)
    (ours, *_), (*_, peer) = taken, taken
    print(f"  {name}")
    for side, times in taken.items():
        speeds = [seconds / s for s in times]
        print(f"    {side:22} {median(speeds):9,.0f} s of sound a second   {spread(speeds, 0)}")
    print(f"    {peer} / {ours}: {ratios(taken[peer], taken[ours])}", flush=True)


# ---- sections ------------------------------------------------------------------------------------

def spectrograms(rounds, count=8):
    for seconds in (30, 5):
        report(f"spectrograms of sounds of {seconds} s, one thread",
               sides_of_spectrograms(draw(seconds, count)), rounds, count * seconds)


def sides_of_spectrograms(sounds):
    import torch
    from transformers import WhisperFeatureExtractor
    extractor, audio = WhisperFeatureExtractor(), WhisperAudio()
    M = audio.filters()

    def ours():
        with one_blas_thread():
            for x in sounds:
                log_mel_whisper(x, audio, M)

    def theirs():
        torch.set_num_threads(1)
        for x in sounds:
            extractor(x, sampling_rate=RATE)
        torch.set_num_threads(THREADS)
    return {"ours": ours, "transformers, torch": theirs}


def encoding(rounds):
    for name, config in RELEASED.items():
        report(f"vectors of {SOUNDS} sounds of 30 s, {name}, {THREADS} threads",
               sides_of_encoding(config, draw(30)), rounds, 30 * SOUNDS)


def sides_of_encoding(config, sounds):
    import torch
    from transformers import WhisperFeatureExtractor
    ours, theirs = WhisperEncoder.new(config, WhisperAudio()), original(config).eval()
    extractor, given = WhisperFeatureExtractor(), [(x, RATE) for x in sounds]

    def encode_theirs():
        with torch.inference_mode():
            for x in sounds:
                inputs = extractor(x, sampling_rate=RATE, return_tensors="pt")
                theirs(inputs.input_features).last_hidden_state.mean(1)
    return {"ours": lambda: ours.encode(given, workers=THREADS), "transformers": encode_theirs}


def training(rounds):
    for name, (config, size) in TRAINED.items():
        report(f"training on sounds of 1 s, {name} a step", sides_of_training(config, size),
               rounds, STEPS * size)


def sides_of_training(config, size):
    rng = np.random.default_rng(0)
    y = rng.standard_normal((4 * size, 100, config.mels)).astype(np.float32)
    data = Labelled(y, rng.integers(0, CLASSES, (len(y), 50)))
    model = WhisperEncoder.new(config, WhisperAudio(mels=config.mels, seconds=1))

    def ours(workers):
        train(data, model, CLASSES, STEPS, size, Optim(1e-3), RunOptions(workers))
    return {f"ours, {THREADS} workers": lambda: ours(THREADS), "ours, 1 worker": lambda: ours(1),
            f"PyTorch, {THREADS} threads": theirs_training(config, size, data)}


def theirs_training(config, size, data):
    """A function that takes STEPS steps of transformers' encoder in eager mode."""
    import torch
    model = original(config).train()
    head = torch.nn.Linear(config.dim, CLASSES)
    learned = [w for w in [*model.parameters(), *head.parameters()] if w.requires_grad]
    optimizer = torch.optim.AdamW(learned, 1e-3, weight_decay=0.01, fused=True)
    y, labels = torch.tensor(data.spectrograms).transpose(1, 2), torch.tensor(data.labels)

    def steps():
        for step in range(STEPS):
            rows = slice(step % 4 * size, (step % 4 + 1) * size)
            optimizer.zero_grad()
            logits = head(model(y[rows]).last_hidden_state)
            torch.nn.functional.cross_entropy(logits.flatten(0, 1),
                                              labels[rows].flatten()).backward()
            torch.nn.utils.clip_grad_norm_(learned, 1.0)
            optimizer.step()
    return steps


# ---- from the start ------------------------------------------------------------------------------

def start(rounds):
    print("from the start of a process to the first vector of a sound of 30 s, tiny")
    with tempfile.TemporaryDirectory() as folder:
        WhisperEncoder.new(RELEASED["tiny (384 wide, 4 layers)"], WhisperAudio()).save(folder)
        found = {side: [in_a_process([side, folder, time.time()]) for _ in range(rounds)]
                 for side in ("ours", "transformers")}
    for side, runs in found.items():
        seconds, mib = zip(*runs)
        print(f"  {side:14} {median(seconds):6.2f} s ({spread(seconds, 2)}), peak "
              f"{median(mib):.0f} MiB", flush=True)


def worker(job):
    """job: (side, folder, when the process was started) -> seconds since then, peak MiB."""
    side, folder, started = job
    x = draw(30, 1)[0]
    if side == "ours":
        WhisperEncoder.load(folder).encode([(x, RATE)])
    else:
        import torch
        from transformers import WhisperFeatureExtractor, WhisperForAudioClassification
        model = WhisperForAudioClassification.from_pretrained(folder).eval()
        inputs = WhisperFeatureExtractor.from_pretrained(folder)(x, sampling_rate=RATE,
                                                                 return_tensors="pt")
        with torch.inference_mode():
            model.encoder(inputs.input_features).last_hidden_state.mean(1)
    return time.time() - started, peak_mib()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    sections = {"spectrograms": spectrograms, "encoding": encoding, "training": training,
                "start": start}
    arguments = choose(parser, sections)
    for section in arguments.sections:
        sections[section](arguments.rounds)


if __name__ == "__main__":
    script(main, worker)
