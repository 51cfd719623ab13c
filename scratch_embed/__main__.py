"""Entry point: `python -m scratch_embed` runs the command `scratch-embed`."""
import sys

from scratch_embed.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
