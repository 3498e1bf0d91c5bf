"""The options of every command, as argparse reads them; nothing heavy is imported here.

What a command does with its options is in the module of the command.
"""
