"""The words of the program: values and pure functions that every other package may use."""
