"""The program: the rules as data, loaded from one file, decided, run live."""
