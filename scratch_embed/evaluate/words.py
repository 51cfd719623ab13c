"""Intrinsic evaluation of word vectors: analogy accuracy, and correlation with human similarity.

Paper     Mikolov et al. 2013a, "Efficient Estimation of Word Representations in Vector Space",
          section 4.1 (the analogies); Finkelstein et al. 2002, "Placing Search in Context: The
          Concept Revisited" (WordSim-353).
Equation  analogies a : b = c : d    the share with argmax_x cos(x, b − a + c) = d, over all rows x
                                     except a, b and c; rows are scaled to norm 1 first
          word pairs a, b            ρ(cos(a, b), human score)
Shapes    index {word: row}, vectors (V, D), from any model
Cost      O(Q·V·D) for Q analogies: one matrix product per block of questions.  BLAS computes it, so
          there is no kernel.
Differs   word2vec's compute-accuracy and gensim search only the first 30,000 or 300,000 words;
          here the whole vocabulary is searched.  As there, only covered questions count: those
          whose words all have vectors.  Each result states its coverage.
Read next space/analogy.py (why a, b and c are excluded), evaluate/correlation.py

Accuracies with different coverage cannot be compared: a small vocabulary leaves out the rare,
difficult words, and offers fewer wrong candidates.  Compare two tables on the same words.
"""
import math
import os
from typing import NamedTuple

import numpy as np

from scratch_embed.evaluate.correlation import spearman
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.space.analogy import solve_analogies
from scratch_embed.space.similarity import cosine
from scratch_embed.text.corpus import read_lines, split_words, strip


class Section(NamedTuple):
    """A named list of analogy questions (a, b, c, d): a is to b as c is to d."""
    name: str
    questions: list[tuple[str, str, str, str]]


class SectionScore(NamedTuple):
    """In `covered` of `total` questions all words have vectors; `correct` of these were solved."""
    name: str
    correct: int
    covered: int
    total: int

    @property
    def accuracy(self) -> float:
        """correct / covered, from 0 to 1; nan if no question is covered."""
        return self.correct / self.covered if self.covered else math.nan


class AnalogyScores(NamedTuple):
    """SectionScores: of each section, of all semantic ones, of all syntactic ones, and of all."""
    sections: list[SectionScore]
    semantic: SectionScore
    syntactic: SectionScore
    overall: SectionScore


class PairScores(NamedTuple):
    """Spearman's ρ over the `covered` of `total` pairs.

    nan for fewer than two covered pairs, or if all their cosines or all their scores are equal.
    """
    spearman: float
    covered: int
    total: int


# ---- analogies -------------------------------------------------------------

def read_analogies(path: str | os.PathLike, lower: bool = True, errors: str = "strict"
                   ) -> list[Section]:
    """Read a file in the format of Google's questions-words.txt: ": name", then "a b c d" lines.

    -> a list of Section; words are separated by white space (text/corpus.py).  Words and names are
    lower-cased unless lower=False.
    errors: what to do with bytes that are not UTF-8: "strict", "replace" or "ignore"
    Raises FormatError that names the line.
    """
    sections = []
    for place, line in _lines(path, lower, errors):
        if line.startswith(":"):
            sections.append(Section(strip(line[1:]), []))
            continue
        words = split_words(line)
        if len(words) != 4:
            raise FormatError(path, place, f"expected four words or a line ': section', found "
                                           f"{len(words)} words")
        if not sections:
            raise FormatError(path, place, "expected a line ': section' before the first question")
        a, b, c, d = words
        sections[-1].questions.append((a, b, c, d))
    if not any(section.questions for section in sections):
        raise FormatError(path, "the whole file", "expected questions of four words, found none")
    return sections


def score_analogies(index: dict[str, int], vectors: np.ndarray, sections: list[Section]
                    ) -> AnalogyScores:
    """Solve a : b = c : ? by 3CosAdd over all rows except a, b and c.

    index: {word: row}, vectors: (V, D), sections: from read_analogies -> AnalogyScores.
    """
    covered = [[[index[word] for word in question] for question in section.questions
                if all(word in index for word in question)] for section in sections]
    solved = _solved(vectors, np.array([q for part in covered for q in part], int).reshape(-1, 4))
    ends = np.cumsum([0] + [len(part) for part in covered])
    scores = [SectionScore(section.name, int(solved[start:end].sum()), int(end - start),
                           len(section.questions))
              for section, start, end in zip(sections, ends[:-1], ends[1:])]
    syntactic = [score for score in scores if score.name.startswith("gram")]     # Google's names
    semantic = [score for score in scores if not score.name.startswith("gram")]
    return AnalogyScores(scores, _total("semantic", semantic), _total("syntactic", syntactic),
                         _total("all", scores))


def format_analogies(scores: AnalogyScores) -> list[str]:
    """The lines of a table: correct, covered and all questions, by section and in total.

    The totals of semantic and syntactic sections are given if the file has both.
    """
    kinds = [scores.semantic, scores.syntactic]
    totals = [*(kinds if all(kind.total for kind in kinds) else []), scores.overall]
    width = max(len(score.name) for score in [*scores.sections, *totals])
    lines = [f"{'analogies':{width}}  correct  covered    total        %"]
    lines += [_row(score, width) for score in scores.sections]
    lines.append("-" * len(lines[0]))
    return lines + [_row(score, width) for score in totals]


# ---- pairs -----------------------------------------------------------------

def read_pairs(path: str | os.PathLike, lower: bool = True, errors: str = "strict"
               ) -> list[tuple[str, str, float]]:
    """Read lines "word word score", with tabs between them, or else commas, or else white space.

    Lines that begin with # are comments; a first line whose score is not a number is a header.
    -> a list of (word, word, float); words are lower-cased unless lower=False.
    errors: as for read_analogies
    Raises FormatError that names the line.
    """
    pairs = []
    for place, line in _lines(path, lower, errors):
        if line.startswith("#"):
            continue
        delimiter = next((mark for mark in "\t," if mark in line), None)
        fields = [strip(field) for field in line.split(delimiter)] if delimiter else (
            split_words(line))
        if len(fields) != 3 or not all(fields):
            raise FormatError(path, place, f"expected two words and a score, found {fields}")
        score = _score(fields[2])
        if not math.isfinite(score):
            if place == "line 1":                  # the header, which WordSim-353 has
                continue
            raise FormatError(path, place, f"expected a number as the score, found {fields[2]!r}")
        pairs.append((fields[0], fields[1], score))
    if not pairs:
        raise FormatError(path, "the whole file", "expected pairs with a score, found none")
    return pairs


def score_pairs(index: dict[str, int], vectors: np.ndarray,
                pairs: list[tuple[str, str, float]]) -> PairScores:
    """Spearman's ρ of cosines and human scores, over the pairs whose words both have vectors.

    index: {word: row}, vectors: (V, D), pairs: from read_pairs -> PairScores.
    """
    vectors = np.asarray(vectors)
    covered = [(index[a], index[b], score) for a, b, score in pairs if a in index and b in index]
    if not covered:
        return PairScores(math.nan, 0, len(pairs))
    a, b, human = zip(*covered)
    return PairScores(spearman(cosine(vectors[list(a)], vectors[list(b)]), human),
                      len(covered), len(pairs))


def format_pairs(name: str, scores: PairScores) -> list[str]:
    """A list of one line: the name of the file, Spearman × 100 and the coverage."""
    return [f"{name}  Spearman {_percent(scores.spearman)}  "
            f"({scores.covered} of {scores.total} pairs covered)"]


# ---- helpers ---------------------------------------------------------------

def _solved(vectors, questions):
    """Whether each question is solved.  questions: (Q, 4) ids -> (Q,) bool."""
    if len(vectors) < 4:                                     # a, b and c can be all rows
        return np.zeros(len(questions), bool)
    return solve_analogies(l2_normalize(vectors)[0], questions[:, :3]) == questions[:, 3]


def _total(name, scores):
    return SectionScore(name, sum(score.correct for score in scores),
                        sum(score.covered for score in scores),
                        sum(score.total for score in scores))


def _row(score, width):
    return (f"{score.name:{width}}  {score.correct:7}  {score.covered:7}  {score.total:7}  "
            f"{_percent(score.accuracy)}")


def _percent(share):
    return "   none" if math.isnan(share) else f"{100 * share:7.2f}"


def _score(field):
    """The number in the field, or nan."""
    try:
        return float(field)
    except ValueError:
        return math.nan


def _lines(path, lower, errors):
    """("line 7", its text) for every line that is not blank; plain or gzip."""
    for number, line in enumerate(read_lines(path, errors), 1):
        if text := strip(line):
            yield f"line {number}", text.lower() if lower else text
