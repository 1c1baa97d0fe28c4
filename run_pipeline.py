"""Where did this person go across my cameras? The same as the installed command `across-cameras`."""

from across_cameras import main

if __name__ == "__main__":
    main()
