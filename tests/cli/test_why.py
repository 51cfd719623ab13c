"""`why` prints each ablation's prediction, then its effects; then its other tables."""
import importlib
import re
from functools import partial

import pytest

from scratch_embed.cli.main import main, parser
from scratch_embed.why import compression, retrieval
from scratch_embed.why.word2vec import ABLATIONS, METHODS


@pytest.fixture(scope="module")
def printed():
    import contextlib
    import io
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main(["why", "word2vec", "--seeds", "2", "--sentences", "150"]) == 0
    return out.getvalue()


def test_each_ablation_has_its_prediction_and_then_a_line_for_each_variant(printed):
    at = 0
    for ablation in ABLATIONS:
        heads = [f"\n{ablation.name}\n", f"    Prediction: {ablation.prediction[:40]}"]
        lines = [rf"    {re.escape(instead)} +{predicted} +\d+\.\d +\d+\.\d"
                 r" *[+-]\d+\.\d ± +\d+\.\d  (helps|hurts|not significant)\n"
                 for instead, (_, predicted) in ablation.variants.items()]
        for pattern in [*map(re.escape, heads), *lines]:
            found = re.compile(pattern).search(printed, at)
            assert found, pattern
            at = found.end()


def test_the_predictions_that_held_are_counted(printed):
    total = sum(len(ablation.variants) for ablation in ABLATIONS)
    verdict = "(helps|hurts|not significant)"
    held = len(re.findall(rf" {verdict} +\d.+ ± .+  \1$", printed, re.M))
    assert f"\n{held} of {total} predictions held." in printed and held < total


def test_each_method_has_a_line_with_its_interval_and_the_methods_that_do_not_differ(printed):
    for number, name in enumerate(METHODS, 1):
        assert re.search(rf"^    {number}  {re.escape(name)} +\d+\.\d ± +\d+\.\d   (none|[\d ]+)$",
                         printed, re.M), name


def test_the_closed_form_comes_last_with_both_forms(printed):
    last = printed[printed.index("3  The closed form"):]
    assert len(re.findall(r"^    log P\(m,n\).+ 0\.\d{4} ± \d\.\d{4} +0\.\d{4} ± \d\.\d{4} +"
                          r"\d\.\d{3} ± \d+\.\d{3}$", last, re.M)) == 4


def test_no_line_is_wider_than_a_hundred_characters(printed):
    assert max(map(len, printed.splitlines())) <= 100


@pytest.mark.parametrize("method, last", [
    ("glove", r"^      5 dimensions  0\.\d{4} ± \d\.\d{4}   \d\.\d{4} ± \d\.\d{4}   \d\.\d{3}$"),
    ("fasttext", r"^ +20 +[\d,]+ +20 +100\.0$")])
def test_glove_and_fasttext_print_their_predictions_first(method, last, capsys):
    assert main(["why", method, "--seeds", "2", "--sentences", "150"]) == 0
    printed = capsys.readouterr().out
    ablations = importlib.import_module(f"scratch_embed.why.{method}").ABLATIONS
    for ablation in ablations:
        at = printed.index(f"\n{ablation.name}\n")
        at = printed.index(f"    Prediction: {ablation.prediction[:40]}", at)
        for instead, (_, predicted) in ablation.variants.items():
            found = re.compile(rf"^    {re.escape(instead)} +{predicted} .* ± ", re.M).search(
                printed, at)
            assert found, instead
    assert re.search(last, printed, re.M) and max(map(len, printed.splitlines())) <= 100


@pytest.mark.parametrize("method, others, arguments", [
    ("bert", r"loss [+-]\d+\.\d\d ± \d+\.\d\d", []),
    ("gpt2", r"loss as in training [+-].+, STS [+-].+", []),
    ("simcse", r"STS [+-].+, alignment [+-].+, uniformity [+-].+", ["--documents", "40"])])
def test_ablations_of_a_transformer_print_further_measures(method, others, arguments,
                                                           monkeypatch, capsys):
    """Two ablations of each method, with two steps each."""
    module = importlib.import_module(f"scratch_embed.why.{method}")
    ablations = [ablation._replace(settings=dict(ablation.settings, steps=2, batch_size=8))
              for ablation in module.ABLATIONS[1:3]]
    monkeypatch.setattr(module, "ABLATIONS", ablations)
    if method == "gpt2":
        monkeypatch.setattr(module, "BASE", ablations[0].settings)
        monkeypatch.setattr(module, "toy_text", partial(module.toy_text, pairs=24))
    if method == "simcse":
        from scratch_embed.why.sentences import pretrain
        monkeypatch.setattr("scratch_embed.why.sentences.pretrain", partial(pretrain, steps=2))
    assert main(["why", method, "--seeds", "2", "--sentences", "150", *arguments]) == 0
    printed = capsys.readouterr().out
    for ablation in ablations:
        at = printed.index(f"    Prediction: {ablation.prediction[:40]}")
        for instead, (_, predicted) in ablation.variants.items():
            found = re.compile(rf"^    {re.escape(instead)} +{predicted} .* ± .*\n +{others}$",
                               re.M).search(printed, at)
            assert found, instead
    assert re.search(r"^\d+ of \d+ predictions held", printed, re.M)
    assert max(map(len, printed.splitlines())) <= 100


@pytest.mark.campaign
def test_why_sbert_prints_five_parts(monkeypatch, capsys):
    """Two tiny worlds, one step of each training; the scores mean nothing."""
    from scratch_embed.why import learned, plateau, sbert, sentences
    monkeypatch.setitem(learned.BI_ENCODER, "steps", 1)
    monkeypatch.setattr(plateau, "STARTS", {name: (make, 1) for name, (make, _)
                                            in plateau.STARTS.items()})
    for name in ("ABLATIONS", "MEMORISING"):
        monkeypatch.setattr(sbert, name, [
            ablation._replace(settings=dict(ablation.settings, steps=1, batch_size=8))
            for ablation in getattr(sbert, name)[-2:]])
    monkeypatch.setattr(sentences, "pretrain", partial(sentences.pretrain, steps=1))
    monkeypatch.setitem(sentences.SIMCSE, "steps", 1)
    assert main(["why", "sbert", "--seeds", "2", "--sentences", "150", "--documents", "60"]) == 0
    printed = capsys.readouterr().out
    assert re.findall(r"^(\d)  ", printed, re.M) == list("12345")
    for row in ("bi-encoder", "SimCSE", "BM25 \\+ bi-encoder, scores", "from word vectors",
                "masked LM, 4 x the steps"):
        assert re.search(rf"^    {row} +\d.* ± ", printed, re.M), row
    assert re.search(r"In total \d+ of \d+ predictions held", printed)


def test_matryoshka_prints_its_four_parts(monkeypatch, capsys):
    """One ablation, and small worlds."""
    from scratch_embed.why import input_types, matryoshka, prefixes
    monkeypatch.setattr(matryoshka, "ABLATIONS", matryoshka.ABLATIONS[2:3])
    monkeypatch.setattr(prefixes, "tree", partial(prefixes.tree, pairs=80))
    monkeypatch.setattr(prefixes, "flat", partial(prefixes.flat, documents=40, pairs=80))
    monkeypatch.setattr(prefixes, "LARGE", dict(per_kind=1))
    monkeypatch.setattr(prefixes, "QUERIES_PER_KIND", 1)
    monkeypatch.setattr(input_types, "compare", partial(input_types.compare, documents=40,
                                                        pairs=60, steps=1))
    assert main(["why", "matryoshka", "--seeds", "2", "--steps", "1"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^    as cut +helps .* ± .*\n +at 8 .*, at 16 .*, at 64 ", printed, re.M)
    assert len(re.findall(r"^    trained at that size( +[+-]?\d+\.\d ± +\d+\.\d){5}$", printed,
                          re.M)) == 5 + 2
    assert re.search(r"^    8 +int8 +8 +\d+\.\d ± +\d+\.\d +[\d,]+$", printed, re.M)
    assert re.search(r"^    classification( +\d+\.\d ± +\d+\.\d){3}$", printed, re.M)
    assert max(map(len, printed.splitlines())) <= 100


def test_rerank_prints_the_curve_and_then_the_ablations(monkeypatch, capsys):
    """Two ablations, and small worlds."""
    from scratch_embed.why import rerank, who_did_what
    monkeypatch.setattr(rerank, "ABLATIONS", rerank.ABLATIONS[2:])
    monkeypatch.setattr(rerank, "experiment", partial(rerank.experiment, groups=4, queries=4,
                                                      training=30))
    monkeypatch.setitem(who_did_what.BI_ENCODER, "steps", 1)
    assert main(["why", "rerank", "--seeds", "2", "--steps", "1"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^    synonyms, no word order +\d+\.\d ± +\d+\.\d$", printed, re.M)
    for row in ("bi-encoder: 1 pass", "depth 10: 11 passes"):
        assert re.search(rf"^    {row}( +\d+\.\d ± +\d+\.\d){{3}}$", printed, re.M)
    assert re.search(r"^    one segment +not significant .*\n +depth 10 .*, depth 100 ", printed,
                     re.M)
    assert max(map(len, printed.splitlines())) <= 100


@pytest.fixture(scope="module")
def searches():
    import contextlib
    import io
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main(["why", "retrieval", "--seeds", "2", "--sentences", "300",
                     "--documents", "40"]) == 0            # the minimum
    return out.getvalue()


def test_each_ablation_of_search_has_its_prediction_and_then_its_lines(searches):
    at = 0
    for ablation in [*retrieval.ABLATIONS, *retrieval.HYBRID_ABLATIONS, *compression.ABLATIONS]:
        heads = [f"\n{ablation.name}\n", f"    Prediction: {ablation.prediction[:40]}"]
        lines = [rf"    {re.escape(instead)} +{predicted} +\d+\.\d +\d+\.\d *[+-]\d+\.\d ± "
                 for instead, (_, predicted) in ablation.variants.items()]
        for pattern in [*map(re.escape, heads), *lines]:
            found = re.compile(pattern).search(searches, at)
            assert found, pattern
            at = found.end()


def test_predictions_about_ties_come_before_the_table_and_their_verdicts_after_it(searches):
    part = searches[searches.index("4  Ties"):]
    table = part.index("a constant  ")
    for claim in retrieval.CLAIMS:
        assert part.index(f"    {claim}\n") < table
        assert re.search(rf"^    (held|failed): {re.escape(claim)}$", part[table:], re.M)
    assert re.search(r"^    a constant +100\.00 +100\.0 +0\.0 +[\d.]+ +100\.0 +0\.0 +[\d.]+$", part,
                     re.M)


def test_all_parts_are_counted_together_at_the_end(searches):
    counts = [tuple(map(int, pair)) for pair in
              re.findall(r"^(\d+) of (\d+) predictions held", searches, re.M)]
    counts.append((searches.count("    held: "), len(retrieval.CLAIMS)))
    held, total = map(sum, zip(*counts))
    assert len(counts) == 4 and searches.endswith(f"In total {held} of {total} predictions held.\n")


def test_the_bytes_of_each_form_are_printed_beside_its_score(searches):
    for name, stored in [("float32", 256), ("bits, float x bits, int8", 72), ("PCA to 16", 64)]:
        assert re.search(rf"^    {name} +{stored} +\d+\.\d ± +\d+\.\d +[+-]\d+\.\d ± \d+\.\d$",
                         searches, re.M), name
    assert max(len(line) for line in searches.splitlines()
               if not re.search(r"± \d{3}", line)) <= 100   # two seeds give wide intervals


@pytest.mark.parametrize("command", [["why"], ["why", "word2vec"], ["why", "glove"],
                                     ["why", "fasttext"], ["why", "retrieval"]], ids=" ".join)
def test_help_ends_with_an_example_that_the_parser_understands(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    example = capsys.readouterr().out.rstrip().splitlines()[-1].split()
    assert ended.value.code == 0 and example[0] == "scratch-embed"
    assert parser().parse_args(example[1:]).run


def test_one_seed_is_refused(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["why", "word2vec", "--seeds", "1"])
    assert ended.value.code == 2 and "at least 2" in capsys.readouterr().err


def test_settings_are_listed_by_the_names_of_options_and_not_as_python_writes_them():
    from scratch_embed.cli.printing import listed
    from scratch_embed.words.fasttext import DETAILS, skipgram_chunk
    from scratch_embed.words.glove import c_adagrad
    from scratch_embed.words.subwords import NGrams
    assert listed({"x_max": 10, "adagrad": c_adagrad, "method": skipgram_chunk}) == (
        "x-max 10, adagrad c, method skipgram")
    found = listed({"ngrams": NGrams(3, 6, 200), "details": DETAILS})
    assert found.startswith("min-n 3, max-n 6, buckets 200, power 0.5, fixed-window no")


@pytest.mark.campaign
def test_why_e5_prints_two_parts(monkeypatch, capsys):
    """Two tiny worlds, one step of each training; the scores mean nothing."""
    from scratch_embed.why import e5, instructions
    monkeypatch.setattr(e5, "LABELLED", 60)
    for settings in e5.STAGE_1, e5.LONGER, e5.TEACHER:
        monkeypatch.setitem(settings, "steps", 1)
    monkeypatch.setattr(e5, "NEGATIVES", dict(list(e5.NEGATIVES.items())[:3]))
    monkeypatch.setattr(e5, "ABLATIONS", [ablation._replace(
        settings=dict(ablation.settings, steps=1, mining=e5.Mining(1))) for ablation in
        (e5.ABLATIONS[0], e5.ABLATIONS[3])])
    tiny = dict(steps=1, batch_size=8, lr=1e-3)
    monkeypatch.setattr(instructions, "measure", partial(
        instructions.measure, stages=(tiny, tiny), triplets=50))
    assert main(["why", "e5", "--seeds", "2", "--sentences", "150", "--documents", "60"]) == 0
    printed = capsys.readouterr().out
    assert re.findall(r"^(\d)  ", printed, re.M) == list("12")
    for row in ("the model, no margin", "its 50 best, reranked by the teacher", "stage 2"):
        assert re.search(rf"^    {row} +\d.* ± ", printed, re.M), row
    assert re.search(r"^    find reports about the same deed: .+\n      1  ", printed, re.M)
    assert max(map(len, printed.splitlines())) <= 110


def test_why_m3_prints_predictions_the_table_and_what_held(monkeypatch, capsys):
    """Two tiny worlds, one step of each training; the scores mean nothing."""
    from scratch_embed.why import m3
    monkeypatch.setattr(m3, "draw_task", partial(m3.draw_task, documents=60, pairs=80))
    assert main(["why", "m3", "--seeds", "2", "--steps", "1"]) == 0
    printed = capsys.readouterr().out
    assert re.findall(r"^(\d)  ", printed, re.M) == list("1234")
    assert printed.index("is above") < printed.index("± ")
    for row in ("BM25", "sparse, untrained", "dense, trained alone", "hybrid, 1 : 0.3 : 1"):
        assert re.search(rf"^    {row} +\d.* ± ", printed, re.M), row
    assert len(re.findall(r"^ +\d+  \w+: .* (held|failed)$", printed, re.M)) == len(m3.CLAIMS)
    assert max(map(len, printed.splitlines())) <= 100


def test_why_lora_prints_what_the_query_is_given_and_the_ablations(monkeypatch, capsys):
    """Two tiny worlds, one step of each training; the scores mean nothing."""
    from scratch_embed.why import lora
    monkeypatch.setattr(lora, "start", partial(lora.start, documents=60, sentences=60))
    monkeypatch.setattr(lora, "TRIPLETS", 40)
    monkeypatch.setitem(lora.PRETRAINING, "steps", 1)
    assert main(["why", "lora", "--seeds", "2", "--steps", "1"]) == 0
    printed = capsys.readouterr().out
    assert re.findall(r"^(\d)  ", printed, re.M) == list("12")
    for row in (lora.CEILING, "E5-Mistral", "  another instruction"):
        assert re.search(rf"^    {row} +\d.* ± ", printed, re.M), row
    assert "rank 1 1,024" in " ".join(printed.split())
    for ablation in lora.ABLATIONS:
        assert f"\n{ablation.name}\n    Prediction: " in printed
    assert max(map(len, printed.splitlines())) <= 110


def test_why_clip_prints_baselines_ablations_and_prompts(monkeypatch, capsys):
    """Two tiny worlds, one step of each training; the scores mean nothing."""
    from scratch_embed.why import clip
    monkeypatch.setattr(clip, "draw_task", partial(clip.draw_task, scenes=80))
    monkeypatch.setattr(clip, "ABLATIONS", clip.ABLATIONS[2:4])
    monkeypatch.setattr(clip, "report", lambda *args, report=clip.report: report(*args[:2], 40))
    assert main(["why", "clip", "--seeds", "2", "--steps", "1"]) == 0
    printed = capsys.readouterr().out
    assert re.findall(r"^(\d)  ", printed, re.M) == list("123")
    for row in ("recall@10, text to image", "zero-shot unseen pairs", "probe, unseen pairs"):
        assert re.search(rf"^    {row}( +-?\d+\.\d ± +\d+\.\d){{4}}$", printed, re.M), row
    for ablation in [*clip.ABLATIONS, *clip.PROMPTS]:
        assert f"\n{ablation.name}\n    Prediction: " in printed
    assert len(re.findall(r"^ +to text .*, zero-shot .*, gap ", printed, re.M)) == 4


def test_steps_of_variants_are_scaled_with_those_of_the_base():
    from scratch_embed.cli.why_clip import scaled
    from scratch_embed.why.clip import ABLATIONS, STEPS
    base, variants = scaled(ABLATIONS[2], 2 / STEPS)[2:]
    assert base["steps"] == 2 and "steps" not in variants["16"][0]
    assert variants["16, as many pairs"][0]["steps"] == 8
    assert variants["256, as many pairs"][0]["steps"] == 1          # half a step, at least one
