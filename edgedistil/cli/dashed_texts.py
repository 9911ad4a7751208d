"""Texts on the command line that begin with a dash: "-5 degrees" is a text, "--txt" may be a misspelled option."""

import click

__all__ = ["TextCommand"]

_HINT = "A text that begins with - goes after --, as in: edgedistil predict MODEL -- -text"


class TextCommand(click.Command):
    """A command whose arguments are texts.

    An argument that begins with a dash is a text if it cannot be an option: if no option has its name and it contains a
    blank, or if the dash is not followed by a letter. Everything else follows click's rules, so `--` ends the options.

    Example:
        >>> @click.command(cls=TextCommand)
        ... @click.argument("texts", nargs=-1)
        ... @click.option("--top", type=int)
        ... def show(texts, top):
        ...     print(texts, top)
        >>> show(["-5 degrees", "--top", "2", "warm"], standalone_mode=False)
        ('-5 degrees', 'warm') 2
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parses the arguments as `texts_last` orders them."""
        try:
            return super().parse_args(ctx, self.texts_last(args))
        except click.NoSuchOption as error:
            raise click.UsageError(f"{error.format_message()} {_HINT}.", ctx) from None

    def texts_last(self, args: list[str]) -> list[str]:
        """Moves the arguments that are no options after `--`, where click takes all of them as they are."""
        takes_value = self._options()
        options: list[str] = []
        others: list[str] = []
        waiting = list(args)
        while waiting:
            argument = waiting.pop(0)
            name = _name(argument, takes_value)
            if argument == "--":
                others += waiting
                break
            if not argument.startswith("-") or argument == "-" or (name not in takes_value and _is_text(argument)):
                others.append(argument)
                continue
            options.append(argument)
            if argument == name and takes_value.get(name):  # its value is the next argument
                if not waiting:
                    return args  # click reports that it is missing
                options.append(waiting.pop(0))
        return [*options, "--", *others]

    def _options(self) -> dict[str, bool]:
        """Name of each option, such as `--top` and `-o` -> True if a value follows it."""
        found = {"--help": False, "-h": False}
        for parameter in self.params:
            if isinstance(parameter, click.Option):
                takes_value = not parameter.is_flag and not parameter.count
                found |= dict.fromkeys([*parameter.opts, *parameter.secondary_opts], takes_value)
        return found


def _name(argument: str, takes_value: dict[str, bool]) -> str:
    """The option that an argument may be: `--top=2` is `--top`, and `-ofile` is `-o`, which takes a value."""
    if argument.startswith("--"):
        return argument.partition("=")[0]
    # The attached value is a file, which has an extension: "-only this one" is none.
    has_value = takes_value.get(argument[:2]) and ("." in argument or not _has_blank(argument))
    return argument[:2] if has_value else argument


def _is_text(argument: str) -> bool:
    rest = argument.lstrip("-")
    return not rest[:1].isalpha() or _has_blank(argument)


def _has_blank(argument: str) -> bool:
    return any(map(str.isspace, argument))
