"""fill: predict the masked tokens of a text with a BERT, RoBERTa, DistilBERT or MPNet."""
import itertools

from scratch_embed.cli.models import read_model
from scratch_embed.cli.parsing import add_command, add_json, add_top
from scratch_embed.cli.printing import print_results
from scratch_embed.cli.queries import texts_of

MASKS = ("[MASK]", "<mask>")         # BERT and DistilBERT; RoBERTa and MPNet
BATCH_SIZE = 32                     # texts predicted together


def add_commands(commands):
    """Add `fill`."""
    command = add_command(
        commands, "fill", "print the most probable tokens for each [MASK]",
        "scratch-embed fill bert 'the [MASK] sat on the mat' -k 3", run=run_fill,
        details="A line per [MASK] (for a RoBERTa '<mask>'): token, probability, token, "
                "probability, and so on.")
    model = command.add_argument("model", metavar="MODEL", help="a folder with a BERT or RoBERTa "
                                 "and its masked-LM head, of `train bert` or of transformers")
    command.add_argument("texts", nargs="+", metavar="SENTENCE", help="one or more [MASK] with "
                         'words around; each [MASK] is predicted separately; "-" alone: one '
                         "sentence per line of stdin")
    model.read_as = "transformer"
    add_top(command, 5, "tokens per [MASK]")
    add_json(command, '{"query": sentence, "results": [{"rank", "score", "token"}]} for each '
                      "[MASK]")


def run_fill(arguments):
    """Print a line for each [MASK], in the order of the texts."""
    model, tokenizer = read_model(arguments.model)
    mask = next((t.content for t in tokenizer.added if t.content in MASKS), None)
    if "mlm.bias" not in model.p or mask is None:
        what = "[MASK] in its vocabulary" if mask is None else "masked-LM head (cls.predictions)"
        raise ValueError(f"{arguments.model} cannot predict masked tokens: it has no {what}; "
                         "`scratch-embed train bert` writes models that can")
    texts, interactive = texts_of(arguments.texts)
    while batch := list(itertools.islice(texts, 1 if interactive else BATCH_SIZE)):
        found = predict(batch, model, tokenizer, mask, arguments.top)
        for text, tokens, probabilities in zip(*found):
            rows = [(token_text(token, tokenizer), float(probability))
                    for token, probability in zip(tokens.tolist(), probabilities)]
            if arguments.json:
                print_results(text, ("token", "score"), rows)
            else:
                print("\t".join(f"{token}\t{probability:.4f}" for token, probability in rows))


def token_text(token, tokenizer):
    """The text of a token id; a model may have more rows than its vocabulary has tokens."""
    return tokenizer.decode([token], False) if token < len(tokenizer) else f"[unused {token}]"


def predict(texts, model, tokenizer, mask, k):
    """(texts, token ids (M, k), probabilities (M, k)) of the M masked tokens of all texts."""
    import numpy as np

    from scratch_embed.transformer.fill import fill_mask
    batch, mask_id = tokenizer.encode_batch(texts), tokenizer.token_to_id(mask)
    for text, start, end in zip(texts, batch.offsets, batch.offsets[1:]):
        if mask_id not in batch.ids[start:end]:
            raise ValueError(f"{text!r:.60} has no {mask}: write it where a token is to be "
                             "predicted")
        if end - start > model.max_length:
            raise ValueError(f"{text!r:.60} has {end - start} tokens, and the model accepts "
                             f"{model.max_length}: shorten it")
    masked = np.flatnonzero(batch.ids == mask_id)
    rows = np.searchsorted(batch.offsets, masked, side="right") - 1
    return [texts[row] for row in rows], *fill_mask(batch, masked, model, k)
