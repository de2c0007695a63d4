"""The command `rmsprop`, also `python -m rmsprop`.

Without the extra `suite` there is no command line, but this module loads and says what to install.
"""

import sys

from rmsprop.suite.cli.interrupts import catch_interrupts, ignore_interrupts, put_off


def main() -> None:
    """Run the command line, if the extra `suite` is installed. Exit code 130: interrupted."""
    try:
        _run()
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        ignore_interrupts()  # Ctrl-C is often pressed twice
        # An interrupt out of exec() of a string, with which dataclasses make methods, leaves a mark: then
        # `python -m` ends by SIGINT instead of with its exit code. The next exec() takes it away.
        exec("")


def _run() -> None:
    catch_interrupts()
    try:
        with put_off():
            from rmsprop.suite.cli.main import main as run  # noqa: PLC0415 (the extra may be missing)
    except ModuleNotFoundError as error:
        if (error.name or "rmsprop").partition(".")[0] == "rmsprop":
            raise
        print(
            f"rmsprop: the command needs the extra `suite` ({error.name} is not installed): "
            "python -m pip install 'rmsprop-bench[suite]'",
            file=sys.stderr,
        )
        sys.exit(2)
    run()


if __name__ == "__main__":
    main()
