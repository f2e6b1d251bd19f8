import inspect
from importlib import import_module

import pytest

from tools.emoji.__main__ import COMMANDS, main


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_calls_a_function_that_takes_its_options(name):
    command = COMMANDS[name]
    module, function = command.function.split(":")
    parameters = inspect.signature(getattr(import_module(f"tools.emoji.{module}"), function)).parameters
    given = [*command.arguments, *(option.replace("-", "_") for option in command.options)]
    assert sorted(given) == sorted(parameters)


def test_help_says_how_to_train_a_second_seed(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["train", "--help"])
    assert exit_.value.code == 0
    assert "--seed 1 --start-vae" in " ".join(capsys.readouterr().out.split())


def test_a_missing_configuration_gets_one_line(tmp_path, capsys):
    assert main(["train", "--config", "none", "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "no configuration 'none'" in said
    assert said.count("\n") == 1


def test_a_decoder_needs_a_pipeline_to_train_on(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["train-decoder"])
    assert exit_.value.code == 2
    assert "--start" in capsys.readouterr().err
