"""The lessons: what holds for every committed notebook, and the program that runs and cleans them."""
