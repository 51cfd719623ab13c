"""evaluate mteb: MTEB's task types on toy data whose upper bound and chance level are known."""
import os

from scratch_embed.cli.loading import (
    add_encoder_options,
    add_model,
    chosen_sif,
    column_names,
    load_encoder,
)
from scratch_embed.cli.parsing import add_command, add_json
from scratch_embed.cli.printing import measured, print_json
from scratch_embed.cli.tokenizing import (
    chosen_tokenizer,
    count_words,
    refuse_for_a_transformer,
    say_known,
)
from scratch_embed.cli.training import say
from scratch_embed.cli.worlds import add_seed


def add_evaluation(kinds):
    """Add `evaluate mteb`."""
    command = add_command(
        kinds, "mteb", "print scores of an encoder on toy tasks of MTEB's types",
        "scratch-embed evaluate mteb words.vec --tasks ToySTS ToyFacts --baselines",
        run=run_evaluation, check=check_tasks,
        details="The main score of each task, beside chance and the upper bound.")
    add_model(command, more=" (`scratch-embed world` writes a text with the tasks' words to train "
                            "on)")
    add_encoder_options(command)
    command.add_argument("--tasks", nargs="+", metavar="NAME", help="only these tasks; an unknown "
                         "name prints the list of names (default: all)")
    add_seed(command)
    command.add_argument("--baselines", action="store_true",
                         help="also print random vectors and a bag of words")
    command.add_argument("--results-folder", metavar="FOLDER", help="write a file <task>.json per "
                         "task, in mteb's format; the files of the baselines go to subfolders "
                         "(default: nowhere)")
    add_json(command, '{encoder: {task: {"value", "low", "high", "chance", "upper_bound"}}}')


def check_tasks(arguments):
    """Exit with code 2 for an unknown task.  Makes the tasks, arguments.toy, if some are named."""
    from scratch_embed.worlds.toy_mteb import toy_mteb
    arguments.toy = toy_mteb(arguments.seed) if arguments.tasks else None
    if arguments.toy is None:
        return
    try:
        chosen_tasks(arguments.toy.tasks, arguments.tasks)
    except ValueError as error:
        arguments.usage_error(str(error))


def run_evaluation(arguments):
    """Evaluate each task; write the files; print the table."""
    from tqdm import tqdm

    from scratch_embed.evaluate.mteb import evaluate_task
    from scratch_embed.evaluate.results import format_results, write_results
    from scratch_embed.worlds.toy_mteb import toy_mteb
    name = column_names([arguments.model], taken=["random", "bag of words"])[arguments.model]
    tokenizer = chosen_tokenizer(arguments)
    refuse_for_a_transformer(arguments.model, tokenizer)
    sif = chosen_sif(arguments, arguments.model)
    encoders = {name: load_encoder(arguments.model, sif, tokenizer)}
    if arguments.results_folder:
        os.makedirs(arguments.results_folder, exist_ok=True)
    toy = arguments.toy or toy_mteb(arguments.seed)
    tasks = chosen_tasks(toy.tasks, arguments.tasks)
    say_unknown(encoders[name], toy.text)
    count_words(encoders[name])
    if arguments.baselines:
        encoders |= baselines(toy.text)
    todo = [(column, task) for column in encoders for task in tasks]
    columns = {column: [] for column in encoders}
    for column, task in tqdm(todo, unit="task", disable=None):
        columns[column].append(evaluate_task(encoders[column], task))
    say_known(encoders[name], name, "texts", strict=False)
    if arguments.results_folder:
        for column, results in columns.items():
            folder = "" if column == name else column.replace(" ", "-")
            write_results(results, os.path.join(arguments.results_folder, folder))
    if arguments.json:
        print_json({column: {result.task: {**measured(result.main_score), "chance": result.chance,
                                           "upper_bound": result.upper_bound}
                             for result in results} for column, results in columns.items()})
    else:
        print("\n".join(format_results(columns)))
    poor = [result.task for result in columns[name] if result.main_score <= result.chance]
    if poor:
        say(f"{name} is no better than chance on {', '.join(poor)}; its training text may "
            "not have the words of these tasks")


def say_unknown(encoder, text):
    """Print how many of the tasks' words have no vector, if any.  ValueError if none has one."""
    words = sorted({word for sentence in text for word in sentence})
    unknown = int((~encoder.encode(words).any(axis=1)).sum())
    message = (f"{unknown:,} of the {len(words):,} words of the tasks are unknown to the model: "
               "`scratch-embed world facts` writes a text that has them")
    if unknown == len(words):
        raise ValueError(message)
    if unknown:
        say(message)


def chosen_tasks(tasks, names):
    """The tasks with these names, in the order of the names; all tasks if names is None.

    Raises ValueError for an unknown name.
    """
    if names is None:
        return tasks
    by_name = {task.name: task for task in tasks}
    wrong = [name for name in names if name not in by_name]
    if wrong:
        raise ValueError(f"--tasks: expected names among {', '.join(by_name)}; got {wrong[0]!r}")
    return [by_name[name] for name in dict.fromkeys(names)]


def baselines(text):
    """{name: encoder}: random vectors, and a bag of words with the vocabulary of `text`."""
    from scratch_embed.evaluate.baselines import BagOfWords, RandomVectors
    return {"random": RandomVectors(),
            "bag of words": BagOfWords([" ".join(sentence) for sentence in text])}
