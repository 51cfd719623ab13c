"""Fixtures: run a command; check its options; models that several test files share."""
from types import SimpleNamespace

import pytest

from scratch_embed.cli.main import main
from scratch_embed.worlds.corpora import corpus_path

TINY = ["--dim", 16, "--heads", 2, "--ff", 32, "--max-length", 16]


@pytest.fixture
def run(capsys):
    """run(*arguments) -> (exit code, stdout, stderr) of a command in this process."""
    def command(*arguments):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as ended:                        # bad usage or --help
            code = ended.code
        return (code, *capsys.readouterr())
    return command


@pytest.fixture
def check_options(run):
    """check_options(*command, options): leaving out any single option changes the output file.

    No output file at all also counts as a change.
    """
    def check(*command, options):
        out = command[command.index("-o") + 1]
        with_all = out.read_bytes()
        for option in options:
            out.unlink()
            run(*command, *(part for other in options if other is not option for part in other))
            assert not out.exists() or out.read_bytes() != with_all, option
    return check


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """bert, encoder: folders that `train bert` and `train simcse` wrote after a few steps."""
    folder = tmp_path_factory.mktemp("models")
    bert, encoder, text = folder / "bert", folder / "encoder", folder / "text"
    text.write_text("".join(corpus_path("words-easy.txt").open().readlines()[:200]))
    for command in (["bert", corpus_path("words-easy.txt"), "-o", bert, "--vocab-size", 400, *TINY,
                     "--steps", 30, "--batch-size", 8, "--next-sentence"],
                    ["simcse", text, "-o", encoder, "--model", bert, "--pooling", "mean",
                     "--steps", 5, "--batch-size", 8]):
        assert main(["train", *map(str, command)]) == 0
    return SimpleNamespace(bert=bert, encoder=encoder, text=text)
