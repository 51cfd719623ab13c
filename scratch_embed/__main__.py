"""Entry point of the command `scratch-embed`, and of `python -m scratch_embed`."""
import sys


def main() -> int:
    """Run cli/main.py.  Ctrl-C while its modules are imported is one line too, not a traceback."""
    try:
        from scratch_embed.cli.main import main as run
        return run()
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
