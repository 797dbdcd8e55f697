"""The stages, one file each: a function of the flight that takes steps, adds candidates and writes decisions."""
