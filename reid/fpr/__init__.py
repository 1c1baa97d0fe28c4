"""The FPR distance: galleries prepared once, compared at the speed of the machine."""
