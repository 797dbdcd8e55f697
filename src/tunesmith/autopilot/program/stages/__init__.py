"""The stages of the tuning of a program, one file each: as those of a task, by trainings of copies in changed ways."""
