"""tamiz as a command, in the process of the test: quick, and kernels are compiled once for all."""

from __future__ import annotations

import pytest

from tamiz.cli import main


def exit_code(*arguments: object) -> int:
    """The exit code of `tamiz ARGUMENTS`."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    code = ended.value.code
    assert isinstance(code, int)
    return code


def tamiz(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """The exit code of `tamiz ARGUMENTS`, its stdout and its stderr, which has a traceback only with --debug."""
    code = exit_code(*arguments)
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err or "--debug" in arguments, captured.err
    return code, captured.out, captured.err
