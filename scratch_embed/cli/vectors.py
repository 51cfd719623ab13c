"""similar, analogy, odd, vectors: commands that use a file of word vectors."""
from scratch_embed.cli.loading import load_vectors, with_words
from scratch_embed.cli.parsing import add_command, refuse_old_names, whole


def add_commands(commands):
    """Add the commands that read a file of vectors."""
    similar = add_command(commands, "similar", "print the nearest neighbours of words by cosine: "
                          "word, neighbour, cosine", "scratch-embed similar vectors.vec king queen",
                          run=run_similar)
    similar.add_argument("file", help="word vectors: word2vec (text or binary), "
                         "GloVe, fastText (.vec, or .bin, which also gives vectors for unknown "
                         "words) or .safetensors; every format except .safetensors may be "
                         "gzip-compressed")
    similar.add_argument("words", nargs="+", metavar="WORD")
    similar.add_argument("--top", type=whole(1), default=10, metavar="N",
                         help="neighbours per word (default: %(default)s)")

    analogy = add_command(commands, "analogy", "print the words that complete 'A is to B as C is "
                          "to ...', the best first: word, score",
                          "scratch-embed analogy vectors.vec man king woman", run=run_analogy)
    analogy.add_argument("file", help="word vectors")
    for word in "ABC":
        analogy.add_argument(word.lower(), metavar=word, help="of 'A is to B as C is to ...'")
    analogy.add_argument("--cosmul", action="store_true",
                         help="rank by 3CosMul, which multiplies similarities, instead of 3CosAdd, "
                              "which adds them")
    analogy.add_argument("--top", type=whole(1), default=10, metavar="N",
                         help="words to print (default: %(default)s)")
    refuse_old_names(analogy, "--multiply")

    odd = add_command(commands, "odd", "print which of several words is least similar to their "
                      "mean (gensim's doesnt_match)",
                      "scratch-embed odd vectors.vec king queen paris prince", run=run_odd)
    odd.add_argument("file", help="word vectors")
    odd.add_argument("words", nargs="+", metavar="WORD")

    vectors = add_command(commands, "vectors", "print vectors, a line per word: the word, then its "
                          "numbers", "echo king | scratch-embed vectors vectors.vec",
                          run=run_vectors)
    vectors.add_argument("file", help="word vectors")
    vectors.add_argument("words", nargs="*", metavar="WORD", help="default: the words of stdin")


def run_similar(arguments):
    """Print a line for each word and neighbour."""
    vectors = load_vectors(arguments.file)
    found = [vectors.most_similar(word, topn=arguments.top) for word in arguments.words]
    for word, neighbours in zip(arguments.words, found):
        for neighbour, cosine in neighbours:
            print(f"{word}\t{neighbour}\t{cosine:.4f}")


def run_analogy(arguments):
    """Print the words that solve the analogy, by 3CosAdd or 3CosMul."""
    vectors = with_words(load_vectors(arguments.file), [arguments.a, arguments.b, arguments.c])
    solve = vectors.most_similar_cosmul if arguments.cosmul else vectors.most_similar
    for word, score in solve(positive=[arguments.b, arguments.c], negative=[arguments.a],
                             topn=arguments.top):
        print(f"{word}\t{score:.4f}")


def run_odd(arguments):
    """Print the word with the lowest cosine to the mean of all given words."""
    vectors = with_words(load_vectors(arguments.file), arguments.words)
    print(vectors.doesnt_match(arguments.words))


def run_vectors(arguments):
    """Print a line per word: the word and its numbers, in the fewest digits that restore them."""
    from scratch_embed.text.corpus import read_sentences
    from scratch_embed.words.vector_files import shortest_digits
    vectors = load_vectors(arguments.file)
    vectors[arguments.words]             # raises MissingWord before anything is printed
    words = arguments.words or (word for line in read_sentences("-") for word in line)
    for word in words:
        print(word, *shortest_digits(vectors[word]))
