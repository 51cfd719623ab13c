"""The properties of @kernel.  Tests of the cache run a new process on a copy of the package."""
import itertools
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from numba import config

from scratch_embed.numerics.kernel import kernel

PACKAGE = Path(__file__).parents[2] / "scratch_embed"

CALLEE = """
from scratch_embed.numerics.kernel import kernel

@kernel
def one(x):
    return x + 1
"""
CALLER = """
from scratch_embed.numerics.kernel import kernel
from scratch_embed.callee import one

@kernel
def two(x):
    return one(one(x))
"""
# prints two(0), and how often compiled code was loaded from the cache
SHOW = """
from scratch_embed.caller import two
print(two(0), sum(two.stats.cache_hits.values()) if hasattr(two, "stats") else "no JIT")
"""


@pytest.fixture
def copy(tmp_path):
    """A copy of the package with two additional kernels; `two` calls `one`."""
    copy_package(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A copy of the package with the two kernels and their compiled code on disk."""
    folder = tmp_path_factory.mktemp("compiled")
    copy_package(folder)
    assert run(folder) == ["2", "0"]
    return folder


def copy_package(folder):
    shutil.copytree(PACKAGE, folder / "scratch_embed", ignore=shutil.ignore_patterns("*cache*"))
    (folder / "scratch_embed/callee.py").write_text(CALLEE)
    (folder / "scratch_embed/caller.py").write_text(CALLER)


def run(folder, code=SHOW, **environment):
    """Run `code` with the package in `folder`.  -> the words that it prints"""
    env = {**os.environ, "PYTHONPATH": str(folder), **environment}
    done = subprocess.run([sys.executable, "-c", code], env=env, cwd=folder,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_compiled_code_is_reused_until_a_function_that_the_kernel_calls_is_edited(compiled,
                                                                                  tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(compiled, copy)                  # the times of files are kept
    assert run(copy) == ["2", "1"]                   # loaded from the disk
    (copy / "scratch_embed/callee.py").write_text(CALLEE.replace("x + 1", "x + 10"))
    assert run(copy) == ["20", "0"]                  # stale code would print 2


def test_cached_code_for_a_type_that_was_renamed_is_ignored(copy):
    """The cache names the NamedTuple of the kernel's argument, a class that no longer exists."""
    point = "from typing import NamedTuple\n{}\nclass Point(NamedTuple):\n    x: int\n".format(
        CALLER.replace("one(one(x))", "one(one(x.x))"))
    (copy / "scratch_embed/caller.py").write_text(point)
    show = "from scratch_embed.caller import two, {0}\nprint(two({0}(0)))"
    assert run(copy, show.format("Point")) == ["2"]
    (copy / "scratch_embed/caller.py").write_text(point.replace("Point", "Place"))
    assert run(copy, show.format("Place")) == ["2"]


def test_a_kernel_in_a_users_file_is_compiled_again_after_an_edit(copy):
    show = "from mine import one; print(one(0))"
    (copy / "mine.py").write_text(CALLEE)
    assert run(copy, show) == ["1"]
    (copy / "mine.py").write_text(CALLEE.replace("x + 1", "x + 9"))
    assert run(copy, show) == ["9"]


def test_an_edit_in_a_running_process_takes_effect_when_the_module_is_reloaded(copy):
    reload = f"""
import importlib, pathlib, scratch_embed.callee as callee
print(callee.one(0))
pathlib.Path(callee.__file__).write_text({CALLEE.replace("x + 1", "x + 10")!r})
print(importlib.reload(callee).one(0))
"""
    assert run(copy, reload) == ["1", "10"]


@kernel(keep_order=True)
def in_order(a, b):
    return (a + b) - a


@kernel
def in_any_order(a, b):
    return (a + b) - a


def test_only_keep_order_keeps_the_order_of_a_sum():
    assert in_order(1e30, 1.0) == 0
    assert in_any_order(1e30, 1.0) == (0 if config.DISABLE_JIT else 1)


def test_kernels_work_if_no_cache_folder_is_writable(copy):
    for blocked in ("scratch_embed/__pycache__", "home"):
        (copy / blocked).write_text("a file where the folder of the cache would be created")
    nowhere = {name: str(copy / "home") for name in ("HOME", "XDG_CACHE_HOME")}
    assert run(copy, PYTHONDONTWRITEBYTECODE="1", **nowhere) == ["2", "0"]
    assert run(copy, PYTHONDONTWRITEBYTECODE="1", **nowhere) == ["2", "0"]


def test_kernels_work_if_the_disk_is_full(copy):
    full = """
import numba.core.caching as caching
def no_space(*a): raise OSError(28, "No space left on device")
caching.IndexDataCacheFile.save = no_space
"""
    assert run(copy, full + SHOW) == ["2", "0"]


def cut(path):
    path.write_bytes(path.read_bytes()[:100])


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def empty(path):
    path.write_bytes(b"")


def make_unreadable(path):
    path.unlink()
    path.symlink_to(path)                            # a loop of links: cannot be opened by anyone


# nbc: compiled code; nbi: the index of it, in which a flipped bit may make another valid version
@pytest.mark.parametrize("kind, damage", [
    *itertools.product(["nbc", "nbi"], [cut, empty, make_unreadable]), ("nbc", flip_a_bit)])
def test_kernels_with_a_damaged_cache_are_compiled_anew_with_one_warning(compiled, tmp_path, kind,
                                                                         damage):
    copy = tmp_path / "copy"
    shutil.copytree(compiled, copy)
    files = [*(copy / "scratch_embed/__pycache__").glob(f"*.{kind}")]
    assert len(files) == 2                           # of `one` and `two`
    for file in files:
        damage(file)
    show = "import warnings\nwith warnings.catch_warnings(record=True) as caught:" + SHOW.replace(
        "\n", "\n    ") + "\nprint(*(str(w.message)[-14:] for w in caught))"
    assert run(copy, show) == ["2", "0", "compiled", "anew"]
    assert run(copy) == ["2", "1"]                   # the damaged files have been replaced


def test_without_jit_kernels_are_plain_python(copy):
    assert run(copy, NUMBA_DISABLE_JIT="1") == ["2", "no", "JIT"]


def test_numbas_own_cache_folder_is_not_changed(copy):
    code = "import os, scratch_embed.caller; print(os.environ.get('NUMBA_CACHE_DIR', 'unset'))"
    assert run(copy, code) == ["unset"]


def test_kernels_keep_checks_for_nan():
    @kernel
    def is_nan(x):
        return x != x, np.isnan(x), not (x >= 0 or x < 0)
    assert is_nan(np.float32("nan")) == (True, True, True)
    assert is_nan(np.float32(1)) == (False, False, False)


def test_division_by_zero_gives_infinity_as_in_numpy():
    @kernel
    def divide(a, b):
        return a / b
    assert divide(1.0, 0.0) == np.inf


def test_other_threads_run_while_a_kernel_runs():
    @kernel
    def busy(n):
        x = 1.0
        for _ in range(n):
            x = np.sin(x) + 1.0
        return x
    busy(1)                                          # compile it before the measurement
    ticks, stop = [], threading.Event()

    def tick():
        while not stop.wait(0.001):
            ticks.append(time.perf_counter())
    thread = threading.Thread(target=tick)
    thread.start()
    start = time.perf_counter()
    busy(30_000_000)                                 # about 0.3 s
    end = time.perf_counter()
    stop.set()
    thread.join()
    assert sum(start < t < end for t in ticks) > 3   # 0 if the kernel held the GIL


INNER_AND_OUTER = """
@kernel(inline={inline})
def inner(x):
    for i in range(9):
        x = np.sin(x) * np.cos(x) + np.log(x * x + i + 1)
        if x > 3:
            x -= np.exp(-x)
    return x

@kernel
def outer(x):
    return inner(x) * inner(x + 1)
"""


@pytest.mark.skipif(config.DISABLE_JIT, reason="nothing is compiled")
@pytest.mark.parametrize("inline", [True, False])
def test_a_kernel_is_inlined_exactly_if_inline_is_set(inline):
    """The compiled code of `outer` contains a call of `inner` only if inline is False."""
    names = {"kernel": kernel, "np": np}
    exec(INNER_AND_OUTER.format(inline=inline), names)       # code without a file is not cached
    names["outer"](1.0)
    (code,) = names["outer"].inspect_llvm().values()
    assert bool(re.search("= call .*inner", code)) != inline
