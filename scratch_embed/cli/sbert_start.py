"""What `train sbert` starts from: a model's folder, word vectors, or a new transformer."""
from typing import NamedTuple

from scratch_embed.cli import recipes
from scratch_embed.cli.models import require_savable, require_training_memory
from scratch_embed.cli.new_model import (
    VOCAB_SIZE,
    check_heads,
    check_sizes,
    config_of,
    count_parameters,
    new_tokenizer,
)
from scratch_embed.cli.prompts import DOCUMENT, QUERY, chosen_prompts
from scratch_embed.cli.sbert_data import check_matryoshka, kind_of_data
from scratch_embed.cli.training import say
from scratch_embed.numerics.wording import counted

POOLING = "mean"                   # of a model that has none of its own


class Prompts(NamedTuple):
    """What is put before the texts of the first column, and of the others."""

    first: str
    others: str


def check_start(arguments):
    """Exit with code 2 if options contradict each other; fill in the sizes of a new model."""
    if arguments.word_vectors and arguments.dim:
        arguments.usage_error("--word-vectors decides the dimensions: leave out --dim")
    check_sizes(arguments)
    if not arguments.word_vectors:                         # else read_vectors() checks it
        check_heads(arguments)


def read_start(arguments, columns):
    """The SentenceEncoder before training, with the prompts of --prompts in its recipe.

    columns: the training texts, of which a new vocabulary is learnt
    """
    from scratch_embed.sentences.encoder import SentenceEncoder
    if arguments.model:
        tokenizer, model, recipe = recipes.read_start(arguments, POOLING)
        model = model.without_heads()
        require_training_memory(model.p.flat.size, arguments.workers)
    else:
        tokenizer, model, recipe = new_start(arguments, columns)
    require_savable(tokenizer)
    size = model.p.flat.size + sum(dense.p.flat.size for dense in recipe.dense)
    say(f"the model has {size:,} parameters")
    return SentenceEncoder(tokenizer, model, with_prompts(arguments, recipe))


# ---- a new transformer ---------------------------------------------------------------------------

def new_start(arguments, columns):
    """(tokenizer, Bert, Recipe) of a new model, with word vectors as its embeddings, if given."""
    from scratch_embed.nn.params import init_params
    from scratch_embed.sentences.modules import BY_NAME
    from scratch_embed.sentences.recipe import Recipe
    from scratch_embed.sentences.warm_start import with_word_vectors
    from scratch_embed.text.wordpiece import WordPiece
    from scratch_embed.transformer.bert import Bert, Config, tensors
    vectors = read_vectors(arguments)
    check_matryoshka(arguments, arguments.dim)         # before the vocabulary is learnt
    texts = [*(arguments.prompts or ()), *(text for column in columns for text in column)]
    _, path = kind_of_data(arguments)
    tokenizer = new_tokenizer(arguments, lambda: iter(texts), path)
    if vectors is not None and not isinstance(tokenizer, WordPiece):
        raise ValueError(f"--word-vectors: expected a WordPiece in {arguments.tokenizer}, whose "
                         f"pieces can be words, got {tokenizer!r}; leave out --word-vectors")
    if vectors is not None and not arguments.tokenizer:
        tokenizer = with_words_of(vectors, tokenizer, arguments.vocab_size or VOCAB_SIZE)
    config = config_of(arguments, len(tokenizer), Config)
    require_training_memory(count_parameters(config, Bert), arguments.workers)
    model = Bert(config, init_params(tensors(config), arguments.seed))
    if vectors is not None:
        model, known = with_word_vectors(model, tokenizer, vectors_of_pieces(vectors, tokenizer))
        say(f"{known:,} of {counted(len(tokenizer), 'token')} start with a vector of "
            f"{arguments.word_vectors}")
    pooling = BY_NAME[arguments.pooling or POOLING]
    return tokenizer, model, Recipe((pooling,), normalize=False,
                                    max_seq_length=arguments.max_length)


def read_vectors(arguments):
    """The word vectors of --word-vectors, or None; sets --dim to their dimensions."""
    from scratch_embed.cli.loading import load_vectors
    if not arguments.word_vectors:
        return None
    vectors = load_vectors(arguments.word_vectors)
    arguments.dim = vectors.vectors.shape[1]
    if arguments.dim % arguments.heads:
        raise ValueError(f"--heads: expected a divisor of {arguments.dim}, the dimensions of "
                         f"{arguments.word_vectors}, got {arguments.heads}")
    return vectors


def with_words_of(vectors, tokenizer, size):
    """The WordPiece with words of the vectors added, up to `size` tokens."""
    from scratch_embed.sentences.warm_start import vocabulary
    from scratch_embed.text.wordpiece import WordPiece
    return WordPiece(vocabulary(tokenizer.pieces, vectors.index_to_key, size,
                                tokenizer.normalizer), tokenizer.normalizer)


def vectors_of_pieces(vectors, tokenizer):
    """WordVectors: with fastText's .bin also of tokens that are unknown words."""
    from scratch_embed.cli.loading import with_words
    special = {token.content for token in tokenizer.added}
    return with_words(vectors, [piece for piece in tokenizer.pieces if piece not in special
                                and not piece.startswith(tokenizer.prefix)])


# ---- prompts -------------------------------------------------------------------------------------

def with_prompts(arguments, recipe):
    """The recipe with --prompts in place of its prompts for queries and documents.

    Two are stored as "query" and "passage", where `index` and `search` find them.  A single one is
    stored as "query" and as the default prompt, which every command puts before all texts.
    """
    if not arguments.prompts:
        return recipe
    first, *others = arguments.prompts
    replaced = [name for name in recipe.prompts if name in (*QUERY, *DOCUMENT)]
    if replaced:
        say(f"--prompts replaces {', '.join(f'{n} {recipe.prompts[n]!r}' for n in replaced)}")
    kept = {name: text for name, text in recipe.prompts.items() if name not in replaced}
    default = recipe.default_prompt_name if recipe.default_prompt_name in kept else None
    if not others:
        return recipe._replace(prompts={**kept, "query": first}, default_prompt_name="query")
    return recipe._replace(prompts={**kept, "query": first, "passage": others[0]},
                           default_prompt_name=default)


def prompts_of(arguments, encoder):
    """The Prompts of the training texts, which are those that the encoder is used with later.

    Scored pairs are symmetric, so both texts get the default prompt, as in `evaluate sts`.
    """
    recipe = encoder.recipe
    default = recipe.prompts.get(recipe.default_prompt_name, "")
    if arguments.scored is not None:
        if default:
            say(f"the default prompt {default!r} is put before each text")
        return Prompts(default, default)
    found = chosen_prompts(encoder, arguments.model or "the new model", None)
    return Prompts(found.query or "", found.document or "")
