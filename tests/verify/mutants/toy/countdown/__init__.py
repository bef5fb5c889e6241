"""A small game: count down from ten. A coin of 1 makes the step idle."""
