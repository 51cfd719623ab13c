"""How version_0_1/ was made: files, checkpoints and results of the code at version 0.1.

    python tests/golden/make_version_0_1.py [FOLDER]             write into an empty folder
    python tests/golden/make_version_0_1.py --compare [FOLDER]   are the bits still the same?

FOLDER is version_0_1/ by default.  --compare repeats all trainings, resumes the checkpoints, and
reads and writes the files.  It prints a line for each, and exits with 1 if one differs.  The bits
depend on the machine (FMA, BLAS).  To compare two commits, write a folder with one commit and
compare it with the other, on the same machine.  The input texts are always those of version_0_1/.

    text.txt, labelled.txt        the texts for training
    words.*, glove.txt, fasttext.*, softmax.bin, hs.bin, *.index, corpus/, encoder/, bert/    files
    *.state                       checkpoints of interrupted runs
    results.npz, results.json     numbers and words: "training/W", "file/vectors"
"""
import contextlib
import filecmp
import json
import shutil
import sys
import tempfile
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))     # the code beside this script

import numpy as np
from version_0_1_files import ANSWERS, WRITERS, save_first
from version_0_1_trainings import (
    LABELLED,
    STATES,
    STOPPED,
    TEXT,
    TRAININGS,
    VERSION_0_1,
    State,
    checkpoint_name,
)

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.safetensors import CHECKSUM, read_safetensors, write_safetensors
from scratch_embed.worlds.corpora import corpus_path
from scratch_embed.worlds.labelled import reviews

ROUNDING = 2.0 ** -24              # the relative error of one float32 rounding


# ---- making --------------------------------------------------------------------------------------

def make(folder):
    """Write all files into an empty folder, which is created if it does not exist."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(path not in (TEXT, LABELLED) for path in folder.iterdir()):
        raise SystemExit(f"{folder} is not empty")
    if not TEXT.exists():
        write_texts()
    save_first(folder)
    for name, saves in STOPPED.items():
        stop_after(saves, TRAININGS[name], folder / checkpoint_name(name))
    save_results(folder, {name: ask(folder, name) for name in [*TRAININGS, *ANSWERS]})


def write_texts():
    """Write text.txt, 80 lines in documents of ten, and labelled.txt, 60 lines."""
    lines = corpus_path("words-easy.txt").read_text().splitlines()[:80]
    TEXT.write_text("".join("\n" * (n % 10 == 0 < n) + line + "\n" for n, line in enumerate(lines)))
    LABELLED.write_text("".join(line + "\n" for line in reviews(0, 60, two_labels=True).lines))


def stop_after(saves, train, path):
    """Train with a checkpoint after every chunk or step; interrupt after `saves` checkpoints."""
    done = []

    def write_and_count(*arguments):
        write_safetensors(*arguments)
        done.append(1)
        if len(done) == saves:
            raise KeyboardInterrupt
    try:
        with contextlib.ExitStack() as patches:
            for module in STATES:
                patches.enter_context(mock.patch.object(module, "write_safetensors",
                                                        write_and_count))
            train(state=State(path, resume=False, every=0))
    except KeyboardInterrupt:
        return
    raise SystemExit(f"{path}: the training ended before {saves} saves")


# ---- results -------------------------------------------------------------------------------------

def ask(folder, name):
    """The results of a training or the answers of a file, now: {key: array}."""
    return TRAININGS[name]() if name in TRAININGS else ANSWERS[name](folder)


def save_results(folder, results):
    """Write numbers to results.npz and words to results.json."""
    every = {f"{name}/{key}": value for name, found in results.items()
             for key, value in found.items()}
    words = {key: value.tolist() for key, value in every.items() if value.dtype.kind == "U"}
    np.savez(folder / "results.npz", **{key: every[key] for key in every if key not in words})
    (folder / "results.json").write_text(json.dumps(words, indent=0) + "\n")


def load_results(folder):
    """The saved results: {name of training or file: {key: array}}."""
    with np.load(folder / "results.npz", allow_pickle=False) as numbers:
        every = dict(numbers)
    words = json.loads((folder / "results.json").read_text())
    every |= {key: np.array(value) for key, value in words.items()}
    results = {}
    for key, value in every.items():
        name, _, part = key.partition("/")
        results.setdefault(name, {})[part] = value
    return results


# ---- comparing -----------------------------------------------------------------------------------

def compare(folder):
    """Compare all recorded results with those of the present code.  -> how many differ."""
    recorded = load_results(folder)
    with tempfile.TemporaryDirectory() as temporary:
        temporary = Path(temporary)

        def again(name):
            return differences(ask(folder, name), recorded[name])

        def resumed(name):
            state = State(shutil.copy(folder / checkpoint_name(name), temporary))
            return differences(TRAININGS[name](state=state), recorded[name])

        def written(name):
            to = temporary / f"{name} again"
            to.mkdir()
            WRITERS[name](folder, to)
            return different_files(folder, to)
        return (sum(report(name, again) for name in [*TRAININGS, *ANSWERS])
                + sum(report(name, resumed, ", resumed") for name in STOPPED)
                + sum(report(name, written, ", written again") for name in WRITERS))


def report(name, compared, how=""):
    """Print one line of the comparison.  -> whether there is a difference.

    An exception counts as a difference, except the error that refuses a checkpoint of version 0.1.
    """
    try:
        found = compared(name)
    except Exception as error:
        if isinstance(error, FormatError) and "written by version 0.1" in str(error):
            print(f"{name + how:45} refused: written by version 0.1", flush=True)
            return False
        found = [f"{type(error).__name__}: {error}"]
    print(f"{name + how:45} {'; '.join(found) or 'equal bits'}", flush=True)
    return bool(found)


def differences(found, recorded):
    """Descriptions of the arrays that are not equal bit for bit."""
    messages = [f"{key} is missing or new" for key in sorted(found.keys() ^ recorded.keys())]
    for key in sorted(found.keys() & recorded.keys()):
        x, y = found[key], recorded[key]
        if (x.shape, x.dtype) != (y.shape, y.dtype):
            messages.append(f"{key}: {x.dtype} {x.shape} for {y.dtype} {y.shape}")
        elif x.tobytes() != y.tobytes():
            messages.append(f"{key} differs" + (
                f" by up to {roundings(x, y):.3g} float32 roundings of its largest number"
                if x.dtype.kind == "f" else ""))
    return messages


def roundings(x, y):
    """The largest difference of two arrays, in roundings of the largest number in y."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.abs(x.astype(np.float64) - y).max() / (ROUNDING * np.abs(y).max()))


def different_files(folder, to):
    """Descriptions of the files in `to` that are missing or different in `folder`.

    Version 0.1 wrote no checksums, so those in `to` are left out.
    """
    names = [path.relative_to(to) for path in sorted(to.rglob("*")) if path.is_file()]
    assert names, f"nothing was written to {to}"
    for path in [to / name for name in names]:
        if CHECKSUM.encode() in path.read_bytes():
            write_safetensors(path, *read_safetensors(path))
    _, differ, missing = filecmp.cmpfiles(folder, to, names, shallow=False)
    return [f"{name} has other bytes" for name in differ] + [f"{name} is new" for name in missing]


if __name__ == "__main__":
    arguments = sys.argv[1:]
    comparing = arguments[:1] == ["--compare"]
    chosen = Path(*arguments[comparing:]) if len(arguments) > comparing else VERSION_0_1
    if comparing:
        sys.exit(min(1, compare(chosen)))
    make(chosen)
