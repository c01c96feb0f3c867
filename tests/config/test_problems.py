"""Problems: how they read."""

from proxy.config.problems import ConfigurationError, Problem, shown


def test_a_problem_reads_as_compilers_write_theirs() -> None:
    """A problem is one line: file, line, column, path, message."""
    problem = Problem("a.yaml", 3, 5, "endpoints.x", "is wrong")

    assert str(problem) == "a.yaml:3:5: endpoints.x: is wrong"


def test_a_problem_of_the_whole_file_has_no_path() -> None:
    """Without a path the message follows the position."""
    assert str(Problem("a.yaml", 1, 1, "", "is no YAML")) == "a.yaml:1:1: is no YAML"


def test_problems_come_in_the_order_of_the_files_and_once() -> None:
    """An error sorts its problems by file, line and column, and tells each once."""
    first = Problem("a.yaml", 2, 1, "x", "m")
    second = Problem("a.yaml", 10, 1, "x", "m")

    assert ConfigurationError([second, first, second]).problems == (first, second)
    assert str(ConfigurationError([second, first])) == f"{first}\n{second}"


def test_a_path_reads_as_people_write_it() -> None:
    """Keys are joined by dots, positions stand in brackets."""
    assert shown(("body_checks", 0, "path")) == "body_checks[0].path"
    assert shown(()) == ""
