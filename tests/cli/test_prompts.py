"""index, search and evaluate retrieval put a model's prompts before texts, and say which."""
import json

import numpy as np
import pytest

from scratch_embed.cli.text_index import load_index, prompts_of
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from scratch_embed.retrieve.index import Index
from scratch_embed.retrieve.texts import TextIndex
from scratch_embed.sentences.encoder import SentenceEncoder
from tests.mutations import mutated

LINES = ["a cat has milk", "the tenor sang a song", "a dancer looks very happy"]
QUERY, PASSAGE = "the tenor ", "a car "            # of known words, so that they change vectors


@pytest.fixture
def folder(models, tmp_path):
    """An encoder with prompts for queries and passages, a default one and a further one."""
    encoder = SentenceEncoder.load(models.encoder)
    encoder.recipe = encoder.recipe._replace(
        prompts={"query": QUERY, "passage": PASSAGE, "task": "a song "}, default_prompt_name="task")
    encoder.save(tmp_path / "prompted")
    (tmp_path / "texts").write_text("\n".join(LINES))
    return tmp_path / "prompted"


def found(run, *arguments):
    """{line: score} of a query, and what is printed on stderr."""
    code, out, err = run("search", *arguments, "--dense", "--json")
    assert code == 0
    return {row["line"]: row["score"] for row in json.loads(out)["results"]}, err


def cosines(folder, query, query_prompt, document_prompt):
    encoder, index = SentenceEncoder.load(folder), Index(16)
    index.add(range(1, 4), encoder.encode(LINES, prompt=document_prompt))
    ids, scores = index.search(encoder.encode([query], prompt=query_prompt), 3)
    return dict(zip(ids[0].tolist(), scores[0].tolist()))


def assert_scores(scores, expected):
    assert scores.keys() == expected.keys()
    for line, score in expected.items():
        np.testing.assert_allclose(scores[line], score, rtol=0, atol=1e-6)


def test_the_models_prompts_are_used_and_printed(folder, tmp_path, run):
    path = tmp_path / "index"
    code, _, err = run("index", tmp_path / "texts", "-o", path, "--model", folder)
    said = f"prompted: prompt of queries {QUERY!r}, prompt of documents {PASSAGE!r}"
    assert code == 0 and said in err
    scores, err = found(run, path, "a cat")
    assert said in err
    assert_scores(scores, cosines(folder, "a cat", QUERY, PASSAGE))
    assert scores != cosines(folder, "a cat", "", "")              # as before


def test_neighbours_encodes_texts_as_queries(folder, tmp_path, run):
    path = tmp_path / "index"
    run("index", tmp_path / "texts", "-o", path, "--model", folder)
    code, out, err = run("neighbours", path, "a cat", "--json")
    assert code == 0 and f"prompt of queries {QUERY!r}" in err
    assert_scores({row["id"]: row["score"] for row in json.loads(out)["results"]},
                  cosines(folder, "a cat", QUERY, PASSAGE))


@pytest.mark.parametrize("index_options, search_options, query, document", [
    (["--prompt-name", "task"], [], QUERY, "a song "),
    (["--document-prompt", "milk "], ["--query-prompt", "very "], "very ", "milk "),
    (["--document-prompt", ""], ["--query-prompt", ""], "", ""),
    (["--query-prompt", "happy "], [], "happy ", PASSAGE),
    ([], ["--prompt-name", "task"], "a song ", PASSAGE)])
def test_options_choose_the_prompts(index_options, search_options, query, document, folder,
                                    tmp_path, run):
    path = tmp_path / "index"
    assert run("index", tmp_path / "texts", "-o", path, "--model", folder, *index_options)[0] == 0
    scores, err = found(run, path, "a cat", *search_options)
    assert_scores(scores, cosines(folder, "a cat", query, document))
    if query or document:
        assert f"of queries {query!r}" in err or not query
    assert run("search", path, "a cat", "--hybrid", *search_options)[0] == 0


def test_lines_that_are_added_get_the_prompt_of_the_index(folder, tmp_path, run):
    """Vectors of other batches differ by rounding, those of another prompt by more."""
    both, path = tmp_path / "both", tmp_path / "index"
    options = ["--model", folder, "--document-prompt", "milk "]
    run("index", tmp_path / "texts", "-o", path, *options)
    (tmp_path / "more").write_text("the tenor\n")
    assert run("index", tmp_path / "more", "-o", path, "--add")[0] == 0
    (tmp_path / "more").write_text("\n".join([*LINES, "the tenor\n"]))
    run("index", tmp_path / "more", "-o", both, *options)
    np.testing.assert_allclose(Index.load(path)[4], Index.load(both)[4], rtol=0, atol=1e-6)
    other = SentenceEncoder.load(folder).encode("the tenor", prompt="")
    assert abs(Index.load(path)[4] - other).max() > 1e-3
    code, _, err = run("index", tmp_path / "more", "-o", path, "--add", "--document-prompt", "x")
    assert code == 2 and "--add uses the options of the index" in err


def test_an_index_of_an_earlier_version_is_searched_with_the_default_prompt(folder, tmp_path, run):
    """It had no prompts in its metadata, and encode() used the model's default prompt."""
    path = tmp_path / "index"
    run("index", tmp_path / "texts", "-o", path, "--model", folder, "--prompt-name", "task")
    tensors, metadata = read_safetensors(path)
    made_by = json.loads(metadata["made_by"])
    del made_by["query_prompt"], made_by["document_prompt"]
    write_safetensors(path, tensors, {**metadata, "made_by": json.dumps(made_by)})
    assert_scores(found(run, path, "a cat")[0], cosines(folder, "a cat", None, None))


def test_a_changed_description_of_the_model_is_a_format_error_or_is_read(folder, tmp_path, run):
    path = tmp_path / "index"
    run("index", tmp_path / "texts", "-o", path, "--model", folder)
    tensors, metadata = read_safetensors(path)
    plain = {name: metadata[name] for name in ("kind", "normalise", "lines")}
    found = 0
    for data in mutated(json.loads(metadata["made_by"])):
        write_safetensors(path, tensors, {**plain, "made_by": data.decode("utf-8", "replace")})
        try:
            index = load_index(path)
            assert all(text is None or isinstance(text, str) for text in prompts_of(index))
        except FormatError:
            found += 1
    assert found > 50


def test_models_without_prompts_say_nothing(models, tmp_path, run):
    (tmp_path / "texts").write_text("\n".join(LINES))
    _, _, err = run("index", tmp_path / "texts", "-o", tmp_path / "i", "--model", models.encoder)
    assert ": prompt" not in err and "query_prompt" not in TextIndex.load(tmp_path / "i").made_by


@pytest.mark.parametrize("options, code, message", [
    (["--prompt-name", "no"], 1, "expected a prompt of prompted, one of 'query', 'passage', 'ta"),
    (["--prompt-name", "task", "--query-prompt", "x"], 2, "not allowed with")])
def test_a_wrong_prompt_is_an_error(options, code, message, folder, tmp_path, run):
    path = tmp_path / "index"
    run("index", tmp_path / "texts", "-o", path, "--model", folder)
    found, out, err = run("search", path, "a cat", "--dense", *options)
    assert (found, out) == (code, "") and message in err


def test_evaluate_retrieval_uses_and_prints_prompts(folder, tmp_path, run):
    """The known-item search of each line by itself."""
    for name in "corpus", "queries":
        (tmp_path / name).write_text("".join(f"{i}\t{line}\n" for i, line in enumerate(LINES)))
    (tmp_path / "qrels").write_text("".join(f"{i}\t{i}\t1\n" for i in range(3)))
    files = [part for name in ("corpus", "queries", "qrels")
             for part in (f"--{name}", tmp_path / name)]
    scores = []
    for number, (options, query, document) in enumerate([
            ([], QUERY, PASSAGE), (["--prompt-name", "task"], "a song ", PASSAGE),
            (["--query-prompt", "", "--document-prompt", "milk "], "", "milk ")]):
        code, _, err = run("evaluate", "retrieval", folder, *files, "--no-bm25", "--run-out",
                           tmp_path / f"runs{number}", *options)
        said = f"queries {query!r}" if query else "queries none"
        assert code == 0 and f"prompt of {said}, prompt of documents {document!r}" in err
        lines = (tmp_path / f"runs{number}" / "prompted.run").read_text().splitlines()
        scores.append({line.split()[2]: float(line.split()[4]) for line in lines
                       if line.startswith("0 ")})
        expected = cosines(folder, LINES[0], query, document)
        assert_scores(scores[-1], {str(line - 1): score for line, score in expected.items()})
    assert scores[0] != scores[1] != scores[2]


def test_encode_prints_the_default_prompt(folder, tmp_path, run):
    vectors = SentenceEncoder.load(folder).encode(LINES)
    for options, said in ([], True), (["--prompt", ""], False), (["--prompt-name", "task"], False):
        _, _, err = run("encode", folder, tmp_path / "texts", "-o", tmp_path / "v.npy", *options)
        assert ("default prompt 'a song '" in err) is said
        assert np.array_equal(np.load(tmp_path / "v.npy"), vectors) is (options != ["--prompt", ""])


def test_prompts_that_are_not_used_are_said(folder, tmp_path, run):
    encoder = SentenceEncoder.load(folder)
    encoder.recipe = encoder.recipe._replace(prompts={"query": "ask: "}, default_prompt_name=None)
    encoder.save(tmp_path / "asks")
    _, _, err = run("encode", tmp_path / "asks", tmp_path / "texts", "-o", tmp_path / "v.npy")
    assert "no prompt is used, and the model has query 'ask: '; --prompt-name NAME" in err
    (tmp_path / "scored").write_text("a\tb\t1\nb\tc\t0\nc\td\t1\n")
    _, _, err = run("evaluate", "sts", tmp_path / "scored", tmp_path / "asks")
    assert "asks: no prompt is used, and the model has query 'ask: '" in err
    _, _, err = run("train", "cross-encoder", "--scored", tmp_path / "scored", "--model",
                    tmp_path / "asks", "-o", tmp_path / "cross", "--steps", 1, "--batch-size", 2)
    assert "the prompts of" in err and "are not used: a cross-encoder reads" in err


def test_truncated_texts_are_counted(models, tmp_path, run):
    """The model takes 16 tokens: 14 words; of the lines one has more, and one of the queries."""
    (tmp_path / "texts").write_text("a cat\n" + "a " * 14 + "\n" + "a " * 15 + "\n")
    said = "encoder: truncated 1 of the {} to 16 tokens, the most that the model takes"
    _, _, err = run("encode", models.encoder, tmp_path / "texts", "-o", tmp_path / "v.npy")
    assert said.format("lines").removeprefix("encoder") in err
    _, _, err = run("index", tmp_path / "texts", "-o", tmp_path / "i", "--model", models.encoder)
    assert said.format("lines") in err
    _, _, err = run("search", tmp_path / "i", "a cat", "a " * 99)
    assert said.format("queries") in err
    (tmp_path / "corpus").write_text("1\ta cat\n2\t" + "a " * 20 + "\n")
    (tmp_path / "queries").write_text("1\ta cat\n")
    (tmp_path / "qrels").write_text("1\t1\t1\n")
    _, _, err = run("evaluate", "retrieval", models.encoder, "--corpus", tmp_path / "corpus",
                    "--queries", tmp_path / "queries", "--qrels", tmp_path / "qrels")
    assert said.format("documents") in err and "of the queries" not in err


def test_an_instruction_is_a_prompt_of_its_own_form(folder, tmp_path, run):
    """The same query, two instructions: two vectors, those of the prompts in E5's form."""
    path, form = tmp_path / "index", "Instruct: {}\nQuery: "
    run("index", tmp_path / "texts", "-o", path, "--model", folder)
    scores = [found(run, path, "a cat", "--instruction", what)[0] for what in ("a song", "milk")]
    assert scores[0] != scores[1]
    for what, got in zip(("a song", "milk"), scores):
        assert_scores(got, cosines(folder, "a cat", form.format(what), PASSAGE))
    code, out, _ = run("encode", folder, tmp_path / "texts", "--instruction", "milk", "--json")
    expected = SentenceEncoder.load(folder).encode(LINES, prompt=form.format("milk"))
    np.testing.assert_allclose([json.loads(row)["vector"] for row in out.splitlines()], expected,
                               rtol=0, atol=1e-6)
    assert code == 0 and run("search", path, "a cat", "--instruction", "x", "--query-prompt", "y"
                             )[0] == 2
