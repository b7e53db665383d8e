"""The command `ringlane`: cli.py has its arguments, the others what each subcommand does."""
