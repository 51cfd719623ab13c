"""`python -m scratch_embed` is the command `scratch-embed`."""
import sys

from scratch_embed.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
