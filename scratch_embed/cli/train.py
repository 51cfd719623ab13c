"""train word2vec: from a text file to a file of vectors."""
import os
import sys

from scratch_embed.cli.parsing import add_command, check_output, positive, whole


def add_commands(commands):
    """Add `train` and the methods it knows."""
    train = add_command(commands, "train", "train vectors on a text",
                        "scratch-embed train word2vec corpus.txt -o vectors.vec")
    methods = train.add_subparsers(metavar="METHOD", required=True)
    add_word2vec(methods)


def add_word2vec(methods):
    """Add `train word2vec`."""
    command = add_command(
        methods, "word2vec", "word vectors by word2vec (Mikolov et al. 2013)",
        "scratch-embed train word2vec corpus.txt.gz -o vectors.vec --dim 100 --workers 2",
        run=run_word2vec)
    command.add_argument("corpus", help='text, plain or gzip, a sentence a line; "-" is stdin')
    command.add_argument("-o", "--output", required=True, metavar="FILE",
                         help="word2vec text format; binary if it ends in .bin; safetensors and a "
                              "vocabulary beside it if it ends in .safetensors")
    command.add_argument("--errors", choices=["strict", "replace", "ignore"], default="strict",
                         help="what to do with bytes that are not UTF-8 (%(default)s)")
    command.add_argument("--mode", choices=["skipgram", "cbow"], default="skipgram",
                         help="guess the neighbours, or the word between them (%(default)s)")
    command.add_argument("--loss", choices=["ns", "hs"], default="ns",
                         help="negative sampling or hierarchical softmax (%(default)s)")
    command.add_argument("--form", choices=["exact", "shared"], default="exact",
                         help="fresh noise for every pair, or, faster, one draw for all pairs of a "
                              "position: skip-gram with ns only (%(default)s)")
    command.add_argument("--cbow-error", choices=["full", "mean"], default="full",
                         help="what each context word takes of cbow's error: all, as the original "
                              "does, or its share, as the equation says (%(default)s)")
    number = command.add_argument
    number("--dim", type=whole(1), default=100, help="numbers in a vector (%(default)s)")
    number("--window", type=whole(1), default=5, help="the farthest neighbour (%(default)s)")
    number("--negatives", type=whole(1), default=5, help="noise words for each pair (%(default)s)")
    number("--sample", type=positive, default=1e-3,
           help="thin out words more frequent than this; 0 keeps all (%(default)s)")
    number("--min-count", type=whole(1), default=5, help="leave out rarer words (%(default)s)")
    number("--max-size", type=whole(1), help="keep at most so many words, the most frequent")
    number("--epochs", type=whole(1), default=5, help="passes over the text (%(default)s)")
    number("--lr", type=positive, help="learning rate at the start (0.025, cbow 0.05)")
    number("--workers", type=whole(1), default=1,
           help="threads; one gives the same result every time (%(default)s)")
    number("--seed", type=whole(0), default=1, help="of all random choices (%(default)s)")
    command.add_argument("--on-disk", metavar="FOLDER",
                         help="keep the text's numbers in files there, if memory is too small")
    command.add_argument("--checkpoint", metavar="FILE",
                         help="save the state there every minute and at Ctrl-C")
    command.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    command.set_defaults(usage_error=command.error)


def run_word2vec(arguments):
    """Read, train, save; say what was done on stderr."""
    from scratch_embed.text.reader import read_corpus
    from scratch_embed.words.checkpoint import Checkpoint
    from scratch_embed.words.vector_tensors import vocabulary_beside
    from scratch_embed.words.vectors import WordVectors, writer_for
    from scratch_embed.words.word2vec import train

    chunk, lr, negatives = chosen_form(arguments)
    if arguments.resume and not arguments.checkpoint:
        arguments.usage_error("--resume needs --checkpoint FILE, the file to go on from")
    check_output(arguments.output, arguments.corpus)
    writer_for(arguments.output)
    if arguments.output.lower().endswith(".safetensors"):
        check_output(vocabulary_beside(arguments.output), arguments.corpus)
    if arguments.on_disk:
        os.makedirs(arguments.on_disk, exist_ok=True)
    checkpoint = None
    if arguments.checkpoint:
        check_output(arguments.checkpoint, arguments.corpus)
        if os.path.realpath(arguments.checkpoint) == os.path.realpath(arguments.output):
            arguments.usage_error("--output and --checkpoint are one file; name two")
        checkpoint = Checkpoint(arguments.checkpoint, arguments.resume)
    vocab, corpus = read_corpus(arguments.corpus, arguments.min_count, arguments.max_size,
                                arguments.errors, arguments.on_disk)
    print(f"kept {len(corpus.ids):,} words in {len(corpus.off) - 1:,} sentences, "
          f"{len(vocab):,} different", file=sys.stderr)
    if checkpoint and arguments.resume:
        there = os.path.exists(arguments.checkpoint)
        print("resuming" if there else "nothing to resume, beginning anew:", arguments.checkpoint,
              file=sys.stderr)
    trained = train(corpus, vocab, chunk, dim=arguments.dim, window=arguments.window,
                    negatives=negatives, sample=arguments.sample, lr=lr, epochs=arguments.epochs,
                    workers=arguments.workers, seed=arguments.seed, progress=True,
                    checkpoint=checkpoint)
    WordVectors(vocab.words, trained.W).save(arguments.output)
    print(f"loss {trained.losses[-1]:.4f}; wrote {arguments.output}", file=sys.stderr)


def chosen_form(arguments):
    """(chunk function, learning rate, negatives) for --mode, --loss, --form and --cbow-error."""
    from scratch_embed.words import cbow, shared_negatives, word2vec
    if arguments.cbow_error == "mean" and arguments.mode != "cbow":
        arguments.usage_error("--cbow-error mean needs --mode cbow")
    if arguments.form == "shared" and (arguments.mode, arguments.loss) != ("skipgram", "ns"):
        arguments.usage_error("--form shared needs --mode skipgram and --loss ns")
    if arguments.mode == "cbow":
        chunk = {"full": cbow.cbow_chunk, "mean": cbow.corrected_cbow_chunk}[arguments.cbow_error]
    else:
        chunk = {"exact": word2vec.skipgram_chunk,
                 "shared": shared_negatives.shared_chunk}[arguments.form]
    usual = 0.05 if arguments.mode == "cbow" else 0.025
    lr = usual if arguments.lr is None else arguments.lr
    return chunk, lr, 0 if arguments.loss == "hs" else arguments.negatives
