"""E5: two stages of contrastive training, with a prompt for queries and another for passages.

Papers    Wang et al. 2022, "Text Embeddings by Weakly-Supervised Contrastive Pre-training" (E5),
          sections 3 and 4; Wang et al. 2024, "Improving Text Embeddings with Large Language
          Models" and "Multilingual E5 Text Embeddings" (instructions).
Equation  y = mean of transformer(prompt text) / its norm;   s(q, d) = cos(y_q, y_d)
          stage 1   L = InfoNCE(s/τ), the other passages of the batch are the negatives;  τ = 0.01
          stage 2   L = KL(softmax(t) ‖ softmax(s/τ)) + α InfoNCE(s/τ),  α = 0.2
          t: a cross-encoder's scores of the query's positive and of its hard negatives
Shapes    N weak pairs; N' labelled pairs, K hard negatives each -> views of N' texts, t (N', 1 + K)
Cost      stage 1 two passes of the transformer per pair, stage 2 2 + K; the teacher scores each
          pair once, before stage 2
Differs   The paper has 270 million weak pairs, batches of 32,768 (losses/grad_cache.py), and
          filters the pairs with a first model.  Its hard negatives come with the data sets; here
          the model of stage 1 finds them (sentences/hard_negatives.py), as later E5 models do.
Read next losses/infonce.py, losses/distillation.py, sentences/sbert.py (the loop of both stages),
          sentences/hard_negatives.py, why/e5.py and why/instructions.py (what is measured)

Why two stages?  Pairs that somebody wrote for another purpose, a title and its text, a question and
its answer in a forum, cost nothing, and there are very many.  They teach which words mean the same.
What a query is, and what answers it, is in the few labelled pairs.  Stage 2 cannot start from
nothing: hard negatives must come from a model that already finds nearly the right documents.

Why two prompts?  A question and its answer should be near each other, but a question and the same
question as a passage should not be: it is not an answer.  One tower without prompts gives equal
texts equal vectors.  With "query: " or "passage: " before it, a text tells the tower on which side
it is.  For symmetric tasks, such as finding duplicates, both sides get "query: ".

Why instructions?  They are the prompts of many tasks in one model: "Instruct: find reports about
the same deed\\nQuery: " asks for other documents than "... the same place" with the same query.
Passages have no instruction, so they are encoded once for all tasks.

Why τ = 0.01?  At τ = 0.01 a negative with a cosine 0.1 below the positive's has 1/22,000 of its
weight, at 0.05 a seventh.  So only negatives that are nearly as near as the positive push: the loss
is about the order at the top.  It is satisfied by small differences, so nothing pushes the mean
cosine down: E5's cosines lie in 0.7 .. 1, and only their order means something.  The price is that
false negatives, which are near, push hardest.

Why a cross-encoder as a teacher?  It reads query and passage together, so it is the better model,
and its scores say how relevant a mined negative is.  A false negative has a high t, so the KL pulls
it near, where InfoNCE would push it away: that is why α is small, and no margin is needed.  But a
teacher that ranks no better than the student teaches its own errors (why/e5.py).
"""
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.losses.distillation import distillation
from scratch_embed.nn.optim import Optim
from scratch_embed.numerics.settings import saved_with
from scratch_embed.sentences import sbert
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.hard_negatives import Mining, cosines, mine_hard_negatives
from scratch_embed.sentences.objectives import Objective, distilled, ranking
from scratch_embed.training.session import RunOptions
from scratch_embed.transformer.pooling import mean

TAU, ALPHA = 0.01, 0.2
QUERY, PASSAGE = "query: ", "passage: "
PROMPTS = {"query": QUERY, "passage": PASSAGE}       # the names that `index` and `search` look up

ScorePairs = Callable[[list[tuple[str, str]]], np.ndarray]           # N pairs -> (N,)


# ---- prompts ------------------------------------------------------------------------------------

def instruct(instruction: str) -> str:
    """The prompt of a query with an instruction, in the form of E5's models.

    >>> instruct("find reports about the same deed") + "who mended it?"
    'Instruct: find reports about the same deed\\nQuery: who mended it?'
    """
    return f"Instruct: {instruction}\nQuery: "


def with_prompts(encoder: SentenceEncoder, prompts: Mapping[str, str] = PROMPTS) -> SentenceEncoder:
    """The encoder with E5's recipe: the mean of all tokens, the prompt's too, scaled to norm 1.

    prompts: its keys are "query" and "passage".  encode(text, prompt_name="query") uses them, and
    the commands `index` and `search` by themselves.
    """
    return SentenceEncoder(encoder.tokenizer, encoder.model, encoder.recipe._replace(
        poolings=(mean,), include_prompt=True, normalize=True, prompts=prompts,
        default_prompt_name=None))


def views_of(encoder: SentenceEncoder, texts: Sequence[Sequence[str]]) -> list[sbert.View]:
    """The views of [queries, passages, further passages ...], each text after its prompt."""
    prompts = [encoder.recipe.prompts["query"],
               *[encoder.recipe.prompts["passage"]] * (len(texts) - 1)]
    return [sbert.tokenize(encoder, column, prompt) for column, prompt in zip(texts, prompts)]


# ---- the loss of stage 2 ------------------------------------------------------------------------

def distilled_ranking(tau: float = TAU, alpha: float = ALPHA) -> Objective:
    """The objective of stage 2: KL of the teacher's and the student's probabilities, + α InfoNCE.

    views: [queries, positives, hard negatives ...], (N, E) each; targets: (N, V − 1), the teacher's
    scores of each query's own candidates.  KL compares the query with these, InfoNCE with all texts
    of the batch.
    """
    kl, infonce = distilled(distillation, tau), ranking(tau)

    @saved_with(f"distilled_ranking {tau} {alpha}", infonce.loss)
    def of_views(views, targets, p):
        loss_kl, back_kl = kl.loss(views, targets, p)
        loss_nce, back_nce = infonce.loss(views, targets, p)

        def backward(g):
            return [d_kl + alpha * d_nce for d_kl, d_nce in zip(back_kl(g), back_nce(g))]
        return loss_kl + alpha * loss_nce, backward
    return Objective(of_views)


def teacher_scores(teacher: ScorePairs, texts: Sequence[Sequence[str]]) -> np.ndarray:
    """t (N, M): the teacher's scores of [queries, candidates, ...], N texts each, M candidates.

    teacher: such as partial(cross_encoder.predict, activation_fn=identity), which gives logits:
    after a sigmoid all scores would lie in 0..1, and the softmax of them would be nearly uniform
    """
    queries, *candidates = texts
    pairs = [(query, text) for column in candidates for query, text in zip(queries, column)]
    return np.asarray(teacher(pairs)).reshape(len(candidates), -1).T


# ---- both stages --------------------------------------------------------------------------------

class Stage(NamedTuple):
    """The settings of a stage: arguments of sbert.train."""

    steps: int
    batch_size: int
    optim: Optim
    dropout: float = 0.1
    options: RunOptions = RunOptions()                 # a checkpoint of its own for each stage


WEAK = Stage(steps=300, batch_size=128, optim=Optim(lr=3e-3, weight_decay=0.0))
LABELLED = Stage(steps=100, batch_size=64, optim=Optim(lr=1e-3, weight_decay=0.0))
STAGES = WEAK, LABELLED
MINING = Mining(num_negatives=4)


def train(weak: Sequence[Sequence[str]], labelled: Sequence[Sequence[str]],
          encoder: SentenceEncoder, teacher: ScorePairs, stages: tuple[Stage, Stage] = STAGES,
          mining: Mining = MINING, prompts: Mapping[str, str] = PROMPTS) -> SentenceEncoder:
    """Train E5's two stages.

    weak, labelled   [queries, passages] of either stage.  The labelled passages are also the
                     corpus in which hard negatives are found
    teacher          scores the pairs (query, passage) of stage 2, see teacher_scores()
    Pairs for which fewer than mining.num_negatives are found are left out of stage 2.
    Raises ValueError if none is left; TrainingDiverged
    """
    start = with_prompts(encoder, prompts)
    first = sbert.train(views_of(start, weak), start, ranking(TAU), **stages[0]._asdict()
                        ).encoder

    def encode(name):
        return lambda texts: first.encode(texts, prompt_name=name)
    queries, passages = labelled
    texts = mine_hard_negatives(queries, passages, cosines(encode("query"), encode("passage")),
                                mining=mining).tuples()
    if not texts[0]:
        raise ValueError(f"stage 2: expected pairs with {mining.num_negatives} hard negatives, got "
                         "none; give more labelled pairs, or a Mining with fewer negatives")
    return sbert.train(views_of(first, texts), first, distilled_ranking(),
                       teacher_scores(teacher, texts).astype(np.float32), **stages[1]._asdict()
                       ).encoder
