"""How a command is declared: its help, an example at the end of it, its function."""
import argparse


def add_command(commands, name, help, example, run=None):
    """Add a subcommand with `help` and an example; `run(arguments)` does it.  Return its parser."""
    command = commands.add_parser(
        name, help=help, description=help[0].upper() + help[1:] + ".",
        epilog=f"example:\n  {example}", formatter_class=argparse.RawDescriptionHelpFormatter)
    command.set_defaults(run=run)
    return command
