"""E5-Mistral: a decoder as a sentence encoder: instructions, an end token, the last token's vector.

Paper     Wang et al. 2024, "Improving Text Embeddings with Large Language Models", section 3;
          Hu et al. 2021 (LoRA).
Equation  query    x = decoder(Instruct: i, Query: q </s>);   passage    x = decoder(p </s>)
          y = x_t / ‖x_t‖,  x_t the vector of </s>, the last token
          L = InfoNCE(cos/τ): the positive against all positives and hard negatives of the batch,
          except those that are the same text
Shapes    N triplets -> 3 views of N texts; y (N, D)
Cost      a step: three passes of the decoder per triplet.  LoRA of rank r trains r (I + O) numbers
          for each matrix (O, I): at r = 16, 42 million for Mistral's 7 billion
Differs   The paper trains on public labelled data and on 500,000 examples that GPT-4 and GPT-3.5
          write, for tasks that they invent; here a world generates all (worlds/training_pairs.py).
          The paper's learning rate rises for 100 steps, here for a tenth of them; then it falls
          linearly, as here.  Its batches have 2,048 queries, the default here is 64.
Read next transformer/mistral.py, transformer/lora.py, sentences/e5.py (the same with an encoder, in
          two stages), sentences/sbert.py (the loop), why/lora.py (what is measured)

Why the last token?  In a causal model only the last vector depends on the whole text.  The mean
also contains the vectors of the first tokens, and these are the same for all texts that begin with
the same words, such as an instruction.

Why an end token?  Without it, the vector is that of the text's last word.  A language model has
trained this vector to predict the next word, and it depends mostly on the last few words.  The end
token is the same after all texts, so it adds nothing of its own; fine-tuning teaches its attention
to read the text.  If a model that was trained with the end token gets texts without it, nothing
fails, but the vectors are those of last words, which fine-tuning has not prepared, and the quality
collapses (why/README.md, LoRA and E5-Mistral).  So require_end_token() checks that the tokenizer
appends it, also to texts that are truncated.

Why instructions on queries only?  The query says which task it is; passages are encoded once, for
all tasks, also for those that nobody has thought of yet.

Why no first stage of weak pairs, as in E5?  The decoder has been pre-trained on far more text than
these pairs; the paper finds that a contrastive first stage hardly improves it.

Why LoRA?  Fine-tuning all of a model of 7 billion parameters needs Adam's moments for each of them,
and the few labelled texts cannot determine so many.
"""
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from scratch_embed.losses.false_negatives import text_numbers
from scratch_embed.nn.optim import Optim
from scratch_embed.sentences import sbert
from scratch_embed.sentences.e5 import instruct
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.objectives import by_text, ranking
from scratch_embed.text.tokenizer import Part, Tokenizer
from scratch_embed.training.session import RunOptions
from scratch_embed.transformer.lora import Lora, merged, with_lora
from scratch_embed.transformer.model import Transformer
from scratch_embed.transformer.pooling import last_token

TAU = 0.02


class Stage(NamedTuple):
    """The settings of fine-tuning: arguments of sbert.train."""

    steps: int = 1000
    batch_size: int = 64
    optim: Optim = Optim(lr=3e-3, weight_decay=0.0)
    dropout: float = 0.0
    options: RunOptions = RunOptions()


def with_last_token(encoder: SentenceEncoder, instructions: Mapping[str, str] | None = None
                    ) -> SentenceEncoder:
    """The encoder with E5-Mistral's recipe: the last token's vector, scaled to norm 1.

    instructions: {name of a prompt: instruction}; encode(text, prompt_name=name) puts it before a
    query.  None: the encoder keeps its prompts.
    Raises ValueError if the tokenizer does not end every text with the same token.
    """
    require_end_token(encoder)
    prompts = encoder.recipe.prompts if instructions is None else {
        name: instruct(text) for name, text in instructions.items()}
    return SentenceEncoder(encoder.tokenizer, encoder.model, encoder.recipe._replace(
        poolings=(last_token,), include_prompt=True, normalize=True, prompts=prompts,
        default_prompt_name=None))


# ---- the end token -------------------------------------------------------------------------------

PROBES = "a", "b c", "a b c d e f g h"             # texts with different last words


def end_token(encoder: SentenceEncoder) -> int | None:
    """The id of the token with which every text ends, also if it is truncated; None: there is none.

    An empty text must have it too: then it is not a token of the text itself.
    """
    batches = [encoder.tokenizer.encode_batch(["", *PROBES], max_length=length)
               for length in (3, encoder.recipe.max_seq_length)]
    last = {int(batch.ids[end - 1]) for batch in batches for begin, end in zip(
        batch.offsets[:-1].tolist(), batch.offsets[1:].tolist()) if end > begin}
    empty = any((batch.offsets[1:] == batch.offsets[:-1]).any() for batch in batches)
    return last.pop() if len(last) == 1 and not empty else None


def require_end_token(encoder: SentenceEncoder) -> int:
    """The id of the end token.  Raises ValueError if the tokenizer does not append one."""
    found = end_token(encoder)
    if found is None:
        raise ValueError("tokenizer: expected one that ends every text with the same token, such "
                         "as </s>, because its vector is the text's; got one that does not: give "
                         "it a template (text/tokenizer.py) or, in tokenizer.json, a "
                         "post_processor")
    return found


def with_end_token(encoder: SentenceEncoder) -> SentenceEncoder:
    """The encoder with its tokenizer's eos_token, such as </s>, after every text.

    The tokenizers of Mistral, Llama and GPT-2 have this token, but do not append it.  An encoder
    that has an end token is returned as it is; so is one without an eos_token.  Without a pad_token
    the eos_token becomes it, because sentence-transformers pads.
    """
    tokenizer = encoder.tokenizer
    if not isinstance(tokenizer, Tokenizer) or end_token(encoder) is not None:
        return encoder
    end = tokenizer.roles.get("eos_token")
    if end is None:
        return encoder
    parts = tokenizer.template.single
    ended = (*parts, Part(None, (tokenizer.token_to_id(end),), parts[-1].type))
    return SentenceEncoder(tokenizer.with_tokens(
        tokenizer.added, tokenizer.template._replace(single=ended), tokenizer.truncation_side,
        {"pad_token": end, **tokenizer.roles}, tokenizer.has_types), encoder.model, encoder.recipe)


# ---- training ------------------------------------------------------------------------------------

def views_of(encoder: SentenceEncoder, instructions: Sequence[str],
             texts: Sequence[Sequence[str]]) -> list[sbert.View]:
    """The views of [queries, positives, hard negatives ...], each query after its instruction.

    instructions: one for each query
    Raises ValueError for an instruction that fills max_seq_length, so that no query fits after it.
    """
    queries, *others = texts
    for what in dict.fromkeys(instructions):
        encoder.prompt_tokens(instruct(what))
    prompted = [instruct(what) + query for what, query in zip(instructions, queries, strict=True)]
    return [sbert.tokenize(encoder, column) for column in (prompted, *others)]


def train(instructions: Sequence[str], texts: Sequence[Sequence[str]], encoder: SentenceEncoder,
          lora: Lora | None = Lora(), tau: float = TAU, stage: Stage = Stage()) -> sbert.Trained:
    """Fine-tune a decoder on queries with instructions.

    texts    [queries, positives] or [queries, positives, hard negatives ...], N texts each
    encoder  the start: a pre-trained decoder and its tokenizer; it is not changed
    lora     which matrices get a low-rank term of which rank; None: everything is trained
    The trained encoder has LoRA's matrices beside those of the model: save_adapter() writes them,
    with_merged() adds them.
    Raises   ValueError if texts differ in length or the tokenizer appends no end token;
             TrainingDiverged
    """
    start = with_last_token(encoder)
    if lora is not None:
        start = with_model(start, with_lora(start.model.without_heads(), lora, stage.options.seed))
    return sbert.train(views_of(start, instructions, texts), start, ranking(tau, by_text),
                       text_numbers(*texts), **stage._asdict())


def with_model(encoder: SentenceEncoder, model: Transformer) -> SentenceEncoder:
    """The encoder with another model."""
    return SentenceEncoder(encoder.tokenizer, model, encoder.recipe)


def with_merged(encoder: SentenceEncoder) -> SentenceEncoder:
    """The encoder with LoRA's product added to each matrix: its vectors are the same."""
    return with_model(encoder, merged(encoder.model))
