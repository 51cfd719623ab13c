"""Results of an evaluation: the scores of one task, a table of many, and mteb's JSON files.

Shapes    one TaskResult per task; format_results -> lines; to_json -> text
Cost      negligible; no kernel
Differs   mteb rounds the numbers in its files to six decimals; here they have all digits.  A score
          that is nan is written as null, because JSON has no nan; mteb writes NaN, which strict
          readers refuse.  mteb_version is null, because mteb has not computed these numbers.
Read next evaluate/mteb.py, which makes TaskResults

A score means little unless it can be compared with another.  So each task has two numbers on the
same scale, `chance` and `upper_bound`, and the table has a column for each encoder, baselines
included.

Why two means?  MTEB reports both.  In the mean over tasks, a type with many tasks counts more than
a type with few.  In the mean over types, each type's mean counts the same.
"""
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from scratch_embed.numerics.files import atomic_write


class TaskResult(NamedTuple):
    """One encoder on one task."""

    task: str
    type: str                      # MTEB's name of the task type
    measure: str                   # the name in `scores` of the main score
    scores: dict                   # {mteb's name: a number, or the numbers of each draw}
    chance: float                  # the main score expected without reading the texts
    upper_bound: float             # the highest main score that is possible
    seconds: float                 # encoding and scoring
    revision: str                  # a hash of the task's data

    @property
    def main_score(self) -> float:
        """The score that represents the task."""
        return self.scores[self.measure]


def mean_of_tasks(results: Sequence[TaskResult], number: str = "main_score") -> float:
    """The mean over tasks of the main score, or of "chance" or "upper_bound"."""
    return _mean([getattr(result, number) for result in results])


def mean_of_types(results: Sequence[TaskResult], number: str = "main_score") -> float:
    """The mean within each task type, averaged over the types."""
    return _mean([mean_of_tasks([result for result in results if result.type == task_type], number)
                  for task_type in {result.type for result in results}])


def format_results(columns: Mapping[str, Sequence[TaskResult]]) -> list[str]:
    """The lines of a table: a row per task, a column per encoder, and the two means below.

    columns: {name of the encoder: its results}.  Raises ValueError without any results, or if the
    columns have different tasks or data.
    """
    if not columns or not all(columns.values()):
        raise ValueError("columns: expected at least one encoder with at least one result, got "
                         "none")
    tasks = {name: [(r.task, r.measure, r.revision) for r in results]
             for name, results in columns.items()}
    first, *others = tasks
    for name in others:
        if tasks[name] != tasks[first]:
            raise ValueError(f"columns: expected the same tasks and data in each, got others for "
                             f"{name!r} than for {first!r}; evaluate both on the same tasks")
    rows = [["task", "type", "measure", "chance", *columns, "upper bound"]]
    for results in zip(*columns.values()):                   # one task, all encoders
        task = results[0]
        rows.append([task.task, task.type, task.measure, f"{task.chance:.3f}",
                     *(f"{r.main_score:.3f}" for r in results), f"{task.upper_bound:.3f}"])
    for over, mean in (("tasks", mean_of_tasks), ("types", mean_of_types)):
        rows.append([f"mean of {over}", "", "", f"{mean(columns[first], 'chance'):.3f}",
                     *(f"{mean(results):.3f}" for results in columns.values()),
                     f"{mean(columns[first], 'upper_bound'):.3f}"])
    width = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join(cell.ljust(w) if i < 3 else cell.rjust(w)
                      for i, (cell, w) in enumerate(zip(row, width))).rstrip() for row in rows]


def to_json(result: TaskResult, languages: Sequence[str] = ("eng-Latn",), split: str = "test"
            ) -> str:
    """Convert a result to mteb's JSON format, which mteb.TaskResult.from_disk reads."""
    scores = {"main_score": result.main_score, **result.scores, "hf_subset": "default",
              "languages": list(languages)}
    document = {"dataset_revision": result.revision, "task_name": result.task, "mteb_version": None,
                "scores": {split: [_without_nan(scores)]}, "evaluation_time": result.seconds,
                "kg_co2_emissions": None}
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def write_results(results: Sequence[TaskResult], folder: str | os.PathLike) -> list[Path]:
    """Write <task>.json for each result; the folder is created if missing.  -> the paths"""
    Path(folder).mkdir(parents=True, exist_ok=True)
    paths = [Path(folder) / f"{result.task}.json" for result in results]
    for path, result in zip(paths, results):
        with atomic_write(path) as file:
            file.write(to_json(result).encode())
    return paths


def _mean(numbers):
    return math.fsum(numbers) / len(numbers)


def _without_nan(x):
    """x with None instead of nan and inf, in nested lists and mappings too."""
    if isinstance(x, Mapping):
        return {key: _without_nan(value) for key, value in x.items()}
    if isinstance(x, list):
        return [_without_nan(value) for value in x]
    return None if isinstance(x, float) and not math.isfinite(x) else x
