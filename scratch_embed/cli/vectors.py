"""similar, analogy, odd, vectors: commands that use a file of word vectors."""
from scratch_embed.cli.loading import add_vectors, load_vectors, with_words
from scratch_embed.cli.messages import say
from scratch_embed.cli.parsing import (
    add_command,
    add_json,
    add_top,
    refuse_old_names,
)
from scratch_embed.cli.printing import print_json, print_results

EQUAL, LEAST = 0.98, 10            # a cosine of vectors that are nearly equal; of so many words
UNKNOWN = ("An unknown word is named on stderr, and the exit code is 1; the others are answered.")


def add_commands(commands):
    """Add the commands that read a file of vectors."""
    similar = add_command(commands, "similar", "print the nearest neighbours of words by cosine",
                          "scratch-embed similar vectors.vec king queen", run=run_similar,
                          details="A line per neighbour, the nearest first: word, neighbour, "
                                  f"cosine.  {UNKNOWN}")
    add_vectors(similar)
    similar.add_argument("words", nargs="+", metavar="WORD", help="a word of the file")
    add_top(similar, 10, "neighbours per word")
    add_json(similar, '{"query": word, "results": [{"rank", "word", "score"}]} for each word')

    analogy = add_command(commands, "analogy", "print the words that complete 'A is to B as C is "
                          "to ...'", "scratch-embed analogy vectors.vec man king woman",
                          run=run_analogy,
                          details="A line per word, the best first: word, score.")
    add_vectors(analogy)
    for word in "ABC":
        analogy.add_argument(word.lower(), metavar=word,
                             help=f"the word {word} in 'A is to B as C is to ...'")
    analogy.add_argument("--cosmul", action="store_true",
                         help="rank by 3CosMul, which multiplies similarities, instead of 3CosAdd, "
                              "which adds them")
    add_top(analogy, 10, "words to print")
    add_json(analogy, '{"query": [A, B, C], "results": [{"rank", "word", "score"}]}')
    refuse_old_names(analogy, "--multiply")

    odd = add_command(commands, "odd", "print the word that is least similar to the mean of all",
                      "scratch-embed odd vectors.vec king queen paris prince", run=run_odd,
                      details=f"gensim calls it doesnt_match.  {UNKNOWN}")
    add_vectors(odd)
    odd.add_argument("words", nargs="+", metavar="WORD", help="a word of the file")
    add_json(odd, '{"query": [WORD, ...], "results": [{"rank", "word"}]}')

    vectors = add_command(commands, "vectors", "print the vectors of words",
                          "echo king | scratch-embed vectors vectors.vec", run=run_vectors,
                          details=f"A line per word: the word, then its numbers.  {UNKNOWN}")
    add_vectors(vectors)
    vectors.add_argument("words", nargs="*", metavar="WORD",
                         help="a word of the file (default: the words of stdin)")
    add_json(vectors, '{"query": word, "vector": [number, ...]} for each word')


def run_similar(arguments):
    """Print a line for each word and neighbour."""
    vectors, missing, equal = load_vectors(arguments.file), [], ""
    for word in with_a_vector(arguments.words, vectors, missing):
        neighbours = vectors.most_similar(word, topn=arguments.top)
        equal = equal or nearly_equal(word, vectors, neighbours)
        if arguments.json:
            print_results(word, ("word", "score"), neighbours)
            continue
        for neighbour, cosine in neighbours:
            print(f"{word}\t{neighbour}\t{cosine:.4f}")
    if equal:
        say(f"{arguments.file}: {equal}")
    report(missing)


def nearly_equal(word, vectors, neighbours):
    """A sentence if the word has nearly the same cosine with all others, which is near 1; or "".

    neighbours: the nearest, which show first whether that is possible
    """
    if len(vectors) <= LEAST or not neighbours or neighbours[-1][1] < EQUAL:
        return ""
    *_, (_, lowest) = vectors.most_similar(word, topn=len(vectors))
    return "" if lowest < EQUAL else (
        f"the vectors are nearly equal ({word!r} has a cosine of at least {lowest:.4f} with every "
        "word), so this order says little; they have learned little")




def with_a_vector(words, vectors, missing):
    """Yield the words that have a vector; append the MissingWord of each other to `missing`."""
    from scratch_embed.words.vectors import MissingWord
    for word in words:
        try:
            vectors[word]
        except MissingWord as error:
            missing.append(error)
        else:
            yield word


def report(missing):
    """Name the words without a vector on stderr: the last one by raising it, for exit code 1."""
    for error in missing[:-1]:
        say(f"scratch-embed: {error}")
    if missing:
        raise missing[-1]


def run_analogy(arguments):
    """Print the words that solve the analogy, by 3CosAdd or 3CosMul."""
    vectors = with_words(load_vectors(arguments.file), [arguments.a, arguments.b, arguments.c])
    solve = vectors.most_similar_cosmul if arguments.cosmul else vectors.most_similar
    found = solve(positive=[arguments.b, arguments.c], negative=[arguments.a], topn=arguments.top)
    if arguments.json:
        print_results([arguments.a, arguments.b, arguments.c], ("word", "score"), found)
        return
    for word, score in found:
        print(f"{word}\t{score:.4f}")


def run_odd(arguments):
    """Print the word with the lowest cosine to the mean of all given words."""
    vectors, missing = with_words(load_vectors(arguments.file), arguments.words), []
    words = list(with_a_vector(arguments.words, vectors, missing))
    if len(words) > 1 or not missing:
        word = vectors.doesnt_match(words)
        if arguments.json:
            print_results(words, ["word"], [[word]])
        else:
            print(word)
    report(missing)


def run_vectors(arguments):
    """Print a line per word: the word and its numbers, in the fewest digits that restore them."""
    from scratch_embed.text.corpus import read_sentences
    from scratch_embed.words.vector_files import shortest_digits
    vectors, missing = load_vectors(arguments.file), []
    words = arguments.words or (word for line in read_sentences("-") for word in line)
    for word in with_a_vector(words, vectors, missing):
        if arguments.json:
            print_json({"query": word, "vector": vectors[word].tolist()})
        else:
            print(word, *shortest_digits(vectors[word]))
    report(missing)
