"""A text index and the model that made it: a new index, an existing one, and whether they fit.

Read next cli/search.py (the commands `index` and `search`), retrieve/texts.py (the file)
"""
import os

from scratch_embed.cli.loading import chosen_sif, digest_of, is_model, load_encoder
from scratch_embed.cli.m3_search import chosen_kinds, new_m3_index
from scratch_embed.cli.prompts import Prompts, chosen_prompts
from scratch_embed.cli.senses import require_same_sense, sense_input, sense_name
from scratch_embed.cli.tokenizing import chosen_tokenizer, split_of_version_0_1


def new_index(arguments):
    """(an empty TextIndex, its encoder or BgeM3, the paths of files or None for a text)."""
    from scratch_embed.retrieve.texts import TextIndex
    from scratch_embed.sentences.static import StaticEncoder
    from scratch_embed.text.word_tokenizer import WORDS, WordTokenizer
    kinds = chosen_kinds(arguments)
    tokenizer, digest = chosen_tokenizer(arguments), digest_of(arguments.model, len(kinds) > 1)
    sif = chosen_sif(arguments, arguments.model)
    loaded = load_any(arguments.model, sif, tokenizer, kinds)
    encoder, files = dense_part(loaded), None
    if found := sense_input(arguments.texts, arguments.model, encoder, arguments.sense):
        loaded, files = found
        encoder = loaded
        if arguments.prompt_name is not None or arguments.document_prompt is not None:
            raise ValueError(f"--document-prompt, --prompt-name: expected with a text, and "
                             f"{arguments.texts} has files, before which no text can be put; leave "
                             "it out")
    split = encoder.tokenize if isinstance(encoder, StaticEncoder) else None
    split = split if isinstance(split, WordTokenizer) else None            # a folder has its own
    made_by = {"model": os.path.abspath(arguments.model), "digest": digest, "sif": sif,
               "tokenizer": split and split._asdict(),
               "bm25_tokenizer": (tokenizer or WORDS)._asdict()}
    prompts = chosen_prompts(encoder, os.path.basename(arguments.model), arguments.query_prompt,
                             arguments.document_prompt, document_name=arguments.prompt_name)
    made_by |= {f"{kind}_prompt": text for kind, text in prompts._asdict().items()
                if text is not None}
    if sense_name(encoder):
        made_by["sense"] = sense_name(encoder)
    return TextIndex(encoder.encode([]).shape[1], made_by, None if loaded is encoder else
                     new_m3_index(loaded, kinds)), loaded, files


def load_any(path, sif, tokenizer, kinds, note=True):
    """The encoder of a model's path; the BgeM3 if another kind than dense is wanted."""
    from scratch_embed.sentences.bge_m3 import BgeM3
    return load_encoder(path, sif, tokenizer, note=note) if kinds == ("dense",) else (
        BgeM3.load(path))


def dense_part(loaded):
    """The encoder of a BgeM3, which has its prompts and length; any other encoder itself."""
    from scratch_embed.sentences.bge_m3 import BgeM3
    return loaded.encoder if isinstance(loaded, BgeM3) else loaded


def open_index(arguments):
    """(the existing TextIndex, its encoder or BgeM3, the paths of files or None for a text)."""
    index = load_index(arguments.output)
    loaded, files = encoder_of(index, arguments.output, arguments.model), None
    sense = arguments.sense or (index.made_by.get("sense") if of_maps(index) else None)
    if found := sense_input(arguments.texts, index.made_by["model"], dense_part(loaded), sense):
        loaded, files = found
    require_same_sense(index, arguments.output, loaded)
    return index, loaded, files


def of_maps(index):
    """Whether an index holds depth or thermal images: --add needs no --sense then."""
    return index.made_by.get("sense") in ("depth", "thermal")


def load_index(path):
    """Read a TextIndex that `new_index` created.  Raises FormatError for any other file."""
    from scratch_embed.sentences.bge_m3_index import load_text_index
    index = load_text_index(path)
    fields = made_by_of(index, path)
    for name in "model", "digest":
        fields.text(name)
    if index.made_by.get("sif") is not None:
        fields.positive("sif")
    splits_of(index, path)
    for name in "query_prompt", "document_prompt", "sense":
        fields.text(name, None)
    return index


def prompts_of(index):
    """The Prompts of an index; earlier versions stored none, and used the default prompt."""
    return Prompts(index.made_by.get("query_prompt"), index.made_by.get("document_prompt"))


def made_by_of(index, path):
    """The description of an index's model, as Fields."""
    from scratch_embed.numerics.json_files import Fields
    return Fields(path, index.made_by, "its `made_by`")


def splits_of(index, path):
    """(text -> words of the encoder, None for a transformer; text -> words of BM25)."""
    from scratch_embed.numerics.json_files import NULL
    from scratch_embed.text.word_tokenizer import from_fields
    fields = made_by_of(index, path)
    if "tokens" in fields:                                 # of version 0.1
        split = split_of_version_0_1(fields.one_of("tokens", ("spaces", "words")))
        return split, split
    stored = fields.of("tokenizer", dict, NULL)
    return (stored and from_fields(fields.inside("tokenizer")),
            from_fields(fields.inside("bm25_tokenizer")))


def encoder_of(index, path, model=None):
    """The encoder of an index, or its BgeM3.  path: of the index; model: its new path, if it moved.

    Raises ValueError if another model made the index.
    """
    made_by, kinds = index.made_by, getattr(index.index, "kinds", ("dense",))
    model = model or made_by["model"]
    if not os.path.exists(model):
        raise FileNotFoundError(f"{path} was made with {model}, which does not exist; if it has "
                                "moved, give its new path with --model")
    if not is_model(model, made_by["digest"], len(kinds) > 1):
        raise ValueError(f"{path} was made with another model than {model} (digest "
                         f"{made_by['digest']}, found {digest_of(model, len(kinds) > 1)}): their "
                         "vectors cannot "
                         "be compared; index the texts again, or give the old model with --model")
    loaded = load_any(model, made_by.get("sif"), splits_of(index, path)[0], kinds, note=False)
    dim = dense_part(loaded).encode([]).shape[1]
    if dim != index.index.dim:
        raise ValueError(f"{path} has vectors of {index.index.dim} dimensions, and {model} has "
                         f"{dim}: index the texts again")
    return loaded
