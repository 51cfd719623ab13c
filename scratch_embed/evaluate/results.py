"""What an evaluation found: one task's scores, a table of many, and the JSON that mteb reads.

Shapes    a TaskResult a task; format_results -> lines; to_json -> text
Cost      nothing beside the evaluation; no kernel.
Differs   mteb rounds its files to six decimals, these hold every digit.  A score that is not a
          number is null in the file, as JSON has no nan; mteb writes NaN, which strict readers
          refuse.  mteb_version is null: mteb has not made these numbers.
Read next evaluate/mteb.py, which fills them

A score says nothing alone.  So each task brings two numbers on its own scale, `chance` and
`upper_bound`, and the table holds several encoders side by side, for the baselines to stand beside.

There are two means.  MTEB's first one is over tasks, and a type with many tasks outweighs one with
few.  So there is a second one: over the types' own means, each type weighing the same.
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
    type: str                      # the name of the task's shape, and MTEB's of its type
    measure: str                   # which of `scores` is the main one
    scores: dict                   # {mteb's name: a number, or the numbers of each draw}
    chance: float
    upper_bound: float
    seconds: float                 # encoding and scoring
    revision: str                  # a digest of the task's data

    @property
    def main_score(self) -> float:
        """The score that is quoted."""
        return self.scores[self.measure]


def mean_of_tasks(results: Sequence[TaskResult]) -> float:
    """The mean main score."""
    return _mean([result.main_score for result in results])


def mean_of_types(results: Sequence[TaskResult]) -> float:
    """The mean over task types of the mean main score of each type's tasks."""
    return _mean([mean_of_tasks([result for result in results if result.type == of])
                  for of in {result.type for result in results}])


def format_results(columns: Mapping[str, Sequence[TaskResult]]) -> list[str]:
    """A table: a line a task, a column an encoder, and the two means below.

    columns: {name of the encoder: its results}.  Raises ValueError where there are none, or where
    the columns are not of the same tasks with the same data.
    """
    if not columns or not all(columns.values()):
        raise ValueError("expected at least one encoder with at least one result, found none")
    asked = {name: [(r.task, r.measure, r.revision) for r in results]
             for name, results in columns.items()}
    first, *others = asked
    for name in others:
        if asked[name] != asked[first]:
            raise ValueError(f"expected the same tasks and data in every column, found others for "
                             f"{name!r} than for {first!r}; evaluate both on one list of tasks")
    rows = [["task", "type", "measure", "chance", *columns, "upper bound"]]
    for of_task in zip(*columns.values()):
        one = of_task[0]
        rows.append([one.task, one.type, one.measure, f"{one.chance:.3f}",
                     *(f"{result.main_score:.3f}" for result in of_task), f"{one.upper_bound:.3f}"])
    for over, mean in (("tasks", mean_of_tasks), ("types", mean_of_types)):
        rows.append([f"mean of {over}", "", "", "",
                     *(f"{mean(results):.3f}" for results in columns.values()), ""])
    width = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join(cell.ljust(w) if i < 3 else cell.rjust(w)
                      for i, (cell, w) in enumerate(zip(row, width))).rstrip() for row in rows]


def to_json(result: TaskResult, languages: Sequence[str] = ("eng-Latn",), split: str = "test"
            ) -> str:
    """The text of mteb's file of one task: mteb.TaskResult.from_disk reads it."""
    scores = {"main_score": result.main_score, **result.scores, "hf_subset": "default",
              "languages": list(languages)}
    whole = {"dataset_revision": result.revision, "task_name": result.task, "mteb_version": None,
             "scores": {split: [_without_nan(scores)]}, "evaluation_time": result.seconds,
             "kg_co2_emissions": None}
    return json.dumps(whole, indent=2, allow_nan=False) + "\n"


def write_results(results: Sequence[TaskResult], folder: str | os.PathLike) -> list[Path]:
    """A file <task>.json for each result in a folder, made if it is not there -> the paths."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    paths = [Path(folder) / f"{result.task}.json" for result in results]
    for path, result in zip(paths, results):
        with atomic_write(path) as file:
            file.write(to_json(result).encode())
    return paths


def _mean(numbers):
    return math.fsum(numbers) / len(numbers)


def _without_nan(x):
    """The same with None for nan and the infinities, however deep."""
    if isinstance(x, Mapping):
        return {key: _without_nan(value) for key, value in x.items()}
    if isinstance(x, list):
        return [_without_nan(value) for value in x]
    return None if isinstance(x, float) and not math.isfinite(x) else x
