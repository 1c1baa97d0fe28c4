"""The installed command `across-cameras`; `run_pipeline.py` is the same from a source tree."""

import os
import signal
import sys

HERE = os.path.dirname(os.path.abspath(__file__))

# Other people's folders hold a `pipeline` or a `reid` too, and PYTHONPATH or -m may put such a folder first.
# So both are looked up beside this file, once; every later import finds them loaded. At import, not in
# `main`: a worker process imports this module, calls nothing, and then looks for its code.
sys.path.insert(0, HERE)
try:
    import pipeline  # noqa: F401
    import reid  # noqa: F401
finally:
    sys.path.remove(HERE)


def main() -> None:
    """Run the command line; see pipeline/cli/main.py."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing has begun: Ctrl-C needs no word
    # Workers start as `python -c`, which looks in the current folder first, even for the standard library.
    os.environ.setdefault("PYTHONSAFEPATH", "1")
    from pipeline.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
