"""Where settings come from: flags, environment, file; which wins, and what each may look like."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from walletsync_server.configuration import load
from walletsync_server.settings import TABLE, Settings, SettingsError


def written(folder: Path, text: str) -> str:
    file = folder / "server.toml"
    file.write_text(text)
    return str(file)


def mistakes(environment: Mapping[str, str], file: str | None = None) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        load({}, environment, file)
    return [str(mistake) for mistake in raised.value.mistakes]


def test_nothing_given_means_defaults() -> None:
    """Without flags, variables and a file all is as `Settings()` says, and says so."""
    loaded = load({}, {})
    assert (loaded.settings, loaded.origins) == (Settings(), dict.fromkeys(TABLE, "default"))


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    """Each setting comes from the first that has it, and its origin can be told."""
    file = written(tmp_path, "port = 1\npassword_queue = 2\nsockets_per_account = 3\n")
    environment = {"WALLETSYNC_PORT": "4", "WALLETSYNC_PASSWORD_QUEUE": "5", "HOME": "/"}
    loaded = load({"port": "6", "host": None, "allow": ()}, environment, file)
    assert loaded.settings == Settings(port=6, password_queue=5, sockets_per_account=3)
    assert loaded.origins["port"] == "--port"
    assert loaded.origins["password_queue"] == "WALLETSYNC_PASSWORD_QUEUE"
    assert loaded.origins["sockets_per_account"] == file
    assert loaded.origins["host"] == "default"


def test_environment_names_the_file_that_no_flag_names(tmp_path: Path) -> None:
    """WALLETSYNC_CONFIG is for --config what the other variables are for theirs."""
    file = written(tmp_path, "port = 1\n")
    assert load({}, {"WALLETSYNC_CONFIG": file}).settings.port == 1
    assert load({}, {"WALLETSYNC_CONFIG": "/no/such/file"}, file).settings.port == 1


def test_empty_text_takes_a_setting_back(tmp_path: Path) -> None:
    """What a file sets, a flag or a variable can unset."""
    file = written(tmp_path, 'public_url = "https://sync.example.com"\nallow = ["alice@example.com"]\n')
    assert load({"public_url": ""}, {"WALLETSYNC_ALLOW": ""}, file).settings == Settings()


def test_lists_are_lists_in_the_file_and_words_in_the_environment(tmp_path: Path) -> None:
    """In a variable, spaces or commas stand between them."""
    right = Settings(allow=("alice@example.com", "bob@example.com"))
    file = written(tmp_path, 'allow = ["alice@example.com", "bob@example.com"]\n')
    assert load({}, {}, file).settings == right
    assert load({}, {"WALLETSYNC_ALLOW": "alice@example.com bob@example.com"}).settings == right
    assert load({}, {"WALLETSYNC_ALLOW": "alice@example.com, bob@example.com"}).settings == right


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("port = true", "port must be a whole number."),
        ("port = 80.5", "port must be a whole number."),
        ("host = 1", "host must be a string in quotes."),
        ("allow = 1", "allow must be a list of strings"),
        ("allow = [1]", "allow must be a list of strings"),
        ("port = 65536", "port must be from 0 to 65535."),
        ("[server]\nport = 1", "server is not a setting; did you mean"),
        ("zzz = 1", "zzz is not a setting; `walletsync-server config` lists all of them."),
    ],
)
def test_wrong_key_is_named_with_its_file(tmp_path: Path, text: str, said: str) -> None:
    """A value of another kind, one out of bounds and an unknown key: one mistake, with the file's name."""
    file = written(tmp_path, text)
    (mistake,) = mistakes({}, file)
    assert mistake.startswith(f"{file}: {said}")


def test_file_that_cannot_be_read_is_named_with_what_named_it(tmp_path: Path) -> None:
    """Missing, no text, no TOML: what is wrong, and where to look."""
    missing, binary, broken = (str(tmp_path / name) for name in ("missing", "binary", "broken"))
    Path(binary).write_bytes(b"\xff")
    Path(broken).write_text("port = = 1")
    assert mistakes({}, missing) == [
        f"--config names a file that cannot be read, {missing}: No such file or directory."
    ]
    assert mistakes({"WALLETSYNC_CONFIG": binary}) == [
        f"WALLETSYNC_CONFIG names a file that cannot be read, {binary}: it is not a text file."
    ]
    (mistake,) = mistakes({}, broken)
    assert mistake.startswith(f"{broken} is not valid TOML: ")
    assert "line 1" in mistake


@pytest.mark.parametrize("number", ["", "x", "1.5", "0x10", "1_000", "9" * 5000])
def test_only_digits_are_a_number(number: str) -> None:
    """In a variable a number is written in digits, without any of the liberties of a programming language."""
    assert mistakes({"WALLETSYNC_PORT": number}) == ["WALLETSYNC_PORT must be a whole number."]


def test_mistake_is_told_once() -> None:
    """What cannot be read at all is not also called missing or out of bounds."""
    said = mistakes({"WALLETSYNC_PORT": "x", "WALLETSYNC_ACCOUNTS": "closed", "WALLETSYNC_ALLOW": "a b"})
    assert [line.split()[0] for line in said] == ["WALLETSYNC_PORT", "WALLETSYNC_ACCOUNTS", "WALLETSYNC_ALLOW"]


def test_unreadable_is_not_called_missing(tmp_path: Path) -> None:
    """A setting that others need and that cannot be read is one mistake."""
    file = written(tmp_path, 'accounts = "email"\nmail_server = 5\nmail_from = "a@example.com"\n')
    assert mistakes({"WALLETSYNC_PUBLIC_URL": "https://sync.example.com"}, file) == [
        f"{file}: mail_server must be a string in quotes."
    ]


KUBERNETES = {
    "WALLETSYNC_SERVICE_HOST": "10.96.0.7",
    "WALLETSYNC_SERVICE_PORT": "8090",
    "WALLETSYNC_SERVICE_PORT_HTTP": "8090",
    "WALLETSYNC_PORT": "tcp://10.96.0.7:8090",
    "WALLETSYNC_PORT_8090_TCP": "tcp://10.96.0.7:8090",
    "WALLETSYNC_PORT_8090_TCP_PROTO": "tcp",
    "WALLETSYNC_PORT_8090_TCP_PORT": "8090",
    "WALLETSYNC_PORT_8090_TCP_ADDR": "10.96.0.7",
}
"""What Kubernetes makes for a Service called walletsync, see "Accessing the Service" in its documentation."""


@pytest.mark.parametrize("name", ["WALLETSYNC", "WALLETSYNC_METRICS", "WALLETSYNC_MAIL", "WALLETSYNC_A_B"])
def test_variables_of_kubernetes_are_no_settings(name: str) -> None:
    """Those of a Service with this name, or one that begins with it, set nothing and stop nothing; all are named."""
    variables = {variable.replace("WALLETSYNC", name, 1): value for variable, value in KUBERNETES.items()}
    loaded = load({}, {**variables, "WALLETSYNC_HOST": "::1", "PATH": "/bin"})
    assert (loaded.settings, loaded.of_services) == (Settings(host="::1"), tuple(sorted(variables)))


def test_mistakes_are_no_variables_of_kubernetes() -> None:
    """What only looks a little like them is still told, as a wrong value or an unknown name."""
    wrong = {"WALLETSYNC_PORT": "tcp:8090", "WALLETSYNC_SERVICE": "1", "WALLETSYNC_PROT": "8090"}
    assert [said.split()[0] for said in mistakes(wrong)] == ["WALLETSYNC_SERVICE", "WALLETSYNC_PROT", "WALLETSYNC_PORT"]


def test_variables_of_the_client_are_left_alone() -> None:
    """Client and server may run for the same person."""
    names = ("WALLETSYNC_FILE", "WALLETSYNC_PASSWORD_FILE", "WALLETSYNC_NEW_PASSWORD_FILE")
    assert load({}, dict.fromkeys(names, "/home/alice/file")).settings == Settings()
