"""convert: write word vectors in another format, or a model's folder with float32 weights."""
import os

from scratch_embed.cli.models import check_folder
from scratch_embed.cli.parsing import add_command, require_writable
from scratch_embed.cli.training import say


def add_commands(commands):
    """Add `convert`."""
    convert = add_command(commands, "convert", "write word vectors or a model in another format",
                          "scratch-embed convert model.bin words.safetensors", run=run_convert,
                          details="The ending of OUT chooses the format of word vectors: .vec or "
                                  ".txt is word2vec's text; .bin is word2vec's binary format; "
                                  ".safetensors and .npy are a table, with the words in a "
                                  ".vocab.txt beside it.  A model's folder becomes a folder with "
                                  "one file of float32 weights.")
    convert.add_argument("file", metavar="IN", help="word vectors of any format, a fastText model "
                         "(.bin), or a model's folder")
    convert.add_argument("output", metavar="OUT", help="the file or folder to write")
    convert.add_argument("--errors", choices=["keep", "strict", "replace", "ignore"],
                         default="keep",
                         help="what to do with bytes that are not UTF-8, in the words: keep them, "
                              "stop with an error, write U+FFFD in their place, or leave them out "
                              "(default: %(default)s)")


def run_convert(arguments):
    """Check the names, read, write, say what was written."""
    if os.path.isdir(arguments.file):
        convert_folder(arguments.file, arguments.output)
    else:
        convert_vectors(arguments.file, arguments.output, arguments.errors)


def convert_vectors(path, output, errors="keep"):
    """Read word vectors of any format, and write them in that of the ending of `output`."""
    from scratch_embed.loading import load
    from scratch_embed.words.any_format import load_words
    from scratch_embed.words.fasttext_vectors import FastTextVectors
    from scratch_embed.words.vectors import WordVectors, writer_for
    writer_for(output)                                 # ValueError for an unknown ending
    require_writable(output, path)
    vectors = load(path) if errors == "keep" else load_words(path, errors)[0]
    if isinstance(vectors, FastTextVectors):
        say(f"{path}: its n-grams are left out: words that are not among the {len(vectors):,} have "
            f"no vector in {output}")
        vectors = vectors.words
    if not isinstance(vectors, WordVectors):
        raise ValueError(f"{path}: expected word vectors, a fastText model of words or a model's "
                         f"folder, got {vectors!r}")
    if vectors.tokenizer is not None and not output.lower().endswith(".safetensors"):
        say(f"{output} has no place for the tokenizer ({vectors.tokenizer}): commands will deduce "
            "it from the vocabulary")
    vectors.save(output)
    say(f"{len(vectors):,} words x {vectors.vectors.shape[1]} dimensions; wrote {output}")


def convert_folder(path, output):
    """Read a model's folder, and write it with its weights in one model.safetensors of float32."""
    from scratch_embed.cli.models import read_model
    from scratch_embed.numerics.folders import replaced_together
    from scratch_embed.sentences.bge_m3 import BgeM3
    from scratch_embed.sentences.bge_m3_folder import FILES
    from scratch_embed.sentences.encoder import SentenceEncoder
    from scratch_embed.transformer.families import save_tokenizer
    from scratch_embed.words.vectors import WRITERS
    m3 = any(os.path.exists(os.path.join(path, f"{name}.safetensors")) for name in FILES.values())
    sentences = m3 or os.path.exists(os.path.join(path, "modules.json"))
    if (ending := os.path.splitext(output)[1].lower()) and ending in WRITERS:
        raise ValueError(f"{output}: expected the name of a folder, because {path} is a model's "
                         "folder, got the ending of a file of word vectors; change the name")
    check_folder(output, sentences)
    if os.path.exists(output) and os.path.samefile(path, output):
        raise ValueError(f"{output}: expected another folder than the model's own")
    if sentences:
        encoder = (BgeM3 if m3 else SentenceEncoder).load(path)       # BgeM3: with its two heads
        encoder.save(output)
        model = encoder.encoder.model if m3 else encoder.model
    else:
        model, tokenizer = read_model(path)
        with replaced_together(output, "config.json") as folder:
            model.save(folder)
            save_tokenizer(folder, model, tokenizer, model.max_length)
    say(f"{model!r}, {model.p.flat.size:,} parameters in float32; wrote {output}")
