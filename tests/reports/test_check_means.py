import json
import subprocess
import sys

import pytest
from django.core.management import CommandError, call_command

SEED_PAPER = ["--mean", "8.5374", "--mean", "8.5666", "--n", "100", "--items", "1"]


def run(capsys, *args):
    call_command("check_means", *args)
    return capsys.readouterr().out


def test_the_seed_papers_means_as_json(capsys):
    result = json.loads(run(capsys, *SEED_PAPER, "--json"))

    assert [mean["smallest_n"] for mean in result["means"]] == [147, 293]
    assert result["together"]["smallest_n"] == 856


def test_the_same_in_sentences(capsys):
    said = run(capsys, *SEED_PAPER)

    assert "All of them together need at least 856 ratings" in said
    assert "3,500 (35 each)" in said


def test_an_sd_and_a_scale(capsys):
    args = ["--mean", "3.44", "--sd", "2.47", "--n", "18", "--scale", "1", "10"]

    assert json.loads(run(capsys, *args, "--json"))["sds"][0]["fails"] == "parity"
    assert "is impossible with 18 whole numbers" in run(capsys, *args)


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["--mean", "eight", "--n", "100"], 1, "'eight' is not a number"),
        (["--mean", "8.54", "--n", "0"], 1, "n is 0"),
        (["--mean", "8.54", "--n", "10", "--sd", "1", "--sd", "2"], 2, "one --sd for each --mean"),
    ],
)
def test_what_cannot_be_checked_is_said(args, code, words):
    with pytest.raises(CommandError, match=words) as refused:
        call_command("check_means", *args)

    assert refused.value.returncode == code


def test_exit_codes_of_the_program():
    def code(*args):
        return subprocess.run([sys.executable, "manage.py", "check_means", *args], capture_output=True).returncode

    assert code("--mean", "8.5374", "--n", "100") == 0
    assert code("--mean", "8.5374", "--n", "x") == 2
