"""The workflow of GitHub Actions: it does what .ci/run does, publishes the page, and may do nothing else."""

import re
import stat
import tomllib

import pytest
import yaml
from conftest import ROOT

PATH = ROOT / ".github" / "workflows" / "check-and-publish.yml"
TEXT = PATH.read_text(encoding="utf-8")
FLOW = yaml.load(TEXT, Loader=yaml.BaseLoader)  # every value as it is written: "on" is no boolean
JOBS = FLOW["jobs"]
KEYS = {"runs-on", "steps", "needs", "if", "permissions", "concurrency", "environment", "timeout-minutes"}
STEP = {"uses", "with", "run", "id", "name", "env"}
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


def steps(job: str, key: str) -> list[str]:
    return [step[key] for step in JOBS[job]["steps"] if key in step]


def test_the_check_is_the_ci_and_the_page_is_made_by_make():
    assert steps("check", "run") == [".ci/run"] and (ROOT / ".ci/run").stat().st_mode & stat.S_IXUSR
    assert steps("page", "run") == ["make page"]


def test_only_known_keys_and_official_actions_of_a_fixed_version():
    assert set(FLOW) == {"name", "on", "permissions", "concurrency", "env", "jobs"}
    assert set(FLOW["on"]) == {"push", "pull_request", "workflow_dispatch"} and FLOW["on"]["push"]["branches"] == [
        "main"
    ]
    for name, job in JOBS.items():
        assert set(job) <= KEYS and {"runs-on", "steps", "timeout-minutes"} <= set(job), name
        for step in job["steps"]:
            assert set(step) <= STEP and ("uses" in step) != ("run" in step), step
        assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", action) for action in steps(name, "uses")), name


def test_it_may_read_and_only_the_page_may_write_and_only_to_pages():
    assert FLOW["permissions"] == {"contents": "read"} and "permissions" not in JOBS["check"]
    assert JOBS["page"]["permissions"] == {"contents": "read", "pages": "write", "id-token": "write"}
    assert not re.search(r"secrets\.|GITHUB_TOKEN|pull_request_target|write-all", TEXT)
    for job in JOBS.values():
        assert job["steps"][0]["with"] == {"persist-credentials": "false"}


def test_the_page_is_published_from_the_main_branch_after_the_check_one_at_a_time():
    page = JOBS["page"]
    assert page["needs"] == "check" and "refs/heads/main" in page["if"] and "!= 'pull_request'" in page["if"]
    assert page["concurrency"] == {"group": "pages", "cancel-in-progress": "false"}
    assert page["environment"]["name"] == "github-pages" and "github.ref" in FLOW["concurrency"]["group"]
    names = [action.partition("@")[0] for action in steps("page", "uses")]
    assert names[-3:] == ["actions/configure-pages", "actions/upload-pages-artifact", "actions/deploy-pages"]
    upload, deploy = page["steps"][-2:]
    assert upload["with"] == {"path": "site"} and page["environment"]["url"].endswith("deployment.outputs.page_url }}")
    assert deploy["id"] == "deployment"


@pytest.mark.parametrize("job", JOBS)
def test_python_is_the_projects_and_packages_are_kept_by_the_pins(job):
    (setup,) = [step["with"] for step in JOBS[job]["steps"] if step.get("uses", "").startswith("actions/setup-python@")]
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert needed == f"=={setup['python-version']}.*" and setup["cache"] == "pip"
    files = setup["cache-dependency-path"].split()
    assert files == ["constraints.txt", "pyproject.toml", "data/weights.txt"]
    assert all((ROOT / file).is_file() for file in files)


def test_expressions_are_closed_and_of_known_contexts():
    assert TEXT.count("${{") == TEXT.count("}}") == len(EXPRESSION.findall(TEXT))
    assert all(re.match(r"(github|vars|steps)\.", one) for one in EXPRESSION.findall(TEXT))


def test_no_address_and_no_absolute_path():
    assert not re.search(r"https?://|(^|[\s'\"=])/[a-z]+/", TEXT) and "\t" not in TEXT
