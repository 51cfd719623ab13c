"""similar, analogy, odd, vectors: commands that use a file of word vectors."""
from scratch_embed.cli.loading import add_vectors, load_vectors, with_words
from scratch_embed.cli.parsing import (
    add_command,
    add_json,
    add_top,
    refuse_old_names,
)
from scratch_embed.cli.printing import print_json, print_results


def add_commands(commands):
    """Add the commands that read a file of vectors."""
    similar = add_command(commands, "similar", "print the nearest neighbours of words by cosine",
                          "scratch-embed similar vectors.vec king queen", run=run_similar,
                          details="A line per neighbour, the nearest first: word, neighbour, "
                                  "cosine.")
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
                      details="gensim calls it doesnt_match.")
    add_vectors(odd)
    odd.add_argument("words", nargs="+", metavar="WORD", help="a word of the file")
    add_json(odd, '{"query": [WORD, ...], "results": [{"rank", "word"}]}')

    vectors = add_command(commands, "vectors", "print the vectors of words",
                          "echo king | scratch-embed vectors vectors.vec", run=run_vectors,
                          details="A line per word: the word, then its numbers.")
    add_vectors(vectors)
    vectors.add_argument("words", nargs="*", metavar="WORD",
                         help="a word of the file (default: the words of stdin)")
    add_json(vectors, '{"query": word, "vector": [number, ...]} for each word')


def run_similar(arguments):
    """Print a line for each word and neighbour."""
    vectors = load_vectors(arguments.file)
    found = [vectors.most_similar(word, topn=arguments.top) for word in arguments.words]
    for word, neighbours in zip(arguments.words, found):
        if arguments.json:
            print_results(word, ("word", "score"), neighbours)
            continue
        for neighbour, cosine in neighbours:
            print(f"{word}\t{neighbour}\t{cosine:.4f}")


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
    vectors = with_words(load_vectors(arguments.file), arguments.words)
    word = vectors.doesnt_match(arguments.words)
    if arguments.json:
        print_results(arguments.words, ["word"], [[word]])
    else:
        print(word)


def run_vectors(arguments):
    """Print a line per word: the word and its numbers, in the fewest digits that restore them."""
    from scratch_embed.text.corpus import read_sentences
    from scratch_embed.words.vector_files import shortest_digits
    vectors = load_vectors(arguments.file)
    vectors[arguments.words]             # raises MissingWord before anything is printed
    words = arguments.words or (word for line in read_sentences("-") for word in line)
    for word in words:
        if arguments.json:
            print_json({"query": word, "vector": vectors[word].tolist()})
        else:
            print(word, *shortest_digits(vectors[word]))
