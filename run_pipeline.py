"""Where did this person go across my cameras? The command line's door; see pipeline/cli/main.py."""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing has begun: Ctrl-C needs no word
    from pipeline.cli.main import main

    main()
